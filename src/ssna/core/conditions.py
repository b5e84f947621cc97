"""Conditions on named values, such as ``event in (purchase, cart) and price > 5``: one small grammar, and its tree.

::

    condition  = all ("or" all)*
    all        = one ("and" one)*
    one        = "not" one | "(" condition ")" | "exists" name | name predicate
    predicate  = ("=" | "!=" | "<" | "<=" | ">" | ">=") value | ["not"] "in" "(" value ("," value)* ")"
    name       = letters, digits and _ . - [ ], or anything between `backquotes`
    value      = a number, true, false, a word, or anything between 'quotes' or "quotes"

A condition is text on the command line and a tree of JSON elsewhere: ``{"and": [{"in": ["event", ["purchase"]]},
{">": ["price", 5]}]}``. What has no value fulfils no predicate; ``not`` turns that round. Whoever evaluates a condition
walks over it with :func:`evaluate`.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Literal = str | float | bool
ResultT = TypeVar("ResultT")

COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
_LONGEST, _DEEPEST, _MOST = 4_000, 20, 1_000  # letters, levels, values
_DIGITS = 15
_WIDEST = 10**300  # of a whole number that a float may stand for
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'[^']*'|"[^"]*")|(?P<name>`[^`]+`)|(?P<sign><=|>=|!=|[=<>(),])|(?P<word>[^\s'"`=<>!(),]+))"""
)
_NUMBER = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")
_KEYWORDS = ("and", "or", "not", "in", "exists")


@dataclass(frozen=True)
class Predicate:
    """One value against others. ``operator``: of ``COMPARISONS`` (one value), ``in`` (several) or ``exists`` (none)."""

    name: str
    operator: str
    values: tuple[Literal, ...] = ()


@dataclass(frozen=True)
class Combination:
    """``operator``: ``and`` and ``or`` of at least two parts, ``not`` of one."""

    operator: str
    parts: tuple["Condition", ...]


Condition = Predicate | Combination


class ConditionError(ValueError):
    """What was given is no condition, or none on these names.

    Args:
        place: within the tree, such as ``and.1.in``; empty for all of it.
        message: what is wrong there.
    """

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place, self.message = place, message


def parse(text: str) -> Condition:
    """The condition that ``text`` says. Raises :class:`ValueError`, which names the place, if it says none."""
    if len(text) > _LONGEST:
        raise ValueError(f"a condition has at most {_LONGEST:,} letters")
    return _Parser(text).parsed()


def from_tree(tree: Any, place: str = "") -> Condition:
    """The condition of a tree of JSON values. Raises :class:`ConditionError`, which names the place, if it is none.

    Args:
        place: of the tree in something larger, for the message.
    """
    return _from_tree(tree, place, 0, [0])


def _from_tree(tree: Any, place: str, depth: int, count: list[int]) -> Condition:
    """``count``: the values so far; a predicate without any counts as one."""
    if depth > _DEEPEST:
        raise ConditionError(place, f"a condition has at most {_DEEPEST} levels")
    if not isinstance(tree, dict) or len(tree) != 1:
        raise ConditionError(place, f"a condition is an object with one key, not {_shown(tree)}")
    ((operator, value),) = tree.items()
    inside = f"{place}.{operator}" if place else str(operator)
    if operator in ("and", "or"):
        if not isinstance(value, list) or not 2 <= len(value) <= _MOST:
            raise ConditionError(place, f"{operator!r} takes a list of at least two conditions, not {_shown(value)}")
        parts = (_from_tree(part, f"{inside}.{n}", depth + 1, count) for n, part in enumerate(value))
        return Combination(operator, tuple(parts))
    if operator == "not":
        return Combination("not", (_from_tree(value, inside, depth + 1, count),))
    found = _predicate(operator, value)
    if found is None:
        raise ConditionError(place, f"no condition is written as {_shown(tree)}")
    count[0] += max(len(found.values), 1)
    if count[0] > _MOST:
        raise ConditionError(place, f"a condition has at most {_MOST:,} values")
    return found


def _predicate(operator: str, value: Any) -> Predicate | None:
    if operator == "exists" and isinstance(value, str):
        return Predicate(value, "exists")
    if operator in (*COMPARISONS, "in") and isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        values = value[1] if operator == "in" else [value[1]]
        if isinstance(values, list) and 1 <= len(values) <= _MOST and all(map(_is_literal, values)):
            return Predicate(value[0], operator, tuple(values))
    return None


def tree(condition: Condition) -> dict[str, Any]:
    """What :func:`from_tree` takes."""
    if isinstance(condition, Combination):
        parts = [tree(part) for part in condition.parts]
        return {condition.operator: parts[0] if condition.operator == "not" else parts}
    if condition.operator == "exists":
        return {"exists": condition.name}
    values = list(condition.values)
    return {condition.operator: [condition.name, values if condition.operator == "in" else values[0]]}


def names(condition: Condition) -> tuple[str, ...]:
    """All names, once each, in their order."""
    return tuple(dict.fromkeys(_names(condition)))


def places(condition: Condition, place: str = "") -> Iterator[tuple[str, Predicate]]:
    """Every predicate and its place in the tree, as :class:`ConditionError` writes it."""
    inside = f"{place}.{condition.operator}" if place else condition.operator
    if isinstance(condition, Predicate):
        yield inside, condition
        return
    for number, part in enumerate(condition.parts):
        yield from places(part, inside if condition.operator == "not" else f"{inside}.{number}")


def evaluate(
    condition: Condition,
    predicate: Callable[[Predicate], ResultT],
    combine: Callable[[str, Sequence[ResultT]], ResultT],
) -> ResultT:
    """What comes of ``predicate`` for each one and of ``combine`` (``and``, ``or``, ``not``) for what these gave."""
    if isinstance(condition, Predicate):
        return predicate(condition)
    return combine(condition.operator, [evaluate(part, predicate, combine) for part in condition.parts])


def _names(condition: Condition) -> Iterator[str]:
    if isinstance(condition, Predicate):
        yield condition.name
    else:
        for part in condition.parts:
            yield from _names(part)


def _is_literal(value: Any) -> bool:
    if isinstance(value, int) and abs(value) > _WIDEST:
        return False
    return isinstance(value, str | bool) or (isinstance(value, int | float) and math.isfinite(value))


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        return "what is nested so deep"
    return text if len(text) <= 60 else f"{text[:60]}…"


class _Parser:
    """One token after the other, of which the next is ``self.kind`` and ``self.token``."""

    def __init__(self, text: str) -> None:
        self.text, self.end, self.start = text, 0, 0
        self.kind: str | None = None
        self.token = ""
        self._next()

    def parsed(self) -> Condition:
        found = self._any(0)
        if self.kind is not None:
            raise self._expected("and, or, or the end")
        return found

    def _next(self) -> None:
        self.start = self.end
        rest = self.text[self.end :]
        if not rest.strip():
            self.kind, self.token = None, ""
            return
        match = _TOKEN.match(self.text, self.end)
        if match is None:
            raise self._expected("another sign")
        self.kind, self.token, self.end = str(match.lastgroup), match[str(match.lastgroup)], match.end()

    def _expected(self, what: str) -> ValueError:
        rest = self.text[self.start :].strip()
        return ValueError(f"expected {what} " + (f"before {_shown(rest)}" if rest else "at the end"))

    def _is(self, word: str) -> bool:
        return self.kind in ("word", "sign") and self.token.lower() == word

    def _take(self, word: str) -> None:
        if not self._is(word):
            raise self._expected(repr(word))
        self._next()

    def _any(self, depth: int) -> Condition:
        return self._chain("or", depth, self._all)

    def _all(self, depth: int) -> Condition:
        return self._chain("and", depth, self._one)

    def _chain(self, word: str, depth: int, below: Callable[[int], Condition]) -> Condition:
        parts = [below(depth)]
        while self._is(word):
            self._next()
            parts.append(below(depth))
        return parts[0] if len(parts) == 1 else Combination(word, tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth > _DEEPEST:
            raise ValueError(f"a condition has at most {_DEEPEST} levels")
        if self._is("not"):
            self._next()
            return Combination("not", (self._one(depth + 1),))
        if self._is("("):
            self._next()
            found = self._any(depth + 1)
            self._take(")")
            return found
        if self._is("exists"):
            self._next()
            return Predicate(self._name(), "exists")
        return self._test(self._name())

    def _name(self) -> str:
        if self.kind == "name":
            name = self.token[1:-1]
        elif self.kind == "word" and self.token.lower() not in _KEYWORDS:
            name = self.token
        else:
            raise self._expected("a name")
        self._next()
        return name

    def _test(self, name: str) -> Condition:
        if self._is("not"):
            self._next()
            return Combination("not", (self._in(name),))
        if self._is("in"):
            return self._in(name)
        if self.token not in COMPARISONS:
            raise self._expected(f"in or one of {' '.join(COMPARISONS)}")
        operator = self.token
        self._next()
        return Predicate(name, operator, (self._value(),))

    def _in(self, name: str) -> Predicate:
        self._take("in")
        self._take("(")
        values = [self._value()]
        while self._is(","):
            self._next()
            values.append(self._value())
        self._take(")")
        return Predicate(name, "in", tuple(values))

    def _value(self) -> Literal:
        if self.kind not in ("quoted", "word"):
            raise self._expected("a value")
        kind, token = self.kind, self.token
        self._next()
        if kind == "quoted":
            return token[1:-1]
        if token.lower() in ("true", "false"):
            return token.lower() == "true"
        # A longer number would lose digits: it is an id.
        is_number = _NUMBER.fullmatch(token) and len(token) <= _DIGITS and math.isfinite(float(token))
        return float(token) if is_number else token
