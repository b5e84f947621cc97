"""What a run chose on validation, and the same method trained with it on all events."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ssna.core.errors import SettingsError, option
from ssna.data.dataset import Dataset
from ssna.methods import METHODS, FittedMethod
from ssna.recommender import Recommender
from ssna.runs.fitting import Outcome, Report, fit_others, fit_teacher
from ssna.runs.record import RunRecord
from ssna.runs.warm_start import WarmStart
from ssna.scoring import Ensemble, Scorer
from ssna.text import LayerCache
from ssna.training import RunSettings, fit


@dataclass(frozen=True, eq=False)
class Choices:
    """What validation decided.

    Attributes:
        epochs: for each epoch up to the best one, whether a teacher took part in it; without those of a lost trial.
        scorer: the model, or its ensemble, as it was chosen.
        members: of the ensemble, by name; empty without one.
    """

    epochs: tuple[bool, ...]
    scorer: Scorer
    members: tuple[str, ...]

    @classmethod
    def of(cls, outcome: Outcome) -> "Choices":
        """Those of a method that was just trained."""
        epochs = [(epoch.number, epoch.distilled, epoch.restarted) for epoch in outcome.epochs]
        return cls(_replay(epochs, outcome.best_epoch), outcome.scorer, tuple(outcome.ensemble or ()))

    @classmethod
    def read(cls, folder: Path, settings: RunSettings) -> "Choices":
        """Those of a finished run.

        Raises:
            SettingsError: the run has other settings; its seed may be another.
            ArtifactError: there is no run, or it is damaged.
        """
        record = RunRecord.read(folder)
        ours, theirs = ({**tree, "seed": 0} for tree in (settings.tree(), record.settings))
        if differs := [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]:
            raise SettingsError(
                f"{folder} chose with other settings ({', '.join(sorted(differs))}); its epochs and weights hold for "
                f"its own alone: leave {option('settings', flag='--set')} and the like out, but for the seed"
            )
        epochs = [(epoch["number"], epoch["distilled"], epoch["restarted"]) for epoch in record.epochs]
        chooser = Recommender.load(folder)
        scorer = chooser.scorer
        if new := chooser.items.external[record.items :]:  # admitted once all was chosen
            scorer = chooser.remove_items(new).scorer
        return cls(_replay(epochs, record.best_epoch), scorer, tuple(record.ensemble or ()))


def _replay(epochs: list[tuple[int, bool, bool]], best: int | None) -> tuple[bool, ...]:
    began = max((number for number, _, restarted in epochs if restarted), default=1)
    return tuple(distilled for number, distilled, _ in epochs if began <= number <= (best or 0))


def on_all_events(data: Dataset) -> Dataset:
    """``data`` with every event for training, and nothing to evaluate on."""
    return replace(data, protocol="none", held_out=None)


def fit_chosen(
    whole: Dataset,
    cache: LayerCache | None,
    settings: RunSettings,
    device: torch.device,
    report: Report,
    choices: Choices | None,
    warm_start: WarmStart | None,
) -> Outcome:
    """As :func:`ssna.runs.fitting.fit_method`, on all events and with nothing left to choose.

    Args:
        whole: has nothing to evaluate on.
        choices: None for a method that has none to make.
    """
    method = METHODS[settings.method.name]
    if isinstance(method, FittedMethod) or choices is None:
        assert isinstance(method, FittedMethod), "a trained method has epochs, which somebody chose"
        return Outcome(method.fit(settings.method, whole, cache, settings.dim))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        encoder = method.build(settings.method, whole, cache, settings.dim)
        teacher = fit_teacher(whole, cache, settings) if any(choices.epochs) else None
        fitted = fit(
            encoder,
            whole,
            settings,
            on_epoch=lambda epoch, weights: report.epoch(epoch, False),
            on_step=report.step,
            initial_weights=None if warm_start is None else warm_start.weights_for(encoder, whole),
            teacher=teacher,
            replay=choices.epochs,
        )
        scorer: Scorer = fitted.scorer
        weights: dict[str, float] | None = None
        if isinstance(choices.scorer, Ensemble):
            names = [name for name in choices.members if name in settings.ensemble.members]
            found = fit_others(names, whole, cache, settings, teacher) | {settings.method.name: fitted.scorer}
            scorer = _with_members(choices.scorer, choices.members, found, whole)
            weights = dict(zip(choices.members, (member.weight for member in choices.scorer.members), strict=True))
    parameters = sum(p.numel() for m in (encoder, fitted.sequence) for p in m.parameters() if p.requires_grad)
    best = len(fitted.epochs) or None
    return Outcome(scorer, fitted.epochs, best, parameters, fitted.batches, weights, fitted.weights)


def _with_members(chosen: Ensemble, names: tuple[str, ...], found: dict[str, Scorer], whole: Dataset) -> Ensemble:
    """``chosen`` with other scorers in it; what depends on nothing but histories (repeat consumption) stays."""
    pairs = zip(names, chosen.members, strict=True)
    members = [member._replace(scorer=found.get(name, member.scorer)) for name, member in pairs]
    frequency = chosen.frequency
    if frequency is not None:
        events = np.bincount(whole.train.values, minlength=len(whole.items) + 1)
        frequency = replace(frequency, events=events.astype(np.int64))
    return Ensemble(members, frequency)
