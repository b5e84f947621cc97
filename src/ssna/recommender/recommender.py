"""The recommender: a scorer with the ids and texts of its items; histories of ids in, ranked items out."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ssna.compute.blocks import appended
from ssna.compute.forks import make_forks_safe
from ssna.core.arguments import checked
from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.fields import is_list, require_ids
from ssna.core.files import new_folder
from ssna.core.joined import joined
from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset, IdMap
from ssna.recommender import artifact
from ssna.recommender.admission import NewItems, check_new, checked_vectors, read_new, warnings_of
from ssna.recommender.artifact import Contents
from ssna.recommender.on_hub import OnHub
from ssna.recommender.ranking import RankRequest, best_rows, check_k, check_new_items, rank
from ssna.recommender.recommendations import Recommendation, Recommendations, ScoredItem
from ssna.scoring import Scorer, vector_member
from ssna.scoring.topk import CHUNK
from ssna.text import Encoding, moved

make_forks_safe()


@dataclass(frozen=True, eq=False)
class Recommender(OnHub):
    """Recommends from histories of item ids. Frozen: :meth:`add_items` and :meth:`remove_items` return a new one.

    Attributes:
        scorer: ranks the catalogue.
        items: outside ids; row ``r`` of the scorer is ``items.external[r - 1]``.
        texts: ``(I + 1,)``, the first one empty.
        counts: ``(I + 1,)`` training events of each item, for histories that say nothing.
        encoding: how item texts became states, None for a method that reads no text.
    """

    scorer: Scorer
    items: IdMap
    texts: Sequence[str]
    counts: NDArray[np.int64]
    encoding: Encoding | None = None

    def __repr__(self) -> str:
        return f"<Recommender of {len(self.items):,} items, scorer: {self.scorer.kind}>"

    @checked
    def recommend(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        exclude_seen: bool = True,
        allow: Sequence[str] | None = None,
        deny: Sequence[str] = (),
        new_items: float = 0.0,
    ) -> Recommendations:
        """The ``k`` best items for each history of item ids, oldest first: a list, which is a table, too.

        Args:
            exclude_seen: leave out the items of the history.
            allow: rank these items only (unknown ids are ignored).
            deny: leave these items out.
            new_items: raises items without training events by so many deviations of scores, as far as validation
                would not have them; old items lose places (``record.json`` has the price).

        Raises:
            SsnaError: ``k`` is below 1, a history is a string where a list of ids belongs, or an id is none
                (:mod:`ssna.core.fields`).
            ArtifactError: ``new_items`` is not 0, and the model has no weights for new items.
        """
        if not is_list(histories) or not all(map(is_list, histories)):
            raise SsnaError("a history is a list of item ids: recommend([['sku-17', 'sku-4']])")
        require_ids(chain.from_iterable(histories), self.items)
        return self.recommend_unchecked(histories, k, exclude_seen, allow, deny, new_items)

    def recommend_unchecked(
        self,
        histories: Sequence[Sequence[str]],
        k: int,
        exclude_seen: bool,
        allow: Sequence[str] | None,
        deny: Sequence[str],
        new_items: float,
    ) -> Recommendations:
        """As :meth:`recommend`, of histories that were checked before, or need no check."""
        check_k(k)
        check_new_items(new_items)
        scorer = self.scorer.with_exposure(new_items)
        if not (allow is None or is_list(allow)) or not is_list(deny):
            raise SsnaError("allow and deny are lists of item ids: recommend(histories, deny=['sku-17'])")
        require_ids((*(() if allow is None else allow), *deny), self.items)
        allowed, denied = None if allow is None else self.items.find(allow), self.items.find(deny)
        recommendations: list[Recommendation] = []
        for start in range(0, len(histories), CHUNK):
            known, unknown = self.look_up(histories[start : start + CHUNK])
            request = RankRequest.uniform(known, k, exclude_seen, allowed)
            rows, scores = rank(scorer, self.counts, request, excluded=denied)
            recommendations += [
                Recommendation(self.scored(*best), tuple(skipped), "popularity" if fallback else None)
                for *best, skipped, fallback in zip(
                    rows.tolist(), scores.tolist(), unknown, request.fallback.tolist(), strict=True
                )
            ]
        return Recommendations(recommendations)

    @checked
    def recommend_users(
        self,
        data: Dataset,
        users: Sequence[str] | None = None,
        k: int = 10,
        exclude_seen: bool = True,
        allow: Sequence[str] | None = None,
        deny: Sequence[str] = (),
        new_items: float = 0.0,
    ) -> Recommendations:
        """As :meth:`recommend`, for users of ``data``: from all that it knows of them.

        Args:
            data: need not be what was trained on. Its items are told by their ids.
            users: their ids; None takes all of ``data``.

        Raises:
            DataError: a user is not in ``data``.
        """
        if not isinstance(data, Dataset):
            raise SsnaError("recommend_users takes what prepare (or load_data) returns as data, and ids of its users")
        histories = data.histories_of(users)
        named = data.users.external if users is None else [str(user) for user in users]
        return Recommendations(self.recommend_unchecked(histories, k, exclude_seen, allow, deny, new_items), named)

    def look_up(self, histories: Sequence[Sequence[str]]) -> tuple[Ragged, list[list[str]]]:
        """Histories of ids as ``n`` histories of item rows, and the ids of each that the catalogue does not have."""
        flat = list(chain.from_iterable(histories))
        rows = self.items.find(flat)
        known, lengths = rows > 0, np.array([len(history) for history in histories], dtype=np.int64)
        history_of = np.repeat(np.arange(len(histories)), lengths)
        unknown: list[list[str]] = [[] for _ in histories]
        for number in np.flatnonzero(~known).tolist():
            unknown[history_of[number]].append(flat[number])
        counts = np.bincount(history_of[known], minlength=len(histories))
        return Ragged(rows[known], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)), unknown

    @checked
    def similar_items(self, item: str, k: int = 10) -> tuple[ScoredItem, ...]:
        """The items nearest to ``item``: by the cosine of vectors, or by the scorer itself where it has none."""
        check_k(k)
        row = int(self.items.find([item])[0])
        if row == 0:
            raise SsnaError(f"item {item!r} is not in the catalogue; add it with add_items")
        member = vector_member(self.scorer)
        if member is None:
            scores = self.scorer.score(Ragged.from_rows([[row]]))[0]
        else:
            scores = member.directions @ member.directions[row]
        scores[[0, row]] = -torch.inf
        return self.scored(*best_rows(scores, k))

    def user_embeddings(self, histories: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """``(n, D)`` user embeddings at unit length, to query an index or a database of item vectors with.

        Unknown ids are skipped; a history without a known one is zero. Of an ensemble they are its model's.

        Raises:
            ArtifactError: the method has no vectors.
        """
        member = vector_member(self.scorer)
        if member is None:
            raise ArtifactError(
                "this model has neighbours or counts, no vectors; ssna, ids, text-knn and text-linear have some"
            )
        embeddings = member.user_embeddings(self.look_up(histories)[0])
        unit: NDArray[np.float32] = F.normalize(embeddings, dim=-1).numpy()
        return unit

    def add_items(
        self,
        texts: Mapping[str, str] | None = None,
        model: Path | str | None = None,
        vectors: Mapping[str, Any] | None = None,
    ) -> "Recommender":
        """A recommender that knows these items too, by their texts or vectors alone: no training.

        Args:
            texts: by their ids.
            model: as in :meth:`load`.
            vectors: by ids, of a model that was trained with vectors: an array, as ``encode`` took them, or arrays by
                the names of several sources. An item that has one needs no text.

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
        return recommender.admit_read(new)

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

    def admit_read(self, new: NewItems) -> "Recommender":
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
        )

    def with_history_items(self, new: NewItems) -> "Recommender":
        """One that knows these items in histories, for the requests of a moment; they are not to be recommended."""
        scorer = self.scorer.with_history_items(new.states, new.read)
        return replace(
            self,
            scorer=scorer,
            items=self.items.extended(tuple(new.texts)),
            texts=joined(self.texts, tuple(new.texts.values())),
            counts=np.pad(self.counts, (0, scorer.num_rows - self.scorer.num_rows)),
        )

    def remove_items(self, items: Sequence[str]) -> "Recommender":
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
        )

    @property
    def contents(self) -> Contents:
        """What is saved."""
        return Contents(self.scorer, self.items, self.texts, self.counts, self.encoding)

    @checked
    def save(self, folder: Path | str) -> None:
        """Write the artefact as one folder of safetensors, Parquet and JSON; whole or not at all."""
        with new_folder(Path(folder), marker=artifact.MANIFEST) as aside:
            self.write(aside)

    def write(self, folder: Path) -> None:
        """As :meth:`save`, into a folder that the caller moves into place."""
        artifact.write(folder, self.contents)

    @classmethod
    @checked
    def load(cls, folder: Path | str, model: Path | str | None = None) -> "Recommender":
        """Read what :meth:`save` wrote, or the model of a run folder.

        Args:
            model: where the language model lies now, if it moved. Its files are compared, not its path.

        Raises:
            ArtifactError: it is missing, foreign or damaged.
            EncoderError: ``model`` is another one.
        """
        return cls(*artifact.read(Path(folder))).with_model(model)

    def with_model(self, model: Path | str | None) -> "Recommender":
        """With the language model read from elsewhere; see :meth:`load`. None changes nothing."""
        if model is None:
            return self
        if self.encoding is None or not self.encoding.has_model:
            raise ArtifactError("this model reads no text, so that it needs no language model; leave model out")
        return replace(self, encoding=moved(self.encoding, str(model)))

    def scored(self, rows: Iterable[int], scores: Iterable[float]) -> tuple[ScoredItem, ...]:
        """Ids, scores and texts of item rows; a row 0 is skipped."""
        pairs = zip(rows, scores, strict=True)
        return tuple(ScoredItem(self.items.external[row - 1], score, self.texts[row]) for row, score in pairs if row)
