"""What is exported, and what every exported folder says about itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.files import new_folder, read_json, write_json
from ssna.recommender import Recommender, artifact
from ssna.scoring import Ensemble, RepeatConsumptionScorer, Scorer, VectorScorer, name_of, vector_member

FORMAT = 2
MANIFEST = "export.json"
RECORD = "record.json"  # of a run folder


@dataclass(frozen=True)
class Source:
    """A run or model folder.

    Attributes:
        run: the folder.
        data: a data folder whose test histories an index is tried with, or None.
        repo: ``owner/name`` on a model hub to push to, or None.
        private: where that repository is new.
    """

    run: Path
    data: Path | None = None
    repo: str | None = None
    private: bool = True

    @cached_property
    def recommender(self) -> Recommender:
        """Loaded once."""
        return Recommender.load(self.run)

    @cached_property
    def record(self) -> dict[str, Any] | None:
        """``record.json``, or None for a model folder without one."""
        return read_json(self.run / RECORD) if (self.run / RECORD).is_file() else None

    @cached_property
    def model(self) -> VectorScorer:
        """The member that has vectors, or the scorer itself. Raises :class:`ArtifactError` if there is none."""
        member = vector_member(self.recommender.scorer)
        if member is None:
            raise ArtifactError(
                f"{self.run} is a {self.recommender.scorer.kind} model without vectors; export one of ssna, tmlp, "
                "tmoe, lora, adalora, full, ids, text-knn or text-linear"
            )
        return member

    @cached_property
    def omitted(self) -> list[str]:
        """The members of an ensemble that are not exported, with their weights, and weights by frequency; repeat
        consumption is not among them, since callers exclude what was seen."""
        scorer = self.recommender.scorer
        members = [
            f"{_described(member)} (weight {weight:.2f})"
            for weight, member in _members(scorer, 1.0)
            if member is not self.model and not isinstance(member, RepeatConsumptionScorer)
        ]
        by_frequency = isinstance(scorer, Ensemble) and scorer.frequency is not None
        return [*members, "weights by frequency"] if by_frequency else members

    @property
    def warnings(self) -> list[str]:
        """For people, when rankings will differ from those of the recommender."""
        if not self.omitted:
            return []
        weight = next(weight for weight, member in _members(self.recommender.scorer, 1.0) if member is self.model)
        return [
            f"note: of this ensemble the {_described(self.model)} (weight {weight:.2f}) are exported, without "
            f"{' and '.join(self.omitted)}: rankings will differ"
        ]

    @contextmanager
    def folder(self, out: Path, to: str, about: dict[str, Any]) -> Iterator[Path]:
        """A folder to fill, which takes the place of ``out``; ``about`` is read, and written, at the end."""
        with new_folder(out, marker=MANIFEST) as aside:
            yield aside
            known = {
                "format": FORMAT,
                "to": to,
                "model": artifact.identity(self.run),
                "items": len(self.recommender.items),
                "width": self.model.vectors.shape[1],
                "omitted": self.omitted,
            }
            write_json(aside / MANIFEST, known | about)


def require(module: str, extra: str) -> Any:
    """A library that comes with an extra. Raises :class:`SsnaError` if it is missing."""
    try:
        return import_module(module)
    except ImportError:
        raise SsnaError(f"{module} is not installed; pip install 'ssna[{extra}]'") from None


def _members(scorer: Scorer, weight: float) -> Iterator[tuple[float, Scorer]]:
    if not isinstance(scorer, Ensemble):
        yield weight, scorer
        return
    for member in scorer.members:
        yield from _members(member.scorer, weight * member.weight)


def _described(scorer: Scorer) -> str:
    name = name_of(scorer)
    return "model's vectors" if name == "model" else name
