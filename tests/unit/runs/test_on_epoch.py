"""A function of the caller's that is told of every epoch."""

from dataclasses import asdict

import pytest

from ssna.core.errors import SettingsError
from ssna.runs import train

SMALL = ("dim=8", "sequence.ffn_dim=8", "training.batch_size=16", "training.epochs=3")


@pytest.fixture(scope="module")
def data(random_data):
    return random_data(seed=5, users=40, items=20)


def test_every_epoch_is_told_once_with_the_figures_of_the_record(data):
    told = []
    run = train(data, method="ids", settings=SMALL, quiet=True, refit=True, on_epoch=told.append)
    assert [asdict(epoch) for epoch in told] == run.record.epochs
    assert told[0].valid["N@10"] == run.record.epochs[0]["valid"]["N@10"]


def test_an_exception_of_the_function_ends_the_run_and_leaves_no_folder(data, tmp_path):
    def enough(epoch):
        raise StopIteration(f"enough after {epoch.number}")

    with pytest.raises(StopIteration, match="enough after 1"):
        train(data, method="ids", settings=SMALL, quiet=True, out=tmp_path / "run", on_epoch=enough)
    assert not (tmp_path / "run").exists()


def test_what_is_no_function_is_refused(data):
    with pytest.raises(SettingsError, match="on_epoch is a function that takes an epoch"):
        train(data, method="ids", settings=SMALL, quiet=True, on_epoch="print")
