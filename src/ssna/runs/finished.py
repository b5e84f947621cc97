"""A finished run, as it is returned and read back."""

from dataclasses import dataclass
from pathlib import Path

from ssna.core.arguments import checked
from ssna.core.display import html_table
from ssna.data.dataset import SplitName
from ssna.evaluation import Evaluation
from ssna.evaluation.ranking import POLICIES
from ssna.recommender import Recommender
from ssna.recommender.artifact import IN_RUN
from ssna.runs.cold_start import ColdEvaluation
from ssna.runs.hints import hints
from ssna.runs.record import SPLITS, RunRecord, read_evaluation


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its figures, what they derive from, and the recommender; ``cold`` is not read back;
    ``folder`` is where it is kept, if it is. Where all
    events were learned from, nothing is evaluated."""

    record: RunRecord
    evaluations: dict[SplitName, Evaluation]
    recommender: Recommender
    cold: ColdEvaluation | None = None
    folder: Path | None = None

    @property
    def hints(self) -> tuple[str, ...]:
        """What its figures say about a choice that is still to be made; most runs have nothing to say."""
        return tuple(hints(self.evaluations.get("test"), self.record.ensemble, self.record.method))

    def __repr__(self) -> str:
        return f"<Run of {self.record.title}>"

    def _repr_html_(self) -> str:
        names = tuple(self.record.test.get("exclude_seen", ()))
        rows = [
            (split, policy.replace("_", " "), *(f"{figures[policy][name]:.4f}" for name in names))
            for split, figures in (("valid", self.record.valid), ("test", self.record.test))
            for policy in POLICIES
            if figures
        ]
        return html_table(repr(self).strip("<>"), rows, ("split", "policy", *names))

    @classmethod
    @checked
    def load(cls, folder: Path | str) -> "Run":
        """From a run folder. Raises :class:`ArtifactError` if it is missing, foreign or damaged."""
        folder = Path(folder)
        record = RunRecord.read(folder)
        evaluations = {split: read_evaluation(folder, split) for split in SPLITS if record.test}
        return cls(record, evaluations, Recommender.load(folder / IN_RUN), folder=folder)
