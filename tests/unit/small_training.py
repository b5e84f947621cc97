"""Settings of trainings that take a moment."""

from ssna.runs import resolve
from ssna.training import RunSettings

SMALL = ("dim=8", "sequence.ffn_dim=8", "sequence.num_layers=1", "training.batch_size=32", "training.epochs=2")


def settings_of(*assignments: str) -> RunSettings:
    """Of plain SASRec."""
    return resolve(method="ids", settings=[*SMALL, *assignments])
