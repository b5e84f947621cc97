"""Run folders in groups that may be compared: by data set and language model, then by entry, then by seed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssna.core.errors import ArtifactError
from ssna.evaluation.metrics import monitored
from ssna.evaluation.ranking import Policy
from ssna.runs import RunRecord
from ssna.runs.record import RECORD


@dataclass(frozen=True)
class RunFolder:
    """A finished run: its folder, which holds the ranks, and its record."""

    path: Path
    record: RunRecord


@dataclass(frozen=True)
class Entry:
    """One method of a table: its best configuration by the monitored metric of validation, one run a seed.

    Attributes:
        name: the grid's name for it, or the run folder's (of several seeds what their names have before a number).
        runs: of the best configuration, by rising seed.
        configuration: what the grid varied, at its best values (dotted key -> value).
        tried: how many configurations it was chosen from.
        candidates: every run of the entry, of all configurations.
    """

    name: str
    runs: tuple[RunFolder, ...]
    configuration: dict[str, Any]
    tried: int
    candidates: tuple[RunFolder, ...]

    @property
    def record(self) -> RunRecord:
        """Of the first seed."""
        return self.runs[0].record

    def figures(self, policy: Policy, metric: str) -> np.ndarray[Any, Any]:
        """``(seeds,)`` of a test metric."""
        return np.array([run.record.test[policy][metric] for run in self.runs])


@dataclass(frozen=True)
class ResultGroup:
    """Entries that may be compared: one data set, one language model (and entries that read none)."""

    fingerprint: str
    data: dict[str, Any]
    model: str | None
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        """The data set's name, or its fingerprint."""
        return str(self.data["name"] or self.fingerprint)

    @property
    def split(self) -> str:
        """How the test events were held out, in words."""
        return "last item of every user" if self.data["split"] == "leave-one-out" else "split by time"

    @property
    def metadata(self) -> dict[str, str]:
        """Data set, split and language model that the figures belong to, for programs to read."""
        return {
            "data": self.title,
            "fingerprint": self.fingerprint,
            "split": self.data["split"],
            "model": self.model or "",
        }

    @property
    def note(self) -> str:
        """Data, users, items and split: a note for every table and plot."""
        users, items = self.entries[0].record.users, self.entries[0].record.items
        name = f"{self.data['name']} " if self.data["name"] else ""
        return f"{name}{self.fingerprint}: {users:,} users, all {items:,} items ranked, {self.split}"


def find(paths: Iterable[Path]) -> list[RunFolder]:
    """The runs that ``paths`` are, or hold at any depth, in order of their paths.

    Raises:
        ArtifactError: a path does not exist or holds no run, or a run is damaged.
    """
    folders: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise ArtifactError(f"{path} does not exist; name what `ssna train` or `ssna grid` made")
        found = [path] if (path / RECORD).is_file() else sorted(file.parent for file in path.rglob(RECORD))
        found = [folder for folder in found if not _is_unfinished(folder, path)]
        if not found:
            raise ArtifactError(f"{path} holds no run (no {RECORD}); name what `ssna train` or `ssna grid` made")
        folders |= dict.fromkeys(found)
    runs = [RunFolder(folder, RunRecord.read(folder)) for folder in folders]
    if unknown := [run for run in runs if not run.record.test]:
        raise ArtifactError(
            f"{unknown[0].path} learned from all events, so nothing is left to evaluate it on; compare the run that "
            "chose its epochs and weights"
        )
    return runs


def result_groups(runs: Sequence[RunFolder]) -> list[ResultGroup]:
    """Runs by data set and language model; a run that reads no text is in the group of every model of its data set."""
    result = []
    fingerprints = dict.fromkeys(run.record.fingerprint for run in runs)
    for fingerprint in fingerprints:
        same = [run for run in runs if run.record.fingerprint == fingerprint]
        models: list[str | None] = [
            *dict.fromkeys(model for run in same if (model := model_of(run.record)) is not None)
        ]
        for model in models or [None]:
            members = [run for run in same if model_of(run.record) in (model, None)]
            result.append(ResultGroup(fingerprint, members[0].record.data, model, tuple(_entries(members))))
    return result


def model_of(record: RunRecord) -> str | None:
    """The language model whose states a run read: the last part of its name."""
    return None if record.cache is None else str(record.cache["model"]).rstrip("/").rsplit("/", 1)[-1]


def _entries(runs: Sequence[RunFolder]) -> Iterable[Entry]:
    of_grids = {run.record.grid["entry"] for run in runs if run.record.grid}
    plain = _plain_names([run for run in runs if run.record.grid is None], of_grids)
    named: dict[str, list[RunFolder]] = defaultdict(list)
    for run in runs:
        named[run.record.grid["entry"] if run.record.grid else plain[run.path]].append(run)
    for name, candidates in named.items():
        yield choose(name, candidates)


def _plain_names(runs: Sequence[RunFolder], taken: Set[str]) -> dict[Path, str]:
    """Names for runs of no grid: the folder's, its whole path where that is ``taken`` or two are alike.

    Runs that differ in nothing but the seed have one name, what their folders' names have before a number, and so are
    one entry.
    """
    alike: dict[str, list[RunFolder]] = defaultdict(list)
    for run in runs:
        init_from = run.record.init_from and run.record.init_from["fingerprint"]
        alike[repr((_settings_without_seed(run.record), run.record.cache, init_from))].append(run)
    entries: list[list[RunFolder]] = []
    for same in alike.values():
        seeds = {run.record.seed for run in same}
        entries += [same] if len(seeds) == len(same) else [[run] for run in same]
    names = [_common_name(entry) for entry in entries]
    return {
        run.path: name if names.count(name) == 1 and name not in taken else str(entry[0].path)
        for name, entry in zip(names, entries, strict=True)
        for run in entry
    }


def _common_name(entry: Sequence[RunFolder]) -> str:
    """``best`` for ``best-0`` and ``best-1``; the method's where folders are called differently."""
    if len(entry) == 1:
        return entry[0].path.name
    names = {run.path.name.rstrip("0123456789-_=. ") for run in entry} - {""}
    return names.pop() if len(names) == 1 else entry[0].record.method


def _settings_without_seed(record: RunRecord) -> str:
    return repr(sorted((key, value) for key, value in record.settings.items() if key != "seed"))


def choose(name: str, candidates: Sequence[RunFolder]) -> Entry:
    """The entry ``name`` of ``candidates``: the best configuration by the mean of :func:`validation_score`.

    Means are over the seeds that all configurations have.
    """
    configurations: dict[str, list[RunFolder]] = defaultdict(list)
    for run in candidates:
        configurations[_settings_without_seed(run.record)].append(run)
    shared = set.intersection(*({run.record.seed for run in runs} for runs in configurations.values()))

    def mean_score(runs: list[RunFolder]) -> float:
        counted = [run for run in runs if run.record.seed in shared] or runs
        return float(np.mean([validation_score(run.record) for run in counted]))

    best = max(configurations.values(), key=mean_score)
    best = sorted(best, key=lambda run: run.record.seed)
    grid = best[0].record.grid
    return Entry(name, tuple(best), grid["configuration"] if grid else {}, len(configurations), tuple(candidates))


def monitor_of(record: RunRecord) -> str:
    """The metric that the run was monitored by and that a grid selects by: its setting ``training.monitor``."""
    return str(record.settings["training"]["monitor"])


def validation_score(record: RunRecord) -> float:
    """The run's :func:`monitor_of` on validation, seen items excluded."""
    return monitored(record.valid["exclude_seen"], monitor_of(record))


def _is_unfinished(folder: Path, root: Path) -> bool:
    """Whether a run is still being written, or was left unfinished by a kill."""
    return any(part.startswith(".") for part in folder.relative_to(root).parts)
