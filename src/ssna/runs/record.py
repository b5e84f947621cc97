"""What a run leaves behind in figures: ``record.json``, ``ranks.parquet`` and ``lists.parquet``."""

import platform
import subprocess
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from ssna.compute import distributed
from ssna.core.errors import ArtifactError, SettingsError
from ssna.core.files import read_json, write_json
from ssna.core.ragged import Ints
from ssna.data.dataset import Dataset, IdMap, SplitName
from ssna.evaluation import Evaluation
from ssna.evaluation.ranking import POLICIES, TOP
from ssna.recommender.artifact import read_ids
from ssna.training import RunSettings

RECORD, RANKS, LISTS = "record.json", "ranks.parquet", "lists.parquet"
SPLITS: tuple[SplitName, ...] = ("valid", "test")


@dataclass(frozen=True)
class RunRecord:
    """The figures of a run and all that decided them; JSON values only.

    Attributes:
        method: name in ``METHODS``.
        settings: resolved, as in ``settings.toml``.
        fingerprint: of the data set.
        data: what it is: its folder's name (or None), counts of users, items and interactions, and how it is split.
        cache: model, revision and pooling of the states, or None.
        epochs: ``{"number", "loss", "seconds", "batches", "valid": {...}, "distilled", "restarted"}`` each, those of a
            discarded trial among them; empty for a training-free method.
        batches: how many a whole epoch has; an epoch of ``training.limit_train_batches`` has fewer.
        best_epoch: the epoch whose weights were kept, or None.
        ensemble: weights of the model and of the other members, or None.
        new_items: ``{"exposure", "old", "new"}`` each: the ensemble's monitor on validation of questions about old and
            about new items, where new ones are raised by ``exposure``; or None.
        seconds: training, validation and fitting together.
        peak_memory_bytes: on a GPU the device memory held at most; on a CPU the process's, above its start.
        items, users: size of the ranking, number of users ranked on the test split.
        valid, test: policy -> metric -> mean over users.
        beyond: policy -> coverage, novelty and share of popular items of the first ten on the test split.
        grid: for a run of a grid its ``"data"``, ``"entry"`` and ``"configuration"`` (dotted key -> value); else None.
        init_from: the run whose weights training began with: its name, fingerprint of data, digest of weights, and how
            many items it knew; else None.
        cold: where items held out from the data rank, or None: see :mod:`ssna.runs.cold_start`.
        refit: where the model that is kept was then trained on all events: their number, the epochs, the seconds that
            took, and which figures are of the model before that; or of a run that chose for this one; else None.
        machine: processor, threads and device that seconds and memory belong to; ``processes`` if several shared the
            run (memory is then that of the first)
    """

    method: str
    settings: dict[str, Any]
    seed: int
    fingerprint: str
    data: dict[str, Any]
    cache: dict[str, Any] | None
    epochs: list[dict[str, Any]]
    batches: int
    best_epoch: int | None
    ensemble: dict[str, float] | None
    trainable_parameters: int
    seconds: float
    peak_memory_bytes: int
    users: int
    items: int
    valid: dict[str, dict[str, float]]
    test: dict[str, dict[str, float]]
    beyond: dict[str, dict[str, float]]
    machine: dict[str, Any]
    versions: dict[str, str]
    commit: str | None
    grid: dict[str, Any] | None = field(default=None)
    init_from: dict[str, Any] | None = field(default=None)
    cold: dict[str, Any] | None = field(default=None)
    new_items: list[dict[str, float]] | None = field(default=None)
    refit: dict[str, Any] | None = field(default=None)

    def __repr__(self) -> str:
        return f"<RunRecord of {self.title}>"

    @property
    def title(self) -> str:
        """Method, data and test N@10, in a line."""
        reached = f"test N@10 {self.test['exclude_seen']['N@10']:.4f}" if self.test else "nothing evaluated"
        return f"{self.method} on {self.data['name'] or self.fingerprint}: {reached}"

    @property
    def dry_run(self) -> bool:
        """Whether the run was cut short on purpose, so that its figures are no result."""
        return bool(self.settings["dry_run"])

    def write(self, folder: Path) -> None:
        """As ``record.json``."""
        write_json(folder / RECORD, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """From a run folder.

        Raises:
            ArtifactError: it holds no record, or that of another version of ssna.
        """
        value = read_json(folder / RECORD, maker="ssna train", runs=RECORD)
        try:
            record = cls(**value)
            RunSettings.parse(record.settings)
        except (TypeError, SettingsError) as cause:
            reason = str(cause).replace("RunRecord.__init__() ", "")
            raise ArtifactError(f"{folder / RECORD} is no record of this version ({reason}); train again") from None
        return record


def write_evaluations(folder: Path, data: Dataset, evaluations: dict[SplitName, Evaluation]) -> None:
    """Ranks and lists of both splits, a row a user and split, with the ids of the logs.

    ``ranks.parquet``: user and target, what is known of them from the training events (``history``: length of the
    history ranked from, ``events``: training events of the target), and the ranks. ``lists.parquet``: user and the best
    items.
    """
    counts = np.bincount(data.train.values, minlength=len(data.items) + 1)
    ranks, lists = [], []
    for name, evaluation in evaluations.items():
        split = data.split(name)
        who: dict[str, Any] = {
            "split": pa.array([name] * len(evaluation.targets)),
            "user": data.users.column.take(pa.array(split.users)),
        }
        columns = who | {
            "target": data.items.column.take(pa.array(evaluation.targets - 1)),
            "items": np.full(len(evaluation.targets), evaluation.items),
            "history": split.seen.lengths,
            "events": counts[evaluation.targets],
        }
        ranks.append(pa.table(columns | {f"rank_{policy}": evaluation.ranks[policy] for policy in POLICIES}))
        best = {f"top_{policy}": _ids(data.items, evaluation.lists[policy]) for policy in POLICIES}
        lists.append(pa.table(who | best))
    pq.write_table(pa.concat_tables(ranks), folder / RANKS, compression="zstd")
    pq.write_table(pa.concat_tables(lists), folder / LISTS, compression="zstd")


def read_evaluation(folder: Path, split: SplitName) -> Evaluation:
    """One split's evaluation back. Raises :class:`ArtifactError` if a file is missing or damaged."""
    ranks, lists, known = read_ranks(folder, split), _read(folder / LISTS, split), read_ids(folder)
    try:
        items = int(ranks["items"][0].as_py())
        return Evaluation(
            targets=_rows(known, ranks["target"]),
            ranks={policy: ranks[f"rank_{policy}"].to_numpy() for policy in POLICIES},
            lists={policy: _matrix(known, lists[f"top_{policy}"], min(TOP, items)) for policy in POLICIES},
            items=items,
        )
    except (KeyError, IndexError, ValueError, pa.ArrowException) as cause:
        raise ArtifactError(f"{folder} holds damaged ranks or lists ({cause}); train again") from None


def read_ranks(folder: Path, split: SplitName) -> pa.Table:
    """``ranks.parquet``, one split of it. Raises :class:`ArtifactError` if the file is missing or damaged."""
    return _read(folder / RANKS, split)


def _read(path: Path, split: SplitName) -> pa.Table:
    try:
        return pq.read_table(path, filters=[("split", "=", split)]).combine_chunks()
    except (OSError, ValueError, pa.ArrowException) as cause:
        raise ArtifactError(f"{path} is missing or damaged ({cause}); train again") from None


def _ids(items: IdMap, lists: NDArray[np.int32]) -> Any:
    """``(n, k)`` item rows, 0 where there is none -> ``n`` lists of ids."""
    there = lists > 0
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), items.column.take(pa.array(lists[there] - 1)))


def _rows(items: IdMap, column: Any) -> Ints:
    """``(n,)`` item rows of a column of ids; runs of earlier versions have rows in it."""
    if pa.types.is_integer(column.type):
        return np.asarray(column)
    rows = items.rows_of(column)
    if not rows.all():
        raise ValueError(f"{column[int(np.argmin(rows))]} is no item of the model")
    return rows


def _matrix(items: IdMap, column: Any, width: int) -> NDArray[np.int32]:
    """``n`` lists -> ``(n, width)`` item rows, 0 behind the end of a list."""
    lists = column.combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    found = np.zeros((len(lists), width), dtype=np.int32)
    found[np.arange(width) < lengths[:, None]] = _rows(items, lists.flatten())
    return found


def about(data: Dataset) -> dict[str, Any]:
    """What a record says of the data set besides its fingerprint."""
    return {
        "users": len(data.users),
        "items": len(data.items),
        "interactions": len(data.histories.items),
        "split": data.protocol,
    }


def machine(device: str) -> dict[str, Any]:
    """Processor, threads and device of this run, and its processes if they are several."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    shared = {"processes": distributed.world_size()} if distributed.world_size() > 1 else {}
    return shared | {
        "processor": names[0] if names else platform.processor(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def versions() -> dict[str, str]:
    """Of Python and of the libraries that figures depend on."""
    libraries = ("ssna", "torch", "transformers", "peft", "numpy", "scipy")
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
