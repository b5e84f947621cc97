"""Two sequences as one, without a copy of the first."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar, overload

ValueT = TypeVar("ValueT", covariant=True)
MOST_BEHIND = 32_768  # values that are copied with every addition; more go into one tuple with the others


class Joined(Sequence[ValueT]):
    """``first``, then ``second``; neither may change."""

    def __init__(self, first: Sequence[ValueT], second: tuple[ValueT, ...]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __iter__(self) -> Iterator[ValueT]:
        return chain(self.first, self.second)

    @overload
    def __getitem__(self, place: int) -> ValueT: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[ValueT, ...]: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return (*self.first, *self.second)[place]
        if not -len(self) <= place < len(self):
            raise IndexError("no value there")
        place %= len(self)
        return self.first[place] if place < len(self.first) else self.second[place - len(self.first)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_equal, self, other))

    __hash__ = None  # type: ignore[assignment]


def joined(first: Sequence[ValueT], more: Sequence[ValueT]) -> Sequence[ValueT]:
    """``first``, then ``more``: only what was joined before is copied, as long as it is little."""
    if not isinstance(first, Joined):
        return Joined(first, tuple(more)) if len(more) <= MOST_BEHIND else (*first, *more)
    behind = (*first.second, *more)
    return Joined(first.first, behind) if len(behind) <= MOST_BEHIND else (*first.first, *behind)


def _equal(one: object, other: object) -> bool:
    return one == other
