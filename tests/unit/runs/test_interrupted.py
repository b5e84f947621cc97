"""Training and encoding that are interrupted: what is kept, and that they go on."""

from dataclasses import asdict

import numpy as np
import pytest

from ssna.core.errors import Interrupted
from ssna.runs import train
from ssna.runs.epoch_log import _Epochs
from ssna.text import ReadOptions, encode
from ssna.text.encoder import TextEncoder

SETTINGS = ("dim=8", "sequence.ffn_dim=8", "training.batch_size=16", "training.epochs=3", "ensemble.members=[]")


@pytest.fixture
def data(random_data):
    return random_data(seed=5, users=40, items=20)


def interrupt_at(monkeypatch, number):
    """Ctrl-C where epoch ``number`` is told of."""
    told = _Epochs.epoch

    def epoch(self, epoch, better):
        if epoch.number == number:
            raise KeyboardInterrupt
        told(self, epoch, better)

    monkeypatch.setattr(_Epochs, "epoch", epoch)


def test_from_the_first_epoch_on_there_is_something_to_go_on_from(data, tmp_path, monkeypatch):
    whole = train(data, method="ids", settings=SETTINGS, quiet=True)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(Interrupted) as stop:
            train(data, method="ids", settings=SETTINGS, out=tmp_path / "run", quiet=True)
    checkpoint = tmp_path / ".run.checkpoint"
    assert (
        str(stop.value)
        == f"what was learned until epoch 1 is kept in {checkpoint}; to go on, call train again with resume=True"
    )
    assert stop.value.for_command_line.endswith("to go on, give the same command with --resume")
    assert not (tmp_path / "run").exists()
    resumed = train(data, method="ids", settings=SETTINGS, out=tmp_path / "run", quiet=True, resume=True)
    assert resumed.record.test == whole.record.test
    assert [epoch["loss"] for epoch in resumed.record.epochs] == [epoch["loss"] for epoch in whole.record.epochs]
    np.testing.assert_array_equal(
        resumed.evaluations["test"].ranks["exclude_seen"], whole.evaluations["test"].ranks["exclude_seen"]
    )
    assert asdict(resumed.record)["best_epoch"] == whole.record.best_epoch


def test_before_the_first_epoch_nothing_is_kept(data, tmp_path, monkeypatch):
    def step(self, step):
        raise KeyboardInterrupt

    monkeypatch.setattr(_Epochs, "step", step)
    with pytest.raises(Interrupted, match="no epoch was finished, so nothing is kept"):
        train(data, method="ids", settings=SETTINGS, out=tmp_path / "run", quiet=True)
    with pytest.raises(Interrupted, match="nothing is kept; with out = 'FOLDER' training can go on where it was"):
        train(data, method="ids", settings=SETTINGS, quiet=True)
    assert not (tmp_path / "run").exists()


def test_texts_that_were_encoded_before_an_interruption_are_kept(language_model, distinct_texts, tmp_path, monkeypatch):
    texts = ("", *distinct_texts(12))
    options = (tmp_path / "cache", ReadOptions(dtype="fp32", device="cpu"))
    every = TextEncoder.encode

    def some(self, texts, layers):
        batch = next(iter(every(self, texts[:5], layers)))
        yield batch
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TextEncoder, "encode", some)
        with pytest.raises(Interrupted, match="5 of 12 texts are encoded and kept; to go on, call encode again"):
            encode(texts, language_model, *options, quiet=True)
    _, report = encode(texts, language_model, *options, quiet=True)
    assert (report.encoded, report.reused) == (7, 5)
