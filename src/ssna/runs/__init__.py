"""One run: settings, training, evaluation and the folder that keeps them."""

from ssna.runs.evaluation import evaluate
from ssna.runs.finished import Run
from ssna.runs.recipes import RECIPES, resolve
from ssna.runs.record import RunRecord
from ssna.runs.run import encode, train

__all__ = ["RECIPES", "Run", "RunRecord", "encode", "evaluate", "load_run", "resolve", "train"]

load_run = Run.load
