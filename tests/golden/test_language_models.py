"""Every class of language models through every method that reads texts."""

import numpy as np
import pytest
from tuned_models import (
    READERS,
    SMALL,
)

from ssna.methods import METHODS, TrainedMethod
from ssna.runs import Run, train

pytestmark = pytest.mark.long

CLASSES = [("distilbert", "mean"), ("roberta", "mean"), ("bert", "mean")]
DECODERS = [(decoder, pooling) for decoder in ("gpt2", "llama") for pooling in ("mean", "last")]


@pytest.mark.parametrize(("architecture", "pooling"), CLASSES + DECODERS)
@pytest.mark.parametrize("method", READERS)
def test_every_class_of_language_models_trains_every_method_and_is_loaded_again(
    method, architecture, pooling, world, data, tmp_path
):
    here = world(architecture, pooling)
    chosen = [*SMALL, "training.epochs=1", "training.batch_size=40"]
    run = train(data, here.cache, method=method, settings=chosen, out=tmp_path / "run", quiet=True)
    loaded = Run.load(tmp_path / "run")
    assert loaded.record == run.record
    assert all(np.isfinite(epoch["loss"]) for epoch in loaded.record.epochs)
    assert len(loaded.record.epochs) == (isinstance(METHODS[method], TrainedMethod))
    histories = [["i1", "i2"], ["i7"], []]
    assert loaded.recommender.recommend(histories) == run.recommender.recommend(histories)
