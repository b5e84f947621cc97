"""The items of a recommender: which there are, what they are known by, and how they come, change and go."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ssna.compute.blocks import appended
from ssna.core.arguments import checked
from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.joined import joined
from ssna.data.attributes import Attributes
from ssna.data.dataset import IdMap
from ssna.recommender.admission import NewItems, check_new, checked_vectors, read_new, warnings_of
from ssna.recommender.on_hub import OnHub
from ssna.recommender.selection import NO_ATTRIBUTES
from ssna.scoring import Scorer
from ssna.text import Encoding, moved


@dataclass(frozen=True, eq=False)
class Catalogue(OnHub):
    """Items and what scores them. Frozen: what changes it returns a new one.

    Attributes:
        scorer: ranks the catalogue.
        items: outside ids; row ``r`` of the scorer is ``items.external[r - 1]``.
        texts: ``(I + 1,)``, the first one empty.
        counts: ``(I + 1,)`` training events of each item, for histories that say nothing.
        encoding: how item texts became states, None for a method that reads no text.
        attributes: columns of all items, to filter and boost by; None where the data had none.
    """

    scorer: Scorer
    items: IdMap
    texts: Sequence[str]
    counts: NDArray[np.int64]
    encoding: Encoding | None = None
    attributes: Attributes | None = None

    def add_items(
        self,
        texts: Mapping[str, str] | None = None,
        model: Path | str | None = None,
        vectors: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Self:
        """A recommender that knows these items too, by their texts or vectors alone: no training.

        Args:
            texts: by their ids.
            model: as in :meth:`load`.
            vectors: by ids, of a model that was trained with vectors: an array, as ``encode`` took them, or arrays by
                the names of several sources. An item that has one needs no text.
            attributes: by ids, as :meth:`with_attributes` takes them.

        An item whose text says nothing is admitted as one without text, with a warning: its text adds nothing to its
        score.

        Raises:
            ArtifactError: the method reads no text.
            SsnaError: an id is known already, or is none (:mod:`ssna.core.fields`); a text is empty; or a vector does
                not fit, or is missing where nothing else is read.
        """
        given = {} if vectors is None else vectors
        known = {} if texts is None and given else texts
        recommender = self.with_model(model)
        new = recommender.read(known, given)  # type: ignore[arg-type]  # read says what None is
        for line in warnings_of(new, self.encoding):
            warnings.warn(line, stacklevel=2)
        return recommender.admit_read(new).with_attributes(attributes or {})

    def read(self, texts: Mapping[str, str], vectors: Mapping[str, Any] | None = None) -> NewItems:
        """Let the language model read texts of new items, to :meth:`admit_read` them. Raises as :meth:`add_items`."""
        given = checked_vectors(vectors or {}, self.encoding)
        if isinstance(texts, Mapping):
            texts = {**texts, **{item: "" for item in given if item not in texts}}
        check_new(texts, self.items, given)
        if self.encoding is None or not self.scorer.layers:
            raise ArtifactError(
                "this model cannot admit items by their texts: it reads none, has no vectors, or tuned a language "
                "model that is not kept; ssna, tmlp, tmoe, text-knn and text-linear can admit items"
            )
        if not texts:
            return NewItems({}, torch.zeros(self.scorer.layers, 0, self.encoding.width), ())
        return read_new(texts, given, self.encoding, self.scorer.layers)

    def admit_read(self, new: NewItems) -> Self:
        """A recommender that knows these items too, none of which it knew."""
        if not new.texts:
            return self
        none = torch.zeros(len(new.texts), dtype=torch.int64)
        return replace(
            self,
            scorer=self.scorer.add_items(new.states, new.read),
            items=self.items.extended(tuple(new.texts)),
            texts=joined(self.texts, tuple(new.texts.values())),
            counts=appended(torch.from_numpy(self.counts), none).numpy(),
            attributes=None if self.attributes is None else self.attributes.extended(len(new.texts)),
        )

    def with_history_items(self, new: NewItems) -> Self:
        """One that knows these items in histories, for the requests of a moment; they are not to be recommended."""
        scorer = self.scorer.with_history_items(new.states, new.read)
        return replace(
            self,
            scorer=scorer,
            items=self.items.extended(tuple(new.texts)),
            texts=joined(self.texts, tuple(new.texts.values())),
            counts=np.pad(self.counts, (0, scorer.num_rows - self.scorer.num_rows)),
        )

    def remove_items(self, items: Sequence[str]) -> Self:
        """A recommender that knows these items no more: neither in recommendations nor in histories.

        The others keep their scores. An id that left may come back through :meth:`add_items`, with the same text or
        another.

        Raises:
            SsnaError: an id is not known, or none would be left.
        """
        if isinstance(items, str):
            raise SsnaError("remove_items takes a list of item ids: remove_items(['sku-17'])")
        if unknown := [item for item in items if item not in self.items]:
            raise SsnaError(f"item {unknown[0]!r} is not in the catalogue; there is nothing to remove")
        keep = np.ones(len(self.items) + 1, dtype=bool)
        keep[self.items.rows(items)] = False
        rows = np.flatnonzero(keep)
        if len(rows) == 1:
            raise SsnaError("no item would be left; keep at least one")
        return replace(
            self,
            scorer=self.scorer.select_items(torch.from_numpy(rows)),
            items=IdMap(tuple(self.items.ids(rows[1:].tolist()))),
            texts=tuple(self.texts[row] for row in rows.tolist()),
            counts=self.counts[rows],
            attributes=None if self.attributes is None else self.attributes.take(rows[1:]),
        )

    @checked
    def with_attributes(self, values: Mapping[str, Mapping[str, Any]]) -> Self:
        """A recommender that knows other attributes of some items; no score changes.

        Args:
            values: by ids and by the names of attributes: numbers, texts, booleans, lists of texts; of a time an ISO
                date, seconds since 1970 or a ``datetime``. None takes a value away, and what is not named stays.

        Raises:
            SsnaError: an item or an attribute is not known, or a value is of another kind.
        """
        by_item = isinstance(values, Mapping) and all(isinstance(each, Mapping) for each in values.values())
        if not by_item:
            raise SsnaError("attributes go by ids and names: with_attributes({'sku-17': {'price': 3.5}})")
        if not values:
            return self
        if self.attributes is None:
            raise SsnaError(NO_ATTRIBUTES)
        if unknown := [item for item in values if item not in self.items]:
            raise SsnaError(f"item {unknown[0]!r} is not in the catalogue; add it with add_items")
        rows = self.items.rows(values).tolist()
        return replace(self, attributes=self.attributes.updated(dict(zip(rows, values.values(), strict=True))))

    def with_model(self, model: Path | str | None) -> Self:
        """With the language model read from elsewhere; see :meth:`load`. None changes nothing."""
        if model is None:
            return self
        if self.encoding is None or not self.encoding.has_model:
            raise ArtifactError("this model reads no text, so that it needs no language model; leave model out")
        return replace(self, encoding=moved(self.encoding, str(model)))
