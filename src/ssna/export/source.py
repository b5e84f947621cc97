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

FORMAT = 1
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
        """The part that has vectors. Raises :class:`ArtifactError` if there is none."""
        part = vector_member(self.recommender.scorer)
        if part is None:
            raise ArtifactError(
                f"{self.run} is a {self.recommender.scorer.kind} model without vectors; export one of ssna, tmlp, "
                "tmoe, lora, adalora, full, ids, text-knn or text-linear"
            )
        return part

    @cached_property
    def left_out(self) -> list[str]:
        """The parts of a blend that are not exported, with their shares; callers leave out what was seen."""
        parts = _parts(self.recommender.scorer, 1.0)
        others = [(share, scorer) for share, scorer in parts if scorer is not self.model]
        return [
            f"{_words(part)} (share {share:.2f})"
            for share, part in others
            if not isinstance(part, RepeatConsumptionScorer)
        ]

    @property
    def warnings(self) -> list[str]:
        """For people, when answers will differ from those of the recommender."""
        if not self.left_out:
            return []
        share = next(share for share, scorer in _parts(self.recommender.scorer, 1.0) if scorer is self.model)
        return [
            f"note: of this blend the {_words(self.model)} (share {share:.2f}) are exported, without "
            f"{' and '.join(self.left_out)}: rankings will differ"
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
                "left_out": self.left_out,
            }
            write_json(aside / MANIFEST, known | about)


def needs(module: str, extra: str) -> Any:
    """A library that comes with an extra. Raises :class:`SsnaError` if it is missing."""
    try:
        return import_module(module)
    except ImportError:
        raise SsnaError(f"{module} is not installed; pip install 'ssna[{extra}]'") from None


def _parts(scorer: Scorer, share: float) -> Iterator[tuple[float, Scorer]]:
    if not isinstance(scorer, Ensemble):
        yield share, scorer
        return
    for part in scorer.members:
        yield from _parts(part.scorer, share * part.weight)


def _words(scorer: Scorer) -> str:
    name = name_of(scorer)
    return "model's vectors" if name == "model" else name
