"""Outside ids and their rows."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssna.core.display import cut
from ssna.core.errors import DataError
from ssna.core.joined import Joined, joined
from ssna.core.ragged import Ints

_WHOLE = re.compile(r"^(-?[0-9]+)\.0+$")


def _tidy(external: str) -> str:
    return _WHOLE.sub(r"\1", external.strip())


@dataclass(frozen=True, eq=False)
class IdMap:
    """Outside ids and their rows. Row 0 is padding: row ``r`` is ``external[r - 1]``.

    Attributes:
        external: ``(n,)`` distinct, non-empty ids, as people write them.
    """

    external: Sequence[str]

    def __post_init__(self) -> None:
        if isinstance(self.external, Joined):
            return  # checked by extended
        _check(self.external, len(set(self.external)))

    @cached_property
    def _row_of(self) -> "dict[str, int] | _Layers":
        return {external: row for row, external in enumerate(self.external, start=1)}

    def extended(self, ids: Sequence[str]) -> "IdMap":
        """With more ids, put last. Little is copied.

        Raises:
            DataError: one is empty, is there twice, or is known already.
        """
        _check(ids, len({external for external in ids if external not in self}))
        return self._with_last(joined(self.external, ids))

    def renamed(self, names: Mapping[int, str]) -> "IdMap":
        """With other ids of some rows. Little is copied if :meth:`extended` put them last."""
        if isinstance(self.external, Joined) and min(names, default=0) > len(self.external.first):
            first, last = self.external.first, list(self.external.second)
            for row, external in names.items():
                last[row - 1 - len(first)] = external
            return self._with_last(Joined(first, tuple(last)))
        return IdMap(tuple(names.get(row, external) for row, external in enumerate(self.external, 1)))

    def _with_last(self, external: Sequence[str]) -> "IdMap":
        found = IdMap(external)
        if isinstance(external, Joined):
            first, here = self._row_of, len(external.first)
            first = first.first if isinstance(first, _Layers) else first
            found.__dict__["_row_of"] = _Layers(first, {key: here + i for i, key in enumerate(external.second, 1)})
        return found

    def __len__(self) -> int:
        return len(self.external)

    def __contains__(self, external: object) -> bool:
        return external in self._row_of

    def __repr__(self) -> str:
        first = ", ".join(cut(repr(external), 20) for external in self.external[:3])
        return f"<IdMap of {len(self):,} ids: {first}{', …' if len(self) > 3 else ''}>"

    def rows(self, ids: Iterable[str]) -> Ints:
        """``(m,)`` rows of ``ids``; 0 for an id that is not known."""
        return np.fromiter((self._row_of.get(external, 0) for external in ids), dtype=np.int64)

    @cached_property
    def column(self) -> Any:
        """``external`` as an Arrow array of strings."""
        return pa.array(self.external, pa.string())

    def rows_of(self, ids: Any) -> Ints:
        """``(m,)`` rows of ``ids``, an Arrow array of strings; 0 for one that is not known. For millions of ids."""
        found = pc.index_in(ids, value_set=self.column)
        rows: Ints = pc.add(pc.fill_null(found, -1), 1).to_numpy(zero_copy_only=False).astype(np.int64)
        return rows

    def find(self, ids: Iterable[str]) -> Ints:
        """As :meth:`rows`; an id that is not known is tidied first, as ``prepare`` tidies ids: of blanks around it, and
        of the fraction of a whole number (``1001.0``)."""
        row_of = self._row_of
        found = (row_of.get(external) or row_of.get(_tidy(external), 0) for external in ids)
        return np.fromiter(found, dtype=np.int64)

    def ids(self, rows: Iterable[int]) -> list[str]:
        """The outside ids of ``rows``, none of which may be 0."""
        return [self.external[row - 1] for row in rows]


def _check(ids: Sequence[str], distinct: int) -> None:
    if distinct != len(ids):
        raise DataError("an id stands twice in the list of ids; ids must be distinct")
    if "" in ids:
        raise DataError("an id is empty; every id needs at least one character")


@dataclass(frozen=True)
class _Layers:
    """A large dictionary that many share, and the few rows beyond it."""

    first: dict[str, int]
    second: dict[str, int]

    def get(self, external: object, default: int | None = None) -> int | None:
        """As that of a dictionary."""
        found = self.first.get(external)  # type: ignore[call-overload]
        return self.second.get(external, default) if found is None else found  # type: ignore[call-overload,no-any-return]

    def __contains__(self, external: object) -> bool:
        return external in self.first or external in self.second
