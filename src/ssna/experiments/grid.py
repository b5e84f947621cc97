"""Grids of runs: one TOML file, one folder a run, shared by as many processes as care to join.

A run is claimed by a lock that the system releases when its process ends, however it ends; it is finished when its
folder stands, and folders appear whole. So a grid may be killed and started again, or started twice.
"""

import fcntl
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from ssna.data import Dataset, load
from ssna.errors import SettingsError, SsnaError, TrainingError
from ssna.experiments.plan import Experiment, Task, tasks
from ssna.experiments.record import RECORD, RunRecord
from ssna.experiments.run import execute
from ssna.text import LayerCache

CLAIMS = ".claims"
PAUSE = 1.0  # seconds between looks at what other processes are still running
MINUTE = 60.0  # between two lines about the epochs of a run


def run_grid(experiment: Experiment, out: Path, root: Path, rehearse: bool = False, quiet: bool = False) -> list[Path]:
    """Run what is not finished, winners last; the folders of all runs, those of other processes too.

    Args:
        out: where run folders go: ``out / data / entry / point``.
        root: where the experiment's data and cache folders lie.
        rehearse: cut every run short, as the experiment says.
        quiet: say nothing on standard error.

    Raises:
        SettingsError: a setting is wrong, or ``out`` holds a run of the same name with other settings.
        DataError, CacheError: a data set or a cache is missing; nothing has run then.
        TrainingError: some runs failed; all others are finished.
    """
    first = tasks(experiment, rehearse)
    workshop = _Workshop(out, root, quiet)
    workshop.check(first)
    failed = workshop.work(first)
    finished = [task for task in first if task not in failed]
    last = [
        replace(best, settings=best.settings.model_copy(update={"seed": seed}))
        for best in _winners(finished, out)
        for seed in (experiment.winners if best.entry.winners is None else best.entry.winners)
        if seed not in experiment.seeds
    ]
    failed += workshop.work(last)
    if failed:
        names = ", ".join(str(task.folder) for task in failed[:3])
        raise TrainingError(f"{len(failed)} of {len(first) + len(last)} runs failed ({names}); all others are finished")
    return [out / task.folder for task in (*first, *last)]


class _Workshop:
    """One process's part in a grid."""

    def __init__(self, out: Path, root: Path, quiet: bool) -> None:
        self.out, self.root, self.quiet = out, root, quiet
        self._data: tuple[str, Dataset] | None = None
        self._fingerprints: dict[str, str] = {}

    def say(self, line: str) -> None:
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)

    def check(self, planned: Sequence[Task]) -> None:
        """Every data set and cache can be opened, and finished runs are those that are planned."""
        for task in planned:
            self._fingerprints[task.place.name] = self.inputs(task)[0].fingerprint
            self.finished(task)

    def work(self, planned: Sequence[Task]) -> list[Task]:
        """Run or await every task; those that failed here."""
        failed: list[Task] = []
        pending, ran, seconds = list(planned), 0, 0.0
        while pending:
            busy = []
            for place, task in enumerate(pending):
                if self.finished(task):
                    continue
                with self.claimed(task) as mine:
                    if not mine:
                        busy.append(task)
                    elif not self.finished(task):  # another process may have finished it just before
                        start = time.perf_counter()
                        if not self.run(task):
                            failed.append(task)
                        ran, seconds = ran + 1, seconds + time.perf_counter() - start
                        ahead = len(pending) - place - 1
                        if ahead:
                            self.say(f"    {ahead} more, at most {_time(ahead * seconds / ran)} at this pace")
            if busy == pending:
                time.sleep(PAUSE)
            pending = busy
        return failed

    def run(self, task: Task) -> bool:
        """Train or fit; whether it went well."""
        data, cache = self.inputs(task)
        folder = self.out / task.folder
        for left in folder.parent.glob(f".{folder.name}.*"):  # by a kill: the claim is ours, so nobody writes there
            shutil.rmtree(left, ignore_errors=True)
        self.say(f"{task.folder}")
        about = {"data": task.place.name, "entry": task.entry.name, "point": task.point}
        try:
            run = execute(
                data,
                cache,
                task.settings,
                folder,
                name=task.place.name,
                experiment=about,
                quiet=self.quiet,
                pause=MINUTE,
            )
        except SsnaError as error:
            self.say(f"    FAILED: {error}")
            return False
        record = run.record
        epochs = f", {len(record.epochs)} epochs" if record.epochs else ""
        valid = record.valid["exclude_seen"]["R@10"]
        self.say(f"    valid R@10 {valid:.4f}  {record.seconds:.1f} s{epochs}")
        return True

    def inputs(self, task: Task) -> tuple[Dataset, LayerCache | None]:
        """The data set, which stays loaded for the next task, and the cache of its texts."""
        if self._data is None or self._data[0] != task.place.folder:
            self._data = task.place.folder, load(self.root / task.place.folder)
        data = self._data[1]
        return data, None if task.cache is None else LayerCache.open(self.root / task.cache, data.texts)

    def finished(self, task: Task) -> bool:
        """Whether the run stands. Raises :class:`SettingsError` if another one stands there."""
        folder = self.out / task.folder
        if not (folder / RECORD).is_file():
            return False
        record = RunRecord.read(folder)
        if record.settings != task.settings.tree():
            how = "was rehearsed, or run with other settings" if record.rehearsal else "was run with other settings"
            raise SettingsError(f"{folder} {how}; give another -o, or delete that run")
        if record.fingerprint != self._fingerprints[task.place.name]:
            raise SettingsError(f"{folder} stands on other data ({record.fingerprint}); give another -o, or delete it")
        return True

    @contextmanager
    def claimed(self, task: Task) -> Iterator[bool]:
        """Whether this process alone may run the task, until the block ends or the process dies."""
        path = self.out / CLAIMS / str(task.folder).replace("/", "--")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def _winners(finished: Sequence[Task], out: Path) -> Iterator[Task]:
    """The first task of the best point of every entry on every data set."""
    for _, group in groupby(finished, key=lambda task: (task.place, task.model, task.entry.name)):
        points = [list(same) for _, same in groupby(group, key=lambda task: task.point)]
        yield max(points, key=lambda same: _validation(same, out))[0]


def _validation(same: Sequence[Task], out: Path) -> float:
    records = [RunRecord.read(out / task.folder) for task in same]
    return float(np.mean([record.valid["exclude_seen"]["R@10"] for record in records]))


def _time(seconds: float) -> str:
    if seconds > 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
