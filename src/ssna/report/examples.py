"""Users of the test split for whom one method found the next item and another did not, to be read by people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ints
from ssna.data import Dataset
from ssna.evaluation import Evaluation
from ssna.evaluation.metrics import monitored
from ssna.evaluation.ranking import Policy
from ssna.report.cells import POLICY_LABELS, group_name, label
from ssna.report.groups import Entry, ResultGroup, monitor_of
from ssna.report.improvement import reference
from ssna.runs.record import read_evaluation

HIT, MISS = 10, 50  # ranks: at most the one, beyond the other
PER_METHOD = 4  # users shown for each of both methods
LATEST, FIRST = 5, 3  # items shown of a history, and of a ranking
LONGEST = 80  # characters of a text


@dataclass(frozen=True)
class Ranking:
    """A method's ranking after a history: the rank of the item that came next, and the texts of the first items."""

    method: str
    rank: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """A test user.

    Attributes:
        history: texts of the latest items, oldest first.
        earlier: how many items came before these.
        target: the text of the item that came next.
        events: training events of that item.
        rankings: of both methods.
    """

    history: tuple[str, ...]
    earlier: int
    target: str
    events: int
    rankings: tuple[Ranking, Ranking]

    @property
    def before(self) -> str:
        """What came before the history that is shown, in words."""
        return f"after {self.earlier:,} earlier items" if self.earlier else "whole history"


@dataclass(frozen=True)
class Examples:
    """Two methods compared: users for whom the one has the item that came next and the other does not, and the reverse.

    Attributes:
        title: data and methods.
        methods: names of both.
        counts: for each method, how many users it alone has the item for.
        users: test users.
        shown: for each method, some of those users, evenly spaced.
    """

    title: str
    methods: tuple[str, str]
    counts: tuple[int, int]
    users: int
    shown: tuple[tuple[Example, ...], tuple[Example, ...]]

    def heads(self) -> Iterator[tuple[str, tuple[Example, ...]]]:
        """A line about each method, and its examples."""
        for number, (count, examples) in enumerate(zip(self.counts, self.shown, strict=True)):
            one, other = self.methods[number], self.methods[1 - number]
            yield (
                f"{one} has the item among its first {HIT} and {other} not among its first {MISS}: {count:,} of "
                f"{self.users:,} users",
                examples,
            )


def examples(
    groups: Sequence[ResultGroup],
    sets: Sequence[Dataset],
    of: str | None = None,
    against: str | None = None,
    policy: Policy = "exclude_seen",
) -> list[Examples]:
    """For every group whose data set is among ``sets``, of the first seed.

    Args:
        of: as for the table ``improvement``.
        against: another entry; by default the best of the others on validation, by the first one's monitored metric.

    Raises:
        ArtifactError: no group is of these data or has both entries, or a run's ranks or lists are damaged.
    """
    by_fingerprint = {data.fingerprint: data for data in sets}
    result = []
    for group in groups:
        data, one = by_fingerprint.get(group.fingerprint), reference(group, of)
        others = [entry for entry in group.entries if entry is not one and against in (None, entry.name)]
        if data is not None and one is not None and others:
            monitor = monitor_of(one.record)
            other = max(others, key=lambda entry: monitored(entry.record.valid[policy], monitor))
            result.append(_compare(group, data, one, other, policy))
    if not result:
        raise ArtifactError(
            "none of the runs that can be compared is of the data of --data; they are of "
            + ", ".join(
                f"{group.title} ({group.fingerprint}: {', '.join(e.name for e in group.entries)})" for group in groups
            )
        )
    return result


def as_text(found: Sequence[Examples]) -> str:
    """Plain text, for a terminal."""
    return "\n".join(line for one in found for line in _lines(one)) + "\n"


def _compare(group: ResultGroup, data: Dataset, one: Entry, other: Entry, policy: Policy) -> Examples:
    entries = (one, other)
    found = [read_evaluation(entry.runs[0].path, "test") for entry in entries]
    if not np.array_equal(found[0].targets, data.test.targets) or not np.array_equal(
        found[1].targets, data.test.targets
    ):
        raise ArtifactError(f"{one.name} or {other.name} ranks other users than {data.fingerprint} has; train again")
    ranks = [evaluation.ranks[policy] for evaluation in found]
    users = [np.flatnonzero((ranks[method] <= HIT) & (ranks[1 - method] > MISS)) for method in (0, 1)]
    counts = np.bincount(data.train.values, minlength=len(data.items) + 1)
    names = (label(one), label(other))
    shown = [
        tuple(_example(data, counts, user, list(zip(names, found, strict=True)), policy) for user in _some(of_method))
        for of_method in users
    ]
    return Examples(
        f"{group_name(group)}: {names[0]} and {names[1]}, {POLICY_LABELS[policy]}",
        names,
        (len(users[0]), len(users[1])),
        len(found[0].targets),
        (shown[0], shown[1]),
    )


def _some(users: Ints) -> list[int]:
    """At most ``PER_METHOD``, evenly spaced."""
    if len(users) > PER_METHOD:
        users = users[(np.arange(PER_METHOD) * 2 + 1) * len(users) // (2 * PER_METHOD)]
    return [int(user) for user in users]


def _example(
    data: Dataset,
    counts: Ints,
    user: int,
    found: Sequence[tuple[str, Evaluation]],
    policy: Policy,
) -> Example:
    history = data.test.seen[user]
    target = int(data.test.targets[user])
    first, second = (
        Ranking(
            name,
            int(evaluation.ranks[policy][user]),
            tuple(_text(data, int(row)) for row in evaluation.lists[policy][user][:FIRST] if row),
        )
        for name, evaluation in found
    )
    latest = [_text(data, int(row)) for row in history[-LATEST:]]
    return Example(tuple(latest), len(history) - len(latest), _text(data, target), int(counts[target]), (first, second))


def _text(data: Dataset, row: int) -> str:
    text = " ".join(data.texts[row].split()) or data.items.external[row - 1]
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def _lines(one: Examples) -> Iterator[str]:
    yield one.title
    width = max(map(len, one.methods))
    for head, shown in one.heads():
        yield f"\n{head}"
        for example in shown:
            yield f"\n    {example.before}"
            yield from (f"      {text}" for text in example.history)
            yield f"    then: {example.target} ({example.events:,} training events)"
            for ranking in example.rankings:
                yield f"      {ranking.method:{width}}  rank {ranking.rank:,}; first:"
                yield from (f"          {text}" for text in ranking.first)
    yield ""
