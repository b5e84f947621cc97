"""A run in MLflow, beside its folder: where ``MLFLOW_TRACKING_URI`` or ``mlflow.set_tracking_uri`` names a store."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ssna.core.errors import SettingsError
from ssna.data.dataset import Dataset
from ssna.runs.epoch_log import OnEpoch
from ssna.training import Epoch, RunSettings

_VARIABLE = "MLFLOW_TRACKING_URI"


class MlflowLog:
    """Writes to an MLflow run that is active. What the store refuses later is said once, and training goes on."""

    def __init__(self, mlflow: Any, quiet: bool, callback: OnEpoch | None) -> None:
        self._mlflow, self._quiet, self._callback, self._lost = mlflow, quiet, callback, False

    def epoch(self, epoch: Epoch) -> None:
        """The epoch, for the callback too."""
        if self._callback is not None:
            self._callback(epoch)
        self._write({"train/loss": epoch.loss, **_under("valid", epoch.valid)}, epoch.number)

    def tested(self, test: Mapping[str, Mapping[str, float]]) -> None:
        """The figures of the test, by policy."""
        for policy, figures in test.items():
            self._write(_under(f"test/{policy}", figures))

    def _write(self, figures: dict[str, float], step: int | None = None) -> None:
        if self._lost:
            return
        try:
            self._mlflow.log_metrics(figures, step=step)
        except Exception as cause:  # of the server, the network, the disk: each is its own
            self._lost = True
            if not self._quiet:
                print(f"warning: MLflow takes no more figures ({_short(cause)})", file=sys.stderr, flush=True)


@contextmanager
def mlflow_log(
    settings: RunSettings, data: Dataset, name: str | None, quiet: bool, callback: OnEpoch | None
) -> Iterator[MlflowLog | None]:
    """A run of ``settings`` on ``data``, in MLflow; None where MLflow is not asked for.

    It ends as FAILED if what is inside does. Within an active run it is a nested one.

    Raises:
        SettingsError: the store is named, and MLflow is not installed or cannot write there.
    """
    mlflow = _asked_for()
    if mlflow is None:
        yield None
        return
    try:
        run = mlflow.start_run(run_name=name or settings.method.name, nested=mlflow.active_run() is not None)
        mlflow.log_params(dict(_flat(settings.tree())))
        mlflow.set_tags({"ssna.fingerprint": data.fingerprint, "ssna.method": settings.method.name})
    except Exception as cause:
        raise SettingsError(
            f"{_VARIABLE} = {mlflow.get_tracking_uri()!r}: MLflow cannot write there ({_short(cause)}); correct it, or "
            "unset it"
        ) from None
    with run:
        yield MlflowLog(mlflow, quiet, callback)


def _asked_for() -> Any:
    """MLflow, if a store is named. It takes seconds to load, so it is not loaded to find out."""
    if _VARIABLE in os.environ:
        try:
            import mlflow
        except ImportError:
            raise SettingsError(
                f"{_VARIABLE} = {os.environ[_VARIABLE]!r}, and MLflow is not installed: pip install 'ssna[mlflow]', or "
                "unset it"
            ) from None
        return mlflow
    loaded = sys.modules.get("mlflow")
    return loaded if loaded is not None and loaded.is_tracking_uri_set() else None


def _under(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    """MLflow takes no ``@`` in names: ``N@10`` is ``N_at_10``, as its own metrics are called."""
    return {f"{prefix}/{name.replace('@', '_at_')}": value for name, value in figures.items()}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _short(cause: object) -> str:
    return str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
