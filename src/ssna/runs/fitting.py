"""From settings, data and cache to a scorer: what a run does between its first look at them and its evaluation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from ssna.compute.allocator import tune_allocator
from ssna.compute.device import choose_device
from ssna.core.errors import SettingsError, option, worded
from ssna.data.dataset import Dataset
from ssna.methods import METHODS, FittedMethod, TrainedMethod
from ssna.methods.blend import BlendSettings
from ssna.methods.ease import LinearSettings
from ssna.methods.linear_teacher import LinearTeacher
from ssna.runs.warm_start import WarmStart
from ssna.scoring import Scorer, name_of
from ssna.text import LayerCache
from ssna.training import Epoch, RunSettings, Step, fit
from ssna.training.checkpoint import Checkpoint
from ssna.training.ensemble import fit_ensemble, with_repeat_consumption
from ssna.training.frequency import Price, follow_frequency
from ssna.training.profiler import Profiler
from ssna.training.trainer import Weights


class Report(Protocol):
    """Who is told how training goes."""

    def step(self, step: Step) -> None:
        """A batch is learned from."""

    def epoch(self, epoch: Epoch, better: bool) -> None:
        """An epoch is over, ``better`` than all before."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a method of either kind hands over."""

    scorer: Scorer
    epochs: tuple[Epoch, ...] = ()
    best_epoch: int | None = None
    parameters: int = 0
    batches: int = 0
    ensemble: dict[str, float] | None = None
    """Member -> its weight."""
    weights: Weights | None = None
    prices: tuple[Price, ...] = ()
    """What raising new items costs."""


def run_device(settings: RunSettings) -> torch.device:
    """Training-free methods stay on the CPU."""
    trained = isinstance(METHODS[settings.method.name], TrainedMethod)
    return choose_device(settings.training.device if trained else "cpu")


def reads_text(settings: RunSettings) -> list[str]:
    """The methods of a run that read item texts: its own, the other members of its ensemble, and its teacher."""
    trained = isinstance(METHODS[settings.method.name], TrainedMethod)
    teacher = (settings.distillation.teacher,) if settings.distilled else ()
    names = (settings.method.name, *((*settings.ensemble.members, *teacher) if trained else ()))
    if isinstance(settings.method, BlendSettings) and not any(
        METHODS[member].needs_text for member in settings.method.members
    ):
        return []
    return [name for name in names if METHODS[name].needs_text]


def fitting_cache(settings: RunSettings, data: Dataset, cache: LayerCache | None) -> LayerCache | None:
    """The cache bound to ``data``, or None for a run that reads no text."""
    readers = reads_text(settings)
    if not readers:
        return None
    if cache is None:
        remedy = worded(
            python="encode the texts with ssna.encode(data) and give what it returns as cache=",
            shell="run `ssna encode DATA -o CACHE` first and give --cache CACHE",
        )
        raise SettingsError(f"the method {readers[0]} reads item texts: {remedy}")
    wanted = settings.text.pooling
    if wanted and cache.encoding.has_model and cache.pooling != wanted:
        remedy = worded(
            python=f"encode the texts with ssna.encode(data, pooling={wanted!r}) and give what it returns as cache=",
            shell=f"run `ssna encode DATA -o ANOTHER --pooling {wanted}` and give --cache ANOTHER",
        )
        setting = option("settings", f"text.pooling={cache.pooling}", "--set")
        raise SettingsError(
            f"the settings ask for {wanted} vectors, the cache holds {cache.pooling}: {remedy}, or {setting}"
        )
    return LayerCache.open(cache.folders, data.texts, data.items.external)


def fit_method(
    data: Dataset,
    cache: LayerCache | None,
    settings: RunSettings,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint | None,
    profiler: Profiler | None,
    warm_start: WarmStart | None,
) -> Outcome:
    """Fit, or train from the seed on and fit the ensemble; the caller's generators stay as they are."""
    method = METHODS[settings.method.name]
    if isinstance(method, FittedMethod):
        return Outcome(method.fit(settings.method, data, cache, settings.dim))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        encoder = method.build(settings.method, data, cache, settings.dim)
        teacher = fit_teacher(data, cache, settings)
        fitted = fit(
            encoder,
            data,
            settings,
            on_epoch=lambda epoch, weights: report.epoch(epoch, bool(weights)),
            on_step=report.step,
            checkpoint=checkpoint,
            profiler=profiler,
            initial_weights=None if warm_start is None else warm_start.weights_for(encoder, data),
            teacher=teacher,
        )
        if teacher is not None:
            teacher.release()
        with tune_allocator(), fitted.scorer.remembering():
            scorer, ensemble, prices = _ensemble(fitted.scorer, data, cache, settings, teacher)
    parameters = sum(p.numel() for m in (encoder, fitted.sequence) for p in m.parameters() if p.requires_grad)
    return Outcome(
        scorer, fitted.epochs, fitted.best_epoch, parameters, fitted.batches, ensemble, fitted.weights, tuple(prices)
    )


def fit_teacher(data: Dataset, cache: LayerCache | None, settings: RunSettings) -> LinearTeacher | None:
    """What ``settings.distillation.teacher`` names; None where no epoch has a teacher."""
    if not settings.distilled:
        return None
    linear = settings.ensemble.of(settings.distillation.teacher)
    assert isinstance(linear, LinearSettings), "DistillationSettings lists linear methods only"
    return LinearTeacher.fit(linear, data, cache, settings.dim)


def fit_others(
    names: Iterable[str],
    data: Dataset,
    cache: LayerCache | None,
    settings: RunSettings,
    teacher: LinearTeacher | None,
) -> dict[str, Scorer]:
    """The members of the ensemble beside the model; the teacher is fitted already."""
    others: dict[str, Scorer] = {}
    for name in names:
        method = METHODS[name]
        assert isinstance(method, FittedMethod), "EnsembleSettings lists training-free methods only"
        if teacher is not None and name == settings.distillation.teacher:
            others[name] = teacher.scorer
        else:
            fit_member = method.fit_member or method.fit
            others[name] = fit_member(settings.ensemble.of(name), data, cache, settings.dim)
    return others


def _ensemble(
    model: Scorer, data: Dataset, cache: LayerCache | None, settings: RunSettings, teacher: LinearTeacher | None
) -> tuple[Scorer, dict[str, float] | None, list[Price]]:
    """The model with the members that the settings name, and the weight of each; the model alone if they name none.
    And what it costs to raise new items."""
    wanted = settings.ensemble
    if not wanted.members:
        return model, None, []
    others = fit_others(wanted.members, data, cache, settings, teacher)
    events = np.bincount(data.train.values, minlength=len(data.items) + 1)
    cost = wanted.rare_items_cost
    ensemble = fit_ensemble(model, tuple(others.values()), data.valid, wanted.monitor, events, cost)
    prices: list[Price] = []
    if wanted.by_frequency or wanted.new_items:
        h = None if cache is None or not ensemble.layers else torch.from_numpy(cache.top(ensemble.layers))
        ensemble, prices = follow_frequency(
            ensemble,
            data.valid,
            events,
            wanted.monitor,
            h,
            data.texts,
            wanted.new_items_cost,
            settings.seed,
            wanted.by_frequency,
        )
    if wanted.repeat_consumption:
        ensemble = with_repeat_consumption(ensemble, data.valid, data.max_history, wanted.monitor)
    names = {id(model): settings.method.name} | {id(scorer): name for name, scorer in others.items()}
    weights = {names.get(id(member.scorer), name_of(member.scorer)): member.weight for member in ensemble.members}
    return ensemble, weights, prices
