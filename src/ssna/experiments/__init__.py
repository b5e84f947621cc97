"""One run: settings, training, evaluation and the folder that keeps them."""

from ssna.experiments.recipes import RECIPES, resolve
from ssna.experiments.record import RunRecord
from ssna.experiments.run import Run, encode, train

__all__ = ["RECIPES", "Run", "RunRecord", "encode", "resolve", "train"]
