"""Tables without a header: whether a first line is data, and which columns those of the field have."""

import re
from collections.abc import Callable, Sequence

from ssna.data.grammar import MOMENT, NUMBER
from ssna.data.sources.sample import Sample

_EARLIEST = 1e8  # seconds since 1970; a smaller number is no time
_HIGHEST_RATING = 100
_MOST = 0.9  # of the rows
_IN_ORDER = {  # cells of a row -> what they are
    (2, False): ("user", "item"),
    (3, False): ("user", "item", "rating"),
    (3, True): ("user", "item", "time"),
    (4, True): ("user", "item", "rating", "time"),
}


def is_data(cells: Sequence[str]) -> bool:
    """Whether a line holds a number or a time, which no header does."""
    return any(re.fullmatch(f"{NUMBER}|{MOMENT}", cell) for cell in cells)


def guessed_names(sample: Sample, count: int) -> tuple[str, ...]:
    """The names of ``count`` columns: user, item, rating, time where rows look so, or else ``1``, ``2`` and so on.

    Args:
        sample: the first rows, by these numbers.
    """
    numbers = tuple(map(str, range(1, count + 1)))
    timed = _share(sample, numbers[-1], _is_time) >= _MOST
    known = _IN_ORDER.get((count, timed))
    if known is None or ("rating" in known and _share(sample, numbers[2], _is_rating) < _MOST):
        return numbers
    early = (_share(sample, name, _is_dated) for name in numbers[:2])
    return numbers if any(share >= _MOST for share in early) else known


def _share(sample: Sample, name: str, holds: Callable[[str], bool]) -> float:
    cells = [str(row[name]).strip() for row in sample]
    return sum(map(holds, cells)) / max(len(cells), 1)


def _is_time(cell: str) -> bool:
    if re.fullmatch(NUMBER, cell):
        return float(cell) >= _EARLIEST
    return _is_dated(cell)


def _is_dated(cell: str) -> bool:
    return re.fullmatch(MOMENT, cell) is not None


def _is_rating(cell: str) -> bool:
    return re.fullmatch(NUMBER, cell) is not None and abs(float(cell)) <= _HIGHEST_RATING
