"""Users of the test split for whom one method found the next item and another did not, to be read by people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ints
from ssna.data import Dataset
from ssna.evaluation import Evaluation
from ssna.evaluation.ranking import Policy
from ssna.report.cells import SEEN, label, where
from ssna.report.groups import ResultGroup, Entry
from ssna.report.improvement import reference
from ssna.runs.record import read_evaluation

FOUND, LOST = 10, 50  # ranks: at most the one, beyond the other
SHOWN = 4  # users a side
LATEST, FIRST = 5, 3  # items of a history, and of an answer
LONGEST = 80  # characters of a text


@dataclass(frozen=True)
class Answer:
    """What a method made of a history: the rank of the item that came next, and its first items' texts."""

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
        answers: of both methods.
    """

    history: tuple[str, ...]
    earlier: int
    target: str
    events: int
    answers: tuple[Answer, Answer]


@dataclass(frozen=True)
class Examples:
    """Both sides of a comparison: users whom the first method serves and the second does not, and the reverse.

    Attributes:
        title: data and methods.
        methods: names of both.
        counts: how many users each side has in all; those shown are spread evenly over them.
        users: test users.
    """

    title: str
    methods: tuple[str, str]
    counts: tuple[int, int]
    users: int
    shown: tuple[tuple[Example, ...], tuple[Example, ...]]

    def heads(self) -> Iterator[tuple[str, tuple[Example, ...]]]:
        """A line about each side, and its examples."""
        for side, (count, examples) in enumerate(zip(self.counts, self.shown, strict=True)):
            winner, loser = self.methods[side], self.methods[1 - side]
            yield (
                f"{winner} has the item among its first {FOUND} and {loser} not among its first {LOST}: {count:,} of "
                f"{self.users:,} users",
                examples,
            )


def examples(
    benches: Sequence[ResultGroup],
    sets: Sequence[Dataset],
    of: str | None = None,
    against: str | None = None,
    policy: Policy = "exclude_seen",
) -> list[Examples]:
    """For every bench whose data set is among ``sets``, seeds of least number.

    Args:
        of: as for the table ``improvement``.
        against: another entry; by default the one of the others with the best validation R@10.

    Raises:
        ArtifactError: no bench stands on these data or has both entries, or a run's ranks or lists are damaged.
    """
    by_fingerprint = {data.fingerprint: data for data in sets}
    result = []
    for bench in benches:
        data, one = by_fingerprint.get(bench.fingerprint), reference(bench, of)
        others = [entry for entry in bench.entries if entry is not one and against in (None, entry.name)]
        if data is not None and one is not None and others:
            other = max(others, key=lambda entry: entry.record.valid[policy]["R@10"])
            result.append(_compare(bench, data, one, other, policy))
    if not result:
        raise ArtifactError(
            "none of the runs that can be compared stands on the data of --data; they stand on "
            + ", ".join(
                f"{bench.title} ({bench.fingerprint}: {', '.join(e.name for e in bench.entries)})" for bench in benches
            )
        )
    return result


def as_text(found: Sequence[Examples]) -> str:
    """For a terminal."""
    return "\n".join(line for one in found for line in _lines(one)) + "\n"


def as_html(found: Sequence[Examples]) -> Iterator[str]:
    """A section of a page."""
    yield '<section id="examples">\n<h2>Where it wins and loses</h2>'
    for number, one in enumerate(found):
        yield f'<h3 id="examples-{number}">{escape(one.title)}</h3>'
        for head, shown in one.heads():
            yield f"<p>{escape(head)}.</p>"
            for example in shown:
                past = "".join(f"<li>{escape(text)}</li>" for text in example.history)
                answers = "".join(
                    f"<dt>{escape(answer.method)}, rank {answer.rank:,}</dt>"
                    f"<dd>{'<br>'.join(map(escape, answer.first))}</dd>"
                    for answer in example.answers
                )
                yield (
                    f"<details><summary>{escape(example.target)} "
                    f'<span class="soft">{example.events:,} training events</span></summary>\n'
                    f'<p class="soft">{escape(_before(example))}</p><ul>{past}</ul>\n<dl>{answers}</dl></details>'
                )
    yield "</section>"


def _compare(bench: ResultGroup, data: Dataset, one: Entry, other: Entry, policy: Policy) -> Examples:
    entries = (one, other)
    found = [read_evaluation(entry.runs[0].path, "test") for entry in entries]
    if not np.array_equal(found[0].targets, data.test.targets) or not np.array_equal(
        found[1].targets, data.test.targets
    ):
        raise ArtifactError(f"{one.name} or {other.name} ranks other users than {data.fingerprint} has; train again")
    ranks = [evaluation.ranks[policy] for evaluation in found]
    sides = [np.flatnonzero((ranks[side] <= FOUND) & (ranks[1 - side] > LOST)) for side in (0, 1)]
    counts = np.bincount(data.train.values, minlength=len(data.items) + 1)
    names = (label(one), label(other))
    shown = [
        tuple(_example(data, counts, user, list(zip(names, found, strict=True)), policy) for user in _spread(side))
        for side in sides
    ]
    return Examples(
        f"{where(bench)}: {names[0]} and {names[1]}, {SEEN[policy]}",
        names,
        (len(sides[0]), len(sides[1])),
        len(found[0].targets),
        (shown[0], shown[1]),
    )


def _spread(users: Ints) -> list[int]:
    if len(users) > SHOWN:
        users = users[(np.arange(SHOWN) * 2 + 1) * len(users) // (2 * SHOWN)]
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
        Answer(
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


def _before(example: Example) -> str:
    return f"after {example.earlier:,} earlier items" if example.earlier else "whole history"


def _lines(one: Examples) -> Iterator[str]:
    yield one.title
    width = max(map(len, one.methods))
    for head, shown in one.heads():
        yield f"\n{head}"
        for example in shown:
            yield f"\n    {_before(example)}"
            yield from (f"      {text}" for text in example.history)
            yield f"    then: {example.target} ({example.events:,} training events)"
            for answer in example.answers:
                yield f"      {answer.method:{width}}  rank {answer.rank:,}; first:"
                yield from (f"          {text}" for text in answer.first)
    yield ""
