"""Histories in, answers out, one JSON line each and in their order: those, too, that cannot be answered."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

from ssna.batch.lines import EXAMPLE, Line, LineError
from ssna.core.errors import DataError, SsnaError, option
from ssna.core.rules import NO_RULES, Rules
from ssna.recommender import Recommendation, Recommender

BLOCK = 256  # histories that are ranked at a time


@dataclass
class StreamReport:
    """What was done so far.

    Attributes:
        answered: histories.
        unanswerable: of those, how many have no item that the catalogue knows; popularity answers them.
        errors: lines that are no histories; they were answered with what is wrong.
        first_error: of these, in words.
    """

    answered: int = 0
    unanswerable: int = 0
    errors: int = 0
    first_error: str = ""


@dataclass
class Stream:
    """Answers to lines.

    Args:
        k: items for each history.
        exclude_seen: leave out the items of the history.
        new_items: as in :meth:`ssna.recommender.Recommender.recommend`.
        rules: of lines that have none of their own; in a line, each takes the place of the one here.
        strict: whether the first line that is no history ends it all.
    """

    recommender: Recommender
    k: int = 10
    exclude_seen: bool = True
    new_items: float = 0.0
    rules: Rules = NO_RULES
    strict: bool = False
    report: StreamReport = field(default_factory=StreamReport)

    def answers(self, lines: Iterable[Line], name: str) -> Iterator[bytes]:
        """A JSON line for each, in UTF-8, with its end.

        Args:
            name: of what the lines are from.

        Raises:
            DataError: a line is no history, and ``strict`` asks for it; the lines before it are answered. Or none is
                a history, and at least one should be.
        """
        self.recommender.selection(self.rules, self.k)  # or an error before anything is read
        rest = map(self._checked, lines)
        while block := list(islice(rest, BLOCK)):
            wrong = next((line for line in block if line.error), None) if self.strict else None
            yield from self._answered(block if wrong is None else block[: block.index(wrong)])
            if wrong is not None:
                raise DataError(f"{name}, {_said(wrong)}; correct it, or leave {option('strict')} out")
        if self.report.errors and not self.report.answered:
            raise DataError(f"{name} has no line such as {EXAMPLE}; {self.report.first_error}")

    def _rules(self, line: Line) -> Rules:
        return self.rules.model_copy(update=dict(line.rules)) if line.rules else self.rules

    def _checked(self, line: Line) -> Line:
        """``line``, with an error if its rules do not fit the catalogue."""
        if line.rules:
            try:
                self.recommender.selection(self._rules(line), self.k)
            except SsnaError as cause:
                return replace(line, error=LineError("invalid", str(cause)))
        return line

    def _answered(self, block: Sequence[Line]) -> Iterator[bytes]:
        lines = [line for line in block if not line.error]
        histories, rules = [line.history for line in lines], [self._rules(line) for line in lines]
        found = iter(
            self.recommender.recommend_unchecked(histories, self.k, self.exclude_seen, None, (), self.new_items, rules)
        )
        for line in block:
            answer = self._error(line) if line.error else self._answer(line, next(found))
            yield json.dumps(answer, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def _answer(self, line: Line, found: Recommendation) -> dict[str, Any]:
        self.report.answered += 1
        self.report.unanswerable += found.fallback is not None
        items = [{"item": each.item, "score": each.score, "text": each.text} for each in found.items]
        unknown = {"unknown": list(found.unknown)} if found.unknown else {}
        return {"user": line.user, "items": items} | unknown | ({"fallback": found.fallback} if found.fallback else {})

    def _error(self, line: Line) -> dict[str, Any]:
        assert line.error is not None
        self.report.errors += 1
        self.report.first_error = self.report.first_error or _said(line)
        return {"user": line.user, "line": line.number, "error": asdict(line.error)}


def _said(line: Line) -> str:
    assert line.error is not None
    return f"line {line.number}: {line.error.message}"
