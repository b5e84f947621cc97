"""The only training loop: batches of targets in, the best weights on validation out."""

from ssna.nn.batch import Batch
from ssna.training.loop import Fit, fit
from ssna.training.settings import RunSettings
from ssna.training.state import Epoch, Step

__all__ = ["Batch", "Epoch", "Fit", "RunSettings", "Step", "fit"]
