"""A run in MLflow: in a store on the disk, where one is named; and nowhere else."""

import sys

import mlflow
import pytest

from ssna.core.errors import SettingsError
from ssna.runs import train
from ssna.runs.mlflow_log import MlflowLog

pytestmark = pytest.mark.slow

SMALL = ("dim=8", "sequence.ffn_dim=8", "training.batch_size=16", "training.epochs=2", "ensemble.members=[]")


@pytest.fixture(scope="module")
def data(random_data):
    return random_data(seed=5, users=50, items=20)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "store"


def found():
    return mlflow.search_runs(output_format="list", search_all_experiments=True)


def test_settings_epochs_and_figures_of_a_run_are_in_the_store(data, store):
    seen = []
    run = train(data, method="ids", settings=SMALL, quiet=True, name="shop", on_epoch=seen.append)
    (logged,) = found()
    assert (logged.info.status, logged.info.run_name) == ("FINISHED", "shop")
    assert logged.data.params["training.epochs"] == "2"
    assert logged.data.params["sequence.ffn_dim"] == "8"
    assert logged.data.tags["ssna.fingerprint"] == data.fingerprint
    assert logged.data.metrics["test/include_seen/N_at_10"] == run.record.test["include_seen"]["N@10"]
    curve = mlflow.MlflowClient().get_metric_history(logged.info.run_id, "valid/R_at_10")
    assert [(point.step, point.value) for point in curve] == [(epoch.number, epoch.valid["R@10"]) for epoch in seen]
    assert len(seen) == 2


def test_within_a_run_of_ones_own_it_is_a_nested_one(data, store):
    with mlflow.start_run() as mine:
        train(data, method="item-knn", quiet=True)
    inner = next(run for run in found() if run.info.run_id != mine.info.run_id)
    assert inner.data.tags["mlflow.parentRunId"] == mine.info.run_id
    assert "test/exclude_seen/R_at_10" in inner.data.metrics


def test_a_run_that_ends_early_has_failed(data, store):
    def stop(epoch):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(data, method="ids", settings=SMALL, quiet=True, on_epoch=stop)
    assert found()[0].info.status == "FAILED"
    assert mlflow.active_run() is None


def test_nothing_is_written_where_no_store_is_named(data, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(mlflow, "is_tracking_uri_set", lambda: False)
    monkeypatch.chdir(tmp_path)
    train(data, method="item-knn", quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_written_and_a_missing_mlflow_are_errors_before_training(data, store, monkeypatch):
    store.write_text("a file, no folder")
    with pytest.raises(SettingsError, match=r"MLFLOW_TRACKING_URI = 'file:.*MLflow cannot write there"):
        train(data, method="item-knn", quiet=True)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SettingsError, match=r"pip install 'ssna\[mlflow\]'"):
        train(data, method="item-knn", quiet=True)


def test_a_store_that_is_gone_later_is_said_once_and_training_goes_on(capsys):
    class Gone:
        def log_metrics(self, *_, **__):
            raise OSError("no route to host")

    log = MlflowLog(Gone(), quiet=False, callback=None)
    log.tested({"exclude_seen": {"N@10": 0.1}, "include_seen": {"N@10": 0.1}})
    assert capsys.readouterr().err == "warning: MLflow takes no more figures (no route to host)\n"
