"""Train or fit, evaluate, and keep everything in one folder."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssna.compute import distributed
from ssna.compute.memory import MemoryMeter
from ssna.core.errors import ArtifactError, SettingsError, for_python, keeping, option
from ssna.core.files import new_folder, write_file
from ssna.core.ragged import Ints
from ssna.data.attributes import Attributes
from ssna.data.dataset import Dataset
from ssna.evaluation import beyond_accuracy, evaluate
from ssna.methods import METHODS, TrainedMethod
from ssna.recommender import Recommender
from ssna.recommender.artifact import IN_RUN
from ssna.runs.cold_start import evaluate_cold, shortfall
from ssna.runs.epoch_log import OnEpoch, epoch_reports
from ssna.runs.finished import Run
from ssna.runs.fitting import Outcome, Report, fit_method, fitting_cache, run_device
from ssna.runs.mlflow_log import mlflow_log
from ssna.runs.new_items import with_new_items
from ssna.runs.record import RECORD, SPLITS, RunRecord, about, commit, machine, versions, write_evaluations
from ssna.runs.refit import Choices, fit_chosen, on_all_events
from ssna.runs.warm_start import WarmStart, keep_weights
from ssna.text import LayerCache
from ssna.training import RunSettings
from ssna.training.checkpoint import Checkpoint
from ssna.training.profiler import Profiler
from ssna.training.trainer import Weights

SETTINGS = "settings.toml"

_KEPT = f"nothing is kept; with {option('out', 'FOLDER')} training can go on where it was"


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
    refit: bool = False,
    chosen_in: Path | None = None,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """As :func:`ssna.runs.train`, from settings that are resolved.

    Args:
        grid: kept in the record, see :class:`RunRecord`.
        pause: seconds, at least, between two lines about epochs.
        resume, profile, init_from, refit, on_epoch: as for :func:`ssna.runs.train`.
        chosen_in: the folder of the run that chose, where all events of ``data`` are for training.
    """
    trained = isinstance(METHODS[settings.method.name], TrainedMethod)
    if profile and not trained:
        raise SettingsError(
            f"{settings.method.name} is fitted at once and has no epochs; leave {option('profile')} out"
        )
    nothing_to_choose_by = data.protocol == "none"
    if refit and nothing_to_choose_by:
        raise SettingsError(
            f"all events are learned from already ({option('split', 'none')}); leave {option('refit')} out"
        )
    cache = fitting_cache(settings, data, cache)
    choices = _choices(settings, chosen_in) if nothing_to_choose_by and trained else None
    warm_start = None if init_from is None else WarmStart.of(init_from, settings, data, cache)
    device = run_device(settings)
    verbose = distributed.is_main() and not quiet
    if out is not None:
        earlier, same = distributed.run_on_main(lambda: _earlier(Path(out), settings, data, cache, warm_start, refit))
        if same and resume:
            run = Run.load(out)
            if verbose:
                print(f"{out} holds this run, finished: there is nothing to resume", file=sys.stderr, flush=True)
            return run
        if earlier is not None and verbose:
            then = "it will be replaced when this one is finished"
            print(f"{out} holds a run of {earlier}; {then}", file=sys.stderr, flush=True)
    kept = None if out is None or not distributed.is_main() else Path(out)
    mlflow = mlflow_log(settings, data, name, quiet, on_epoch) if distributed.is_main() else nullcontext()
    with mlflow as log, nullcontext() if kept is None else new_folder(kept, marker=RECORD) as folder:
        on_epoch = on_epoch if log is None else log.epoch
        begun, code, memory = time.perf_counter(), commit(), MemoryMeter(device)
        checkpoint = None
        if nothing_to_choose_by:
            with _second_half(settings, choices, not verbose, pause) as report:
                outcome = fit_chosen(data, cache, settings, device, report, choices, warm_start)
        else:
            epochs = settings.training.epochs if trained else 0
            with epoch_reports(folder if trained else None, epochs, not verbose, pause, on_epoch) as report:
                checkpoint = None if out is None else _checkpoint(out, data, cache, settings, warm_start, resume)
                profiler = (
                    Profiler(lambda table: print(table, file=sys.stderr, flush=True))
                    if profile and distributed.is_main()
                    else None
                )
                with keeping(lambda: _KEPT if checkpoint is None else checkpoint.kept()):
                    outcome = fit_method(data, cache, settings, device, report, checkpoint, profiler, warm_start)
        seconds, peak = time.perf_counter() - begun, memory.peak
        splits = () if nothing_to_choose_by else SPLITS
        evaluations = {split: evaluate(outcome.scorer, data.split(split)) for split in splits}
        encoding = None if cache is None else cache.encoding
        counts = np.bincount(data.train.values, minlength=len(data.items) + 1)
        cold = None if nothing_to_choose_by else evaluate_cold(outcome.scorer, data, cache)
        if verbose and cold is not None and (warning := shortfall(cold.figures())):
            print(f"warning: {for_python(warning)}", file=sys.stderr, flush=True)
        lists = evaluations["test"].lists if evaluations else {}
        beyond: dict[str, dict[str, float]] = {policy: beyond_accuracy(best, counts) for policy, best in lists.items()}
        final, again = outcome, None
        if refit:
            final, counts, again = _refit(data, cache, settings, device, outcome, warm_start, not verbose, pause)
        elif choices is not None:
            again = {"events": len(data.histories.items), "epochs": len(outcome.epochs), "chosen_in": str(chosen_in)}
        figures = {split: evaluation.metrics() for split, evaluation in evaluations.items()}
        if log is not None:
            log.tested(figures.get("test", {}))
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
            valid=figures.get("valid", {}),
            test=figures.get("test", {}),
            beyond=beyond,
            machine=machine(str(device)),
            versions=versions(),
            commit=code,
            grid=grid,
            init_from=None if warm_start is None else warm_start.about(data),
            cold=None if cold is None else cold.figures(),
            refit=again,
        )
        at = None if out is None else Path(out)
        attributes = None if data.attributes is None else Attributes.of(data.attributes, data.items.external)
        recommender = Recommender(final.scorer, data.items, data.texts, counts, encoding, attributes)
        run = Run(record, evaluations, with_new_items(recommender, data, not verbose, cache), cold, at)
        for hint in run.hints if verbose else ():
            print(f"hint: {hint}", file=sys.stderr, flush=True)
        if folder is not None:
            _keep(run, data, settings, final.weights, folder)
    if checkpoint is not None:
        checkpoint.remove()
    return run


def _choices(settings: RunSettings, chosen_in: Path | None) -> Choices:
    if chosen_in is None or not (chosen_in / RECORD).is_file():
        raise SettingsError(
            f"the data leave nothing to choose epochs and weights by ({option('split', 'none')}); give the settings of "
            f"a run that chose, {option('config', 'RUN/settings.toml')}, or split the data and train with "
            f"{option('refit')}"
        )
    return Choices.read(chosen_in, settings)


@contextmanager
def _second_half(settings: RunSettings, choices: Choices | None, quiet: bool, pause: float) -> Iterator[Report]:
    """Epochs that nothing is chosen by."""
    epochs = 0 if choices is None else len(choices.epochs)
    with epoch_reports(None, epochs, quiet, pause) as report, keeping(lambda: "what was learned on all events is lost"):
        yield report


def _refit(
    data: Dataset,
    cache: LayerCache | None,
    settings: RunSettings,
    device: torch.device,
    outcome: Outcome,
    warm_start: WarmStart | None,
    quiet: bool,
    pause: float,
) -> tuple[Outcome, Ints, dict[str, Any]]:
    """The method on all events, ``(I + 1,)`` how many each item has, and what the record says of it."""
    begun, whole, choices = time.perf_counter(), on_all_events(data), Choices.of(outcome)
    with _second_half(settings, choices, quiet, pause) as report:
        final = fit_chosen(whole, cache, settings, device, report, choices, warm_start)
    about_it = {
        "events": len(whole.histories.items),
        "training_events": len(data.train.values),
        "epochs": len(final.epochs),
        "seconds": time.perf_counter() - begun,
        "figures": "all figures are those of the model before, which learned from the training events alone",
    }
    return final, np.bincount(whole.train.values, minlength=len(data.items) + 1), about_it


def _earlier(
    out: Path,
    settings: RunSettings,
    data: Dataset,
    cache: LayerCache | None,
    warm_start: WarmStart | None,
    refit: bool,
) -> tuple[str | None, bool]:
    """The method of the run that is in ``out``, if there is one; and whether it is this very run, with no checkpoint of
    another try left."""
    try:
        record = RunRecord.read(out)
    except ArtifactError:
        return None, False
    states = None if cache is None else cache.encoding.tree()
    initial = None if record.init_from is None else record.init_from["weights"]
    there = (record.settings, record.fingerprint, record.cache, initial, record.refit is not None)
    again = refit or (data.protocol == "none" and bool(record.epochs))
    digest = None if warm_start is None else warm_start.digest
    same = there == (settings.tree(), data.fingerprint, states, digest, again)
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
    if run.evaluations:
        write_evaluations(folder, data, run.evaluations)
    (folder / IN_RUN).mkdir()
    run.recommender.write(folder / IN_RUN)
    if weights is not None:
        keep_weights(weights, folder)
    if run.cold is not None:
        run.cold.write(folder)
    run.record.write(folder)
