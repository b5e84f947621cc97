"""A data set to which logs are appended: all its rows again, and its numbering.

The core only grows. Say that every user and item of a set of events ``K`` has enough events within ``K``. They still
have, whatever joins ``K``, so no round can be the first to drop one of them: ``K`` stays, whole. New rows can only add
to what the core is taken of: a user's first or last event on an item may be another one then, but there still is one.
So whoever was in the data set stays in it, and the rows of users and items can stay what they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from ibis import Table

from ssna.core.errors import DataError
from ssna.core.ragged import Ints, Ragged
from ssna.data.attributes import overlaid
from ssna.data.cleaning import CORE, NO_TEXT
from ssna.data.dataset import Dataset, Histories, IdMap
from ssna.data.dropped import DROPPED, DROPPED_TEXTS, EXACT, RARE, REASON, TEXT, whole
from ssna.data.engine import Engine
from ssna.data.ids import with_ids
from ssna.data.options import COLUMNS, PrepareOptions
from ssna.data.sources import ITEM, RATING, USER, WHEN, Place, Request, Source
from ssna.data.storage import damaged, load, read_whole
from ssna.data.where import SELECTED

OWN_ITEMS = "own_items"  # beside the options in the manifest
_RECOVERABLE = (NO_TEXT, RARE)  # reasons that later logs can do away with


@dataclass(frozen=True, eq=False)
class AppendBase:
    """A data folder and what :mod:`ssna.data.dropped` says that it keeps.

    Attributes:
        options: those that it was prepared with, its format among them.
        own_items: whether the items had a file of their own.
        dropped_rows, dropped_texts: the tables of ``dropped.parquet`` and ``dropped_texts.parquet``.
        exact: ``(m,)`` when, of all events of ``data``.
    """

    folder: Path
    data: Dataset
    options: PrepareOptions
    own_items: bool
    dropped_rows: pa.Table
    dropped_texts: pa.Table
    exact: Ints

    @classmethod
    def read(cls, folder: Path) -> "AppendBase":
        """Raises :class:`DataError` if it is no data folder, is damaged, or keeps nothing of what was dropped."""
        data = load(folder)
        stored = data.manifest.get("options")
        if stored is None or not (folder / DROPPED).is_file():
            raise DataError(
                f"{folder} does not keep the rows that were dropped (it is a sample, or an earlier version of ssna "
                "made it), so nothing can be appended to it; prepare it anew from its logs"
            )
        with damaged(folder):
            options = PrepareOptions.model_validate({name: stored[name] for name in stored if name != OWN_ITEMS})
            dropped_rows, dropped_texts = read_whole(folder / DROPPED), read_whole(folder / DROPPED_TEXTS)
            exact = whole(data.histories)
            if (folder / EXACT).is_file():
                exact = read_whole(folder / EXACT)[WHEN].to_numpy()
            counted = data.manifest["dropped"]
            rows = sum(counted.values()) - counted["unreadable_row"] - counted["duplicate"]
            if len(exact) != len(data.histories.items) or dropped_rows.num_rows != rows:
                raise DataError(f"{DROPPED} has {dropped_rows.num_rows} rows, but the manifest counts {rows}")
        return cls(folder, data, options, stored[OWN_ITEMS], dropped_rows, dropped_texts, exact)

    def request(self, logs: Place, items: Place | None, given: Mapping[str, Any]) -> Request:
        """For ``logs``, by the rules of the data set, with the options ``given`` in place of its own.

        Columns are those of the first logs, if they have the same format; no text where the items' file is missing
        that it was in.
        """
        kept = self.options.model_dump(exclude_unset=True)
        if given.get("format", self.options.format) != self.options.format:
            kept = {name: value for name, value in kept.items() if name not in COLUMNS}
        elif (items is not None) != self.own_items:
            kept["text_cols"] = None if items is not None else ()
        if items is None:
            kept["attribute_cols"] = None
        return Request(logs, items, PrepareOptions.of(**{**kept, **given}))

    @property
    def dropped(self) -> dict[str, int]:
        """How many rows do not come back, by reason: those of :meth:`dropped_for_good`, unreadable ones, duplicates."""
        counts: dict[str, int] = self.data.manifest["dropped"]
        return {reason: count for reason, count in counts.items() if reason not in (NO_TEXT, *CORE)}

    def prepended_to(self, engine: Engine, source: Source) -> Source:
        """``source`` with all rows of the data set that are in it or may come back, before its own.

        Raises:
            DataError: one has times, and the other has not.
        """
        timed = self.data.histories.times is not None
        if timed != source.timed:
            having, lacking = (self.folder, source.logs) if timed else (source.logs, self.folder)
            raise DataError(f"{having} has times and {lacking} has none; append logs of the same kind")
        source = with_ids(source)
        before = ibis.union(self._kept(engine), self._recoverable(engine), distinct=False)
        rating = self.options.min_rating
        if rating is not None:  # which all of them reach, or they would not be here
            before = before.mutate(**{RATING: ibis.literal(rating, "float64")})
        if self.options.where is not None:  # which all of them are as
            before = before.mutate(**{SELECTED: ibis.literal(True)})
        new = source.events if timed else _moved_behind(before, source.events)
        return replace(
            source, events=engine.materialize(ibis.union(before, new.select(*before.columns), distinct=False))
        )

    def dropped_for_good(self, engine: Engine) -> Table:
        """User, item, when and reason of the rows that do not come back."""
        rows = engine.import_arrow(self.dropped_rows)
        return rows.filter(~rows[REASON].isin(_RECOVERABLE))

    def texts(self, engine: Engine) -> Table:
        """Item and text of all items that were described, in as many rows as there are."""
        items = zip(self.data.items.external, self.data.texts[1:], strict=True)
        id_is_text = self.options.missing_text == "id"
        known = [(item, text) for item, text in items if not (id_is_text and item == text)]
        catalogue = pa.table(
            {ITEM: [item for item, _ in known], TEXT: [text for _, text in known]}, schema=self.dropped_texts.schema
        )
        return engine.import_arrow(pa.concat_tables([catalogue, self.dropped_texts]))

    def attributes(self, new: pa.Table | None) -> pa.Table | None:
        """Those of the data set and of new rows, whose values take the place of earlier ones.

        Raises:
            DataError: an attribute is of another kind there.
        """
        return overlaid(self.data.attributes, new)

    def appended_counts(self, dataset: Dataset) -> dict[str, int]:
        """How many rows came to the data set, how many of them stay, and how many of these repeat another at the same
        time."""
        before, now = self.data.manifest, dataset.manifest
        repeats = [(each["checks"]["same_time"] or {}).get("duplicates", 0) for each in (before, now)]
        return {
            "rows": now["rows_read"] - before["rows_read"],
            "interactions": now["interactions"] - before["interactions"],
            "repeats": repeats[1] - repeats[0],
        }

    def renumbered(self, dataset: Dataset, exact: Ints | None) -> tuple[Dataset, Ints | None]:
        """``dataset`` with the rows of users and items that they have here; new ones come behind, in their order.

        Args:
            exact: ``(m,)`` when, of all its events, or None; it is put in the same order.
        """
        user_rows, item_rows = (
            _first(old, new) for old, new in ((self.data.users, dataset.users), (self.data.items, dataset.items))
        )
        row_of = np.zeros(len(item_rows) + 1, dtype=np.int32)
        row_of[item_rows] = np.arange(1, len(item_rows) + 1)
        histories, times = dataset.histories, dataset.histories.times
        places = Ragged(np.arange(len(histories.items)), histories.offsets).take(user_rows - 1)
        moved = replace(
            dataset,
            users=IdMap(tuple(dataset.users.ids(user_rows.tolist()))),
            items=IdMap(tuple(dataset.items.ids(item_rows.tolist()))),
            texts=("", *(dataset.texts[row] for row in item_rows)),
            histories=Histories(
                items=row_of[histories.items[places.values]],
                times=None if times is None else times[places.values],
                offsets=places.offsets,
            ),
        )
        return moved, None if exact is None else exact[places.values]

    def _kept(self, engine: Engine) -> Table:
        data = self.data
        users, items = (
            engine.import_arrow(pa.table({f"{key}_row": np.arange(len(ids)), key: ids.external}))
            for key, ids in ((USER, data.users), (ITEM, data.items))
        )
        rows = {"user_row": data.histories.ragged.row_of_value, "item_row": data.histories.items - 1, WHEN: self.exact}
        events = engine.import_arrow(pa.table({name: pa.array(values, pa.int64()) for name, values in rows.items()}))
        return events.join(users, "user_row").join(items, "item_row").select(USER, ITEM, WHEN)

    def _recoverable(self, engine: Engine) -> Table:
        rows = engine.import_arrow(self.dropped_rows)
        return rows.filter(rows[REASON].isin(_RECOVERABLE)).select(USER, ITEM, WHEN)


def _moved_behind(before: Table, events: Table) -> Table:
    """Places in a history, moved behind those that its user had before."""
    places = before.group_by(USER).agg(places=before[WHEN].max() + 1)
    joined = events.left_join(places, USER).drop(f"{USER}_right")
    return joined.mutate(**{WHEN: joined[WHEN] + joined.places.fill_null(0)}).drop("places")


def _first(old: IdMap, new: IdMap) -> Ints:
    """``(n,)`` rows of ``new``: those of ``old`` in its order, then the others."""
    known = new.rows(old.external)
    if (known == 0).any():
        gone = old.external[int(np.flatnonzero(known == 0)[0])]
        raise DataError(f"{gone!r} would leave the data set, as its folder was changed; prepare it anew from its logs")
    rest = np.ones(len(new) + 1, dtype=bool)
    rest[0] = rest[known] = False
    return np.concatenate([known, np.flatnonzero(rest)])
