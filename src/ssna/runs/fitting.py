"""From settings, data and cache to a scorer: what a run does between its first look at them and its evaluation."""

from dataclasses import dataclass
from typing import Protocol

import torch

from ssna.compute.device import choose_device
from ssna.core.errors import SettingsError
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
    weights_of_members: dict[str, float] | None = None
    weights: Weights | None = None


def run_device(settings: RunSettings) -> torch.device:
    """Training-free methods stay on the CPU."""
    trained = isinstance(METHODS[settings.method.name], TrainedMethod)
    return choose_device(settings.training.device) if trained else torch.device("cpu")


def reads_text(settings: RunSettings) -> list[str]:
    """The methods of a run that read item texts: its own, those that it is joined with, and its teacher."""
    trained = isinstance(METHODS[settings.method.name], TrainedMethod)
    teacher = (settings.loss.teacher,) if settings.taught else ()
    names = (settings.method.name, *((*settings.join.methods, *teacher) if trained else ()))
    if isinstance(settings.method, BlendSettings) and not any(
        METHODS[part].needs_text for part in settings.method.parts
    ):
        return []
    return [name for name in names if METHODS[name].needs_text]


def fitting_cache(settings: RunSettings, data: Dataset, cache: LayerCache | None) -> LayerCache | None:
    """The cache bound to ``data``, or None for a run that reads no text."""
    readers = reads_text(settings)
    if not readers:
        return None
    if cache is None:
        raise SettingsError(f"{readers[0]} reads item texts: run `ssna encode` first and give its folder as the cache")
    wanted = settings.text.pooling
    if wanted and cache.pooling != wanted:
        raise SettingsError(
            f"the settings ask for {wanted} vectors, the cache holds {cache.pooling}: run `ssna encode` with "
            f"--pooling {wanted} into another folder, or --set text.pooling={cache.pooling}"
        )
    return LayerCache.open(cache.folders, data.texts)


def fit_method(
    data: Dataset,
    cache: LayerCache | None,
    settings: RunSettings,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint | None,
    profile: Profiler | None,
    start: WarmStart | None,
) -> Outcome:
    """Fit, or train from the seed on; the caller's generators stay as they are."""
    method = METHODS[settings.method.name]
    if isinstance(method, FittedMethod):
        return Outcome(method.fit(settings.method, data, cache, settings.dim))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        return _train(method, data, cache, settings, report, checkpoint, profile, start)


def _train(
    method: TrainedMethod,
    data: Dataset,
    cache: LayerCache | None,
    settings: RunSettings,
    report: Report,
    checkpoint: Checkpoint | None,
    profile: Profiler | None,
    start: WarmStart | None,
) -> Outcome:
    encoder = method.build(settings.method, data, cache, settings.dim)
    teacher = fit_teacher(data, cache, settings)
    fitted = fit(
        encoder,
        data,
        settings,
        on_epoch=lambda epoch, weights: report.epoch(epoch, bool(weights)),
        on_step=report.step,
        checkpoint=checkpoint,
        profile=profile,
        start=None if start is None else start.weights_for(encoder, data),
        teacher=teacher,
    )
    scorer, shares = _ensemble(fitted.scorer, data, cache, settings, teacher)
    parameters = sum(p.numel() for m in (encoder, fitted.sequence) for p in m.parameters() if p.requires_grad)
    return Outcome(scorer, fitted.epochs, fitted.best_epoch, parameters, fitted.batches, shares, fitted.weights)


def fit_teacher(data: Dataset, cache: LayerCache | None, settings: RunSettings) -> LinearTeacher | None:
    """What ``settings.loss.teacher`` asks for; nobody where no epoch asks."""
    if not settings.taught:
        return None
    linear = settings.join.of(settings.loss.teacher)
    assert isinstance(linear, LinearSettings), "LossSettings lists linear methods only"
    return LinearTeacher.fit(linear, data, cache, settings.dim)


def _ensemble(
    model: Scorer, data: Dataset, cache: LayerCache | None, settings: RunSettings, teacher: LinearTeacher | None
) -> tuple[Scorer, dict[str, float] | None]:
    if not settings.join.methods:
        return model, None
    partners: dict[str, Scorer] = {}
    for name in settings.join.methods:
        method = METHODS[name]
        assert isinstance(method, FittedMethod), "JoinSettings lists training-free methods only"
        if teacher is not None and name == settings.loss.teacher:
            partners[name] = teacher.scorer
        else:
            partners[name] = method.fit(settings.join.of(name), data, cache, settings.dim)
    joined = fit_ensemble(model, tuple(partners.values()), data.valid)
    if settings.join.repeats:
        joined = with_repeat_consumption(joined, data.valid, data.max_history)
    names = {id(model): settings.method.name} | {id(scorer): name for name, scorer in partners.items()}
    return joined, {names.get(id(part.scorer), name_of(part.scorer)): part.weight for part in joined.members}
