"""How well a scorer ranks the whole catalogue: ranks, lists and every figure that derives from them."""

from ssna.evaluation.beyond import beyond_accuracy
from ssna.evaluation.ranking import Evaluation, evaluate, ranks

__all__ = ["Evaluation", "beyond_accuracy", "evaluate", "ranks"]
