"""Training-free scorers added up."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset
from ssna.methods.base import MethodSettings
from ssna.methods.ease import fit_cease, fit_ease
from ssna.methods.members import MemberSections
from ssna.methods.text_linear import fit_text_linear
from ssna.methods.training_free import fit_item_knn, fit_text_knn
from ssna.scoring import Ensemble, Member, Scorer
from ssna.scoring.topk import Tiles, chunks
from ssna.text import LayerCache

FITS: dict[str, Callable[[Any, Dataset, LayerCache | None, int], Scorer]] = {
    "item-knn": fit_item_knn,
    "ease": fit_ease,
    "cease": fit_cease,
    "text-knn": fit_text_knn,
    "text-linear": fit_text_linear,
}


class BlendSettings(MemberSections, MethodSettings):
    """Scorers of items and of texts, each divided by the standard deviation of its scores, with equal weights."""

    name: Literal["blend"] = "blend"
    members: tuple[Literal["item-knn", "ease", "cease", "text-knn", "text-linear"], ...] = Field(
        ("item-knn", "text-knn"), min_length=1
    )
    """Which; each has a section of its settings."""


def fit_blend(settings: BlendSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """Equal weights; deviations are those of scores on validation histories, or on all where there are none."""
    scorers = [FITS[name](settings.of(name), data, cache, dim) for name in settings.members]
    histories = data.valid.histories if len(data.valid) else data.histories.ragged.last(data.max_history)
    return Ensemble([Member(scorer, 1 / len(scorers), deviation(scorer, histories)) for scorer in scorers])


def deviation(scorer: Scorer, histories: Ragged) -> float:
    """Standard deviation of all scores on ``histories``, padding left out."""
    count, total, squares = 0, 0.0, 0.0
    for _, some in chunks(histories):
        for start, tile in Tiles.of(scorer, some):
            scores = tile[:, start == 0 :].double()
            count, total, squares = (
                count + scores.numel(),
                total + scores.sum().item(),
                squares + scores.square().sum().item(),
            )
    return float(max(squares / count - (total / count) ** 2, 1e-12) ** 0.5)
