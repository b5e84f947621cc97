"""Grids of runs: one TOML file, one folder a run, shared by as many processes as care to join.

A run is claimed by a lock that the system releases when its process ends, however it ends; it is finished when its
folder is there, and folders appear whole. So a grid may be killed and restarted, or started twice.
"""

import shutil
import sys
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np

from ssna.core.errors import SettingsError, SsnaError, TrainingError, keeping
from ssna.core.locks import is_locked, try_lock
from ssna.data import Dataset, load
from ssna.evaluation.metrics import monitored
from ssna.grid.spec import EntryPlan, GridSpec, Task, tasks
from ssna.methods.text_linear import TextLinearSettings
from ssna.methods.tuned import FullSettings
from ssna.runs.execute import execute
from ssna.runs.fitting import reads_text
from ssna.runs.record import RECORD, RunRecord
from ssna.text import LayerCache

CLAIMS = ".claims"
PAUSE = 1.0  # seconds between looks at what other processes are still running
MINUTE = 60.0  # between two lines about the epochs of a run

State = Literal["done", "running", "to do"]


@dataclass(frozen=True)
class Survey:
    """What of a grid is done, running and to do.

    Attributes:
        runs: every run that is known by now, with its state.
        later: how many more there will be: further seeds of best configurations that are not known yet.
        problems: a line for each thing that keeps the grid from running.
    """

    runs: tuple[tuple[Task, State], ...]
    later: int
    problems: tuple[str, ...]


def survey(spec: GridSpec, out: Path, root: Path, dry_run: bool = False) -> Survey:
    """A look at a grid that changes nothing; arguments as :func:`run_grid`.

    Raises:
        SettingsError: a setting is wrong.
    """
    runner = GridRunner(out, root, quiet=True)
    first = tasks(spec, dry_run)
    problems = runner.problems(first)
    runs = [(task, runner.state(task)) for task in first]
    rows = [list(row) for _, row in groupby(runs, key=lambda run: _row(run[0]))]
    whole = [task for row in rows if all(state == "done" for _, state in row) for task, _ in row]
    last = _best_with_more_seeds(spec, whole, out)
    later = sum(len(_more_seeds(spec, row[0][0].entry)) for row in rows) - len(last)
    return Survey((*runs, *((task, runner.state(task)) for task in last)), later, tuple(problems))


def run_grid(spec: GridSpec, out: Path, root: Path, dry_run: bool = False, quiet: bool = False) -> list[Path]:
    """Run what is not finished, more seeds of best configurations last; the folders of all runs, those of other
    processes too.

    Args:
        out: where run folders go: ``out / data / entry / configuration``.
        root: where the grid's data and cache folders lie.
        dry_run: cut every run short, as the grid's file says.
        quiet: say nothing on standard error.

    Raises:
        SettingsError: a setting is wrong, a data set or a cache is missing or does not fit, or ``out`` holds a run
            of the same name with other settings; nothing has run then.
        TrainingError: some runs failed; all others are finished.
    """
    first = tasks(spec, dry_run)
    runner = GridRunner(out, root, quiet)
    if problems := runner.problems(first):
        others = f" ({len(problems) - 1} more: ssna grid --plan)" if len(problems) > 1 else ""
        raise SettingsError(problems[0] + others)
    with keeping(lambda: f"runs that are finished are kept in {out}; start the grid again to go on"):
        failed = runner.work(first)
        last = _best_with_more_seeds(spec, [task for task in first if task not in failed], out)
        failed += runner.work(last)
    if failed:
        names = ", ".join(str(task.folder) for task in failed[:3])
        raise TrainingError(f"{len(failed)} of {len(first) + len(last)} runs failed ({names}); all others are finished")
    return [out / task.folder for task in (*first, *last)]


class GridRunner:
    """One process's part in a grid."""

    def __init__(self, out: Path, root: Path, quiet: bool) -> None:
        self.out, self.root, self.quiet = out, root, quiet
        self._data: tuple[str, Dataset] | None = None
        self._caches: dict[str, LayerCache] = {}
        self._fingerprints: dict[str, str] = {}

    def say(self, line: str) -> None:
        """On standard error, unless quiet."""
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)

    def problems(self, planned: Sequence[Task]) -> list[str]:
        """Data sets and caches that are missing or do not fit, and finished runs that are not those planned."""
        found: dict[str, None] = {}
        for task in planned:
            try:
                data, cache = self.inputs(task)
                self._fingerprints[task.place.name] = data.fingerprint
                _check_cache(task, cache, self.root / task.place.folder)
                self.finished(task)
            except SsnaError as error:
                found[f"data set {task.place.name}: {'; '.join(error.for_command_line.splitlines())}"] = None
        return list(found)

    def state(self, task: Task) -> State:
        """What the task is now; "to do", too, if another run is in its place."""
        with suppress(SsnaError):
            if self.finished(task):
                return "done"
        return "running" if self.running(task) else "to do"

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
                        remaining = len(pending) - place - 1
                        if remaining:
                            self.say(f"    {remaining} more, at most {_time(remaining * seconds / ran)} at this pace")
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
        about = {"data": task.place.name, "entry": task.entry.name, "configuration": task.configuration}
        try:
            run = execute(
                data,
                cache,
                task.settings,
                folder,
                name=task.place.name,
                grid=about,
                quiet=self.quiet,
                pause=MINUTE,
                resume=True,
            )
        except SsnaError as error:
            self.say(f"    FAILED: {error.for_command_line}")
            return False
        record = run.record
        epochs = f", {len(record.epochs)} epochs" if record.epochs else ""
        monitor = task.settings.training.monitor
        valid = monitored(record.valid["exclude_seen"], monitor)
        self.say(f"    valid {monitor} {valid:.4f}  {record.seconds:.1f} s{epochs}")
        return True

    def inputs(self, task: Task) -> tuple[Dataset, LayerCache | None]:
        """The data set and the cache of its texts, which stay open for the next task."""
        if self._data is None or self._data[0] != task.place.folder:
            self._data, self._caches = (task.place.folder, load(self.root / task.place.folder)), {}
        data = self._data[1]
        if task.cache is None:
            return data, None
        if task.cache not in self._caches:
            self._caches[task.cache] = LayerCache.open(self.root / task.cache, data.texts, data.items.external)
        return data, self._caches[task.cache]

    def finished(self, task: Task) -> bool:
        """Whether the run is finished. Raises :class:`SettingsError` if another one is there."""
        folder = self.out / task.folder
        if not (folder / RECORD).is_file():
            return False
        record = RunRecord.read(folder)
        if record.settings != task.settings.tree():
            how = "was a dry run, or run with other settings" if record.dry_run else "was run with other settings"
            raise SettingsError(f"{folder} {how}; give another -o, or delete that run")
        if record.fingerprint != self._fingerprints.get(task.place.name, record.fingerprint):
            raise SettingsError(f"{folder} is of other data ({record.fingerprint}); give another -o, or delete it")
        return True

    @contextmanager
    def claimed(self, task: Task) -> Iterator[bool]:
        """Whether this process alone may run the task, until the block ends or the process dies."""
        path = self.claim(task)
        path.parent.mkdir(parents=True, exist_ok=True)
        with try_lock(path) as mine:
            yield mine

    def running(self, task: Task) -> bool:
        """Whether a process has claimed the task; looking leaves no file behind."""
        return is_locked(self.claim(task))

    def claim(self, task: Task) -> Path:
        """The file that is locked while the task runs."""
        return self.out / CLAIMS / str(task.folder).replace("/", "--")


def _check_cache(task: Task, cache: LayerCache | None, data: Path) -> None:
    """Raises :class:`SettingsError` with the remedy unless the cache is what the run's settings ask for."""
    if cache is None:
        if readers := reads_text(task.settings):
            raise SettingsError(
                f"the method {readers[0]} reads item texts: run `ssna encode {data} -o CACHE` and put "
                'cache = "CACHE" under [[data]]'
            )
        return
    wanted, method = task.settings.text.pooling, task.settings.method
    if cache.encoding.has_model and wanted not in (None, cache.pooling):
        raise SettingsError(
            f"{cache.folder} holds {cache.pooling} vectors, the settings ask for {wanted}: run `ssna encode {data} "
            f"-o ANOTHER --pooling {wanted}` and name that folder, or put "
            f'"text.pooling" = "{cache.pooling}" under [settings]'
        )
    depth = cache.encoding.depth
    held = depth if isinstance(method, FullSettings) else len(cache.layers)  # full tunes the model, whatever is held
    layers = 1 if isinstance(method, TextLinearSettings) else getattr(method, "layers", 1)  # which takes what there is
    if cache.encoding.has_model and layers > held:
        raise SettingsError(
            f"{cache.folder} holds {held} of the model's {depth} layers, entry {task.entry.name} asks for "
            f"method.layers = {layers}: set fewer, or run `ssna encode {data} -o ANOTHER --layers all`"
        )


def _best_with_more_seeds(spec: GridSpec, finished: Sequence[Task], out: Path) -> list[Task]:
    """The best configuration of every entry, with further seeds."""
    return [
        replace(best, settings=best.settings.model_copy(update={"seed": seed}))
        for best in _best_configurations(finished, out)
        for seed in _more_seeds(spec, best.entry)
    ]


def _more_seeds(spec: GridSpec, entry: EntryPlan) -> list[int]:
    seeds = spec.more_seeds if entry.more_seeds is None else entry.more_seeds
    return [seed for seed in seeds if seed not in spec.seeds]


def _row(task: Task) -> tuple[Hashable, ...]:
    """What tasks of one entry on one data set and language model share."""
    return task.place.name, task.model, task.entry.name


def _best_configurations(finished: Sequence[Task], out: Path) -> Iterator[Task]:
    """The first task of the best configuration of every entry on every data set."""
    for _, group in groupby(finished, key=_row):
        configurations = [list(same) for _, same in groupby(group, key=lambda task: task.configuration)]
        yield max(configurations, key=lambda same: _validation(same, out))[0]


def _validation(same: Sequence[Task], out: Path) -> float:
    records = [RunRecord.read(out / task.folder) for task in same]
    monitor = same[0].settings.training.monitor
    return float(np.mean([monitored(record.valid["exclude_seen"], monitor) for record in records]))


def _time(seconds: float) -> str:
    if seconds > 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
