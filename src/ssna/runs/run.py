"""Train or fit, evaluate, and keep everything in one folder."""

import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssna.compute import distributed
from ssna.compute.memory import MemoryMeter
from ssna.core.arguments import checked
from ssna.core.display import html_table
from ssna.core.errors import ArtifactError, SettingsError, keeping, option
from ssna.core.files import new_folder, write_file
from ssna.data.dataset import Dataset, SplitName
from ssna.evaluation import Evaluation, beyond_accuracy, evaluate
from ssna.evaluation.ranking import POLICIES
from ssna.methods import METHODS, FittedMethod, TrainedMethod
from ssna.recommender import Recommender
from ssna.recommender.artifact import IN_RUN
from ssna.runs.cold_start import ColdEvaluation, evaluate_cold
from ssna.runs.epoch_log import epoch_reports
from ssna.runs.fitting import fit_method, fitting_cache, run_device
from ssna.runs.recipes import resolve
from ssna.runs.record import (
    RECORD,
    SPLITS,
    RunRecord,
    about,
    commit,
    machine,
    read_evaluation,
    versions,
    write_evaluations,
)
from ssna.runs.warm_start import WarmStart, keep_weights
from ssna.text import LayerCache
from ssna.text import encode as encode_texts
from ssna.text.encoding import Dtype, Layers, Pooling
from ssna.training import RunSettings
from ssna.training.checkpoint import Checkpoint
from ssna.training.profiler import Profiler
from ssna.training.trainer import Weights

SETTINGS = "settings.toml"

_KEPT = f"nothing is kept; with {option('out', 'FOLDER')} training can go on where it was"


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its figures, what they derive from, and the recommender; ``cold`` is not read back."""

    record: RunRecord
    evaluations: dict[SplitName, Evaluation]
    recommender: Recommender
    cold: ColdEvaluation | None = None

    def __repr__(self) -> str:
        record = self.record
        reached = record.test["exclude_seen"]["N@10"]
        return f"<Run of {record.method} on {record.data['name'] or record.fingerprint}: test N@10 {reached:.4f}>"

    def _repr_html_(self) -> str:
        names = tuple(self.record.test["exclude_seen"])
        rows = [
            (split, policy.replace("_", " "), *(f"{figures[policy][name]:.4f}" for name in names))
            for split, figures in (("valid", self.record.valid), ("test", self.record.test))
            for policy in POLICIES
        ]
        return html_table(repr(self).strip("<>"), rows, ("split", "policy", *names))

    @classmethod
    @checked
    def load(cls, folder: Path | str) -> "Run":
        """From a run folder. Raises :class:`ArtifactError` if it is missing, foreign or damaged."""
        folder = Path(folder)
        record = RunRecord.read(folder)
        evaluations = {split: read_evaluation(folder, split) for split in SPLITS}
        return cls(record, evaluations, Recommender.load(folder / IN_RUN))


@checked
def encode(
    data: Dataset,
    model: str = "minilm",
    out: Path | str | None = None,
    *,
    layers: Layers = "all",
    pooling: Pooling = "mean",
    max_tokens: int | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
    quiet: bool = False,
) -> LayerCache:
    """States of every item text of ``data``, computed once; what a cache folder already holds is not read again.

    Args:
        data: what ``prepare`` or ``load_data`` returns.
        model: ``minilm``, a folder that ``save_pretrained`` wrote, or a hub id; an encoder or a decoder.
        out: the cache folder; None takes one in the user's cache directory that all data sets share.
        layers: ``"all"``, or how many of the top layers to keep.
        pooling: ``cls``, ``mean`` or ``last``.
        max_tokens: where longer texts are cut; None takes the model's own limit, at most 512.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: ``auto`` goes on as an existing cache began, and begins with 16 bits where they are faster.
        quiet: no progress on standard error.

    Raises:
        EncoderError: the model cannot be found, loaded or run so.
        CacheError: the folder is no cache, was made otherwise, is being written to, or the disk is full.
    """
    _require(data, Dataset, "encode takes what prepare (or load_data) returns as data")
    return encode_texts(
        data.texts,
        model,
        out,
        layers=layers,
        pooling=pooling,
        max_tokens=max_tokens,
        device=device,
        dtype=dtype,
        quiet=quiet,
    )[0]


@checked
def train(
    data: Dataset,
    cache: LayerCache | None = None,
    recipe: str | None = None,
    *,
    method: str | None = None,
    config: Path | str | None = None,
    settings: Iterable[str] = (),
    seed: int | None = None,
    out: Path | str | None = None,
    name: str | None = None,
    quiet: bool = False,
    resume: bool = False,
    profile: bool = False,
    init_from: Path | str | None = None,
) -> Run:
    """Train (or fit) a method on ``data``, evaluate it on both splits, and keep the run in ``out`` if given.

    Args:
        data: several data sets are learned from together as their :func:`ssna.union`.
        cache: states of the item texts; methods that read no text need none.
        recipe, method, config, settings, seed: see :func:`ssna.runs.resolve`; ``settings`` are assignments
            such as ``"training.epochs=5"``.
        out: run folder, replaced if it holds a run already.
        name: what tables call the data set.
        quiet: say nothing on standard error.
        resume: continue a run of the same settings into ``out`` that was cut off, if there is one; if it was finished
            instead, return it (all processes then read ``out``).
        profile: say on standard error, after the first epoch, where its time went.
        init_from: the folder of a run whose weights training starts from, instead of random ones: of the same method
            and width, on these or other data. Items are told by their ids; new ones begin as in any run. With
            ``training.epochs=0`` the run is evaluated on ``data`` as it is.

    Started by torchrun in several processes, all of them must call it: they share every step and every validation.
    The first one writes and reports; the run is returned in all.

    Raises:
        SsnaError: settings, cache and data do not fit together, or training diverges.
    """
    _require(data, Dataset, "train takes what prepare (or load_data) returns as data")
    if cache is not None:
        _require(cache, LayerCache, "train takes what encode returns as cache")
    resolved = resolve(recipe, method, None if config is None else Path(config), settings, seed)
    with distributed.process_group(run_device(resolved)):
        return execute(
            data,
            cache,
            resolved,
            out,
            name=name,
            quiet=quiet,
            resume=resume,
            profile=profile,
            init_from=init_from,
        )


def _require(given: object, kind: type, wanted: str) -> None:
    if not isinstance(given, kind):
        what = f"the path {str(given)!r}" if isinstance(given, str | Path) else f"a {type(given).__name__}"
        raise SettingsError(f"{wanted}, not {what}")


def execute(
    data: Dataset,
    cache: LayerCache | None,
    settings: RunSettings,
    out: Path | str | None = None,
    *,
    name: str | None = None,
    grid: dict[str, Any] | None = None,
    quiet: bool = False,
    pause: float = 0.0,
    resume: bool = False,
    profile: bool = False,
    init_from: Path | str | None = None,
) -> Run:
    """As :func:`train`, from settings that are resolved.

    Args:
        grid: kept in the record, see :class:`RunRecord`.
        pause: seconds, at least, between two lines about epochs.
        resume, profile, init_from: as for :func:`train`.
    """
    if profile and isinstance(METHODS[settings.method.name], FittedMethod):
        raise SettingsError(
            f"{settings.method.name} is fitted at once and has no epochs; leave {option('profile')} out"
        )
    cache = fitting_cache(settings, data, cache)
    warm_start = None if init_from is None else WarmStart.of(init_from, settings, data, cache)
    device = run_device(settings)
    verbose = distributed.is_main() and not quiet
    if out is not None:
        earlier, same = distributed.run_on_main(lambda: _earlier(Path(out), settings, data, cache, warm_start))
        if same and resume:
            run = Run.load(out)
            if verbose:
                print(f"{out} holds this run, finished: there is nothing to resume", file=sys.stderr, flush=True)
            return run
        if earlier is not None and verbose:
            then = "it will be replaced when this one is finished"
            print(f"{out} holds a run of {earlier}; {then}", file=sys.stderr, flush=True)
    kept = None if out is None or not distributed.is_main() else Path(out)
    with nullcontext() if kept is None else new_folder(kept, marker=RECORD) as folder:
        begun, code, memory = time.perf_counter(), commit(), MemoryMeter(device)
        trained = isinstance(METHODS[settings.method.name], TrainedMethod)
        epochs = settings.training.epochs if trained else 0
        with epoch_reports(folder if trained else None, epochs, not verbose, pause) as report:
            checkpoint = None if out is None else _checkpoint(out, data, cache, settings, warm_start, resume)
            profiler = (
                Profiler(lambda table: print(table, file=sys.stderr, flush=True))
                if profile and distributed.is_main()
                else None
            )
            with keeping(lambda: _KEPT if checkpoint is None else checkpoint.kept()):
                outcome = fit_method(data, cache, settings, device, report, checkpoint, profiler, warm_start)
        seconds, peak = time.perf_counter() - begun, memory.peak
        evaluations = {split: evaluate(outcome.scorer, data.split(split)) for split in SPLITS}
        encoding = None if cache is None else cache.encoding
        counts = np.bincount(data.train.values, minlength=len(data.items) + 1)
        cold = evaluate_cold(outcome.scorer, data, cache)
        record = RunRecord(
            method=settings.method.name,
            settings=settings.tree(),
            seed=settings.seed,
            fingerprint=data.fingerprint,
            data={"name": name, **about(data)},
            cache=None if encoding is None else encoding.tree(),
            epochs=[asdict(epoch) for epoch in outcome.epochs],
            batches=outcome.batches,
            best_epoch=outcome.best_epoch,
            ensemble=outcome.ensemble,
            new_items=[asdict(price) for price in outcome.prices] or None,
            trainable_parameters=outcome.parameters,
            seconds=seconds,
            peak_memory_bytes=peak,
            users=len(data.test),
            items=len(data.items),
            valid=evaluations["valid"].metrics(),
            test=evaluations["test"].metrics(),
            beyond={policy: beyond_accuracy(evaluations["test"].lists[policy], counts) for policy in POLICIES},
            machine=machine(str(device)),
            versions=versions(),
            commit=code,
            grid=grid,
            init_from=None if warm_start is None else warm_start.about(data),
            cold=None if cold is None else cold.figures(),
        )
        run = Run(record, evaluations, Recommender(outcome.scorer, data.items, data.texts, counts, encoding), cold)
        if folder is not None:
            _keep(run, data, settings, outcome.weights, folder)
    if checkpoint is not None:
        checkpoint.remove()
    return run


def _earlier(
    out: Path, settings: RunSettings, data: Dataset, cache: LayerCache | None, warm_start: WarmStart | None
) -> tuple[str | None, bool]:
    """The method of the run that is in ``out``, if there is one; and whether it is this very run, with no checkpoint of
    another try left."""
    try:
        record = RunRecord.read(out)
    except ArtifactError:
        return None, False
    states = None if cache is None else cache.encoding.tree()
    initial = None if record.init_from is None else record.init_from["weights"]
    there = (record.settings, record.fingerprint, record.cache, initial)
    same = there == (settings.tree(), data.fingerprint, states, None if warm_start is None else warm_start.digest)
    return record.method, same and not _checkpoint_of(out).exists()


def _checkpoint_of(out: Path | str) -> Path:
    """Next to the run's folder, which is there only once it is whole."""
    out = Path(out).resolve()
    return out.with_name(f".{out.name}.checkpoint")


def _checkpoint(
    out: Path | str,
    data: Dataset,
    cache: LayerCache | None,
    settings: RunSettings,
    warm_start: WarmStart | None,
    resume: bool,
) -> Checkpoint:
    states = None if cache is None else cache.encoding.tree()
    identity = {"settings": settings.tree(), "data": data.fingerprint, "states": states}
    identity |= {} if warm_start is None else {"initial weights": warm_start.digest}
    checkpoint = Checkpoint(_checkpoint_of(out), identity)
    if not resume:
        checkpoint.remove()
    return checkpoint


def _keep(run: Run, data: Dataset, settings: RunSettings, weights: Weights | None, folder: Path) -> None:
    write_file(folder / SETTINGS, settings.to_toml())
    write_evaluations(folder, data, run.evaluations)
    (folder / IN_RUN).mkdir()
    run.recommender.write(folder / IN_RUN)
    if weights is not None:
        keep_weights(weights, folder)
    if run.cold is not None:
        run.cold.write(folder)
    run.record.write(folder)
