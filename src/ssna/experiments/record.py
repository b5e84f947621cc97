"""What a run leaves behind in figures: ``record.json`` and ``ranks.parquet``."""

import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssna.data.dataset import Dataset, SplitName
from ssna.errors import ArtifactError
from ssna.evaluation import Evaluation
from ssna.evaluation.ranking import POLICIES
from ssna.files import read_json, write_json

RECORD, RANKS = "record.json", "ranks.parquet"
SPLITS: tuple[SplitName, ...] = ("valid", "test")


@dataclass(frozen=True)
class RunRecord:
    """The figures of a run and all that decided them; JSON values only.

    Attributes:
        method: name in ``METHODS``.
        settings: resolved, as in ``settings.toml``.
        fingerprint: of the data set.
        cache: model, revision and pooling of the states, or None.
        epochs: ``{"number", "loss", "seconds", "valid": {...}}`` each; empty for a training-free method.
        best_epoch: the epoch whose weights were kept, or None.
        join: shares of the model and of the scorers it is joined with, or None.
        seconds: training, validation and fitting together.
        peak_memory_bytes: the most the process ever held.
        items, users: size of the ranking, number of users ranked.
        valid, test: policy -> metric -> mean over users.
    """

    method: str
    settings: dict[str, Any]
    seed: int
    fingerprint: str
    cache: dict[str, Any] | None
    epochs: list[dict[str, Any]]
    best_epoch: int | None
    join: dict[str, float] | None
    trainable_parameters: int
    seconds: float
    peak_memory_bytes: int
    users: int
    items: int
    valid: dict[str, dict[str, float]]
    test: dict[str, dict[str, float]]
    versions: dict[str, str]
    commit: str | None

    def write(self, folder: Path) -> None:
        """As ``record.json``."""
        write_json(folder / RECORD, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """From a run folder. Raises :class:`ArtifactError` if it holds no record."""
        value = read_json(folder / RECORD, maker="ssna train")
        try:
            return cls(**value)
        except TypeError as cause:
            raise ArtifactError(f"{folder / RECORD} is no record of a run ({cause}); train again") from None


def write_evaluations(folder: Path, data: Dataset, evaluations: dict[SplitName, Evaluation]) -> None:
    """Ranks and lists of both splits, a row a user and split, as ``ranks.parquet``."""
    tables = []
    for split, evaluation in evaluations.items():
        columns: dict[str, Any] = {
            "split": pa.array([split] * len(evaluation.targets)),
            "user": pa.array(data.users.external),
            "target": evaluation.targets,
            "items": np.full(len(evaluation.targets), evaluation.items),
        }
        for policy in POLICIES:
            columns[f"rank_{policy}"] = evaluation.ranks[policy]
            flat = pa.array(evaluation.lists[policy].ravel())
            columns[f"top_{policy}"] = pa.FixedSizeListArray.from_arrays(flat, evaluation.lists[policy].shape[1])
        tables.append(pa.table(columns))
    pq.write_table(pa.concat_tables(tables), folder / RANKS, compression="zstd")


def read_evaluation(folder: Path, split: SplitName) -> Evaluation:
    """One split's evaluation back. Raises :class:`ArtifactError` if the file is missing or damaged."""
    try:
        table = pq.read_table(folder / RANKS, filters=[("split", "=", split)]).combine_chunks()
        return Evaluation(
            targets=table["target"].to_numpy(),
            ranks={policy: table[f"rank_{policy}"].to_numpy() for policy in POLICIES},
            lists={policy: _matrix(table[f"top_{policy}"]) for policy in POLICIES},
            items=int(table["items"][0].as_py()),
        )
    except (OSError, KeyError, IndexError, ValueError, pa.ArrowException) as cause:
        raise ArtifactError(f"{folder / RANKS} is missing or damaged ({cause}); train again") from None


def _matrix(column: Any) -> Any:
    lists = column.combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    return lists.flatten().to_numpy().reshape(len(lists), -1)


def versions() -> dict[str, str]:
    """Of Python and of the libraries that figures depend on."""
    libraries = ("ssna", "torch", "transformers", "numpy", "scipy")
    return {"python": platform.python_version(), **{name: version(name) for name in libraries}}


def commit() -> str | None:
    """The commit that the package runs from, with ``-dirty`` for uncommitted changes; None outside a checkout."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        tracked = subprocess.run(
            ["git", "-C", str(here), "ls-files", "--error-unmatch", __file__], capture_output=True, check=False
        )
        if tracked.returncode:
            return None
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
