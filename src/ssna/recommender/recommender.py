"""The recommender: a scorer with the ids and texts of its items; histories of ids in, ranked items out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ssna.compute.forks import make_forks_safe
from ssna.core.arguments import checked
from ssna.core.conditions import ConditionError
from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.fields import is_list, require_ids
from ssna.core.files import new_folder
from ssna.core.ragged import Ragged
from ssna.core.rules import NO_RULES, Rules
from ssna.data.dataset import Dataset
from ssna.recommender import artifact
from ssna.recommender.artifact import Contents
from ssna.recommender.catalogue import Catalogue
from ssna.recommender.ranking import RankRequest, best_rows, check_k, check_new_items, rank
from ssna.recommender.recommendations import Recommendation, Recommendations, ScoredItem
from ssna.recommender.selecting import directions_of
from ssna.recommender.selection import Selection, check_rules, selection_of
from ssna.scoring import vector_member
from ssna.scoring.topk import CHUNK

make_forks_safe()


@dataclass(frozen=True, eq=False)
class Recommender(Catalogue):
    """Recommends from histories of item ids. Frozen: :meth:`add_items` and :meth:`remove_items` return a new one.

    Attributes:
        scorer: ranks the catalogue.
        items: outside ids; row ``r`` of the scorer is ``items.external[r - 1]``.
        texts: ``(I + 1,)``, the first one empty.
        counts: ``(I + 1,)`` training events of each item, for histories that say nothing.
        encoding: how item texts became states, None for a method that reads no text.
        attributes: columns of all items, to filter and boost by; None where the data had none.
    """

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
        where: str | Mapping[str, Any] | None = None,
        boost: Sequence[Mapping[str, Any]] = (),
        at_least: Mapping[str, Any] | None = None,
        diversity: float = 0.0,
    ) -> Recommendations:
        """The ``k`` best items for each history of item ids, oldest first: a list, which is a table, too.

        Args:
            exclude_seen: leave out the items of the history.
            allow: rank these items only (unknown ids are ignored).
            deny: leave these items out.
            new_items: raises items without training events by so many deviations of scores, as far as validation
                would not have them; old items lose places (``record.json`` has the price).
            where: rank only items that fulfil this condition on their attributes: text such as ``"price < 20"``, or
                its tree (:mod:`ssna.core.conditions`).
            boost: ``[{"where": "brand = Acme", "factor": 2}, ...]`` adds the logarithm of the factor, in deviations of
                the history's scores, to those of items that fulfil the condition.
            at_least: ``{"items": 3, "where": "new = true"}``: so many of the ``k`` fulfil the condition, if there are
                so many; the best of them, and the best others.
            diversity: 0 to 1; above 0, items are chosen one by one, each the less like those before, by the cosine of
                their vectors (MMR).

        Raises:
            SsnaError: ``k`` is below 1, a history is a string where a list of ids belongs, an id is none
                (:mod:`ssna.core.fields`), or a condition is none, or not on the attributes that there are.
            ArtifactError: ``new_items`` or ``diversity`` is not 0, and the model has no weights for new items, or no
                vectors.
        """
        if not is_list(histories) or not all(map(is_list, histories)):
            raise SsnaError("a history is a list of item ids: recommend([['sku-17', 'sku-4']])")
        require_ids(chain.from_iterable(histories), self.items)
        rules = Rules.of(where=where, boost=boost, at_least=at_least, diversity=diversity)
        return self.recommend_unchecked(histories, k, exclude_seen, allow, deny, new_items, rules)

    def recommend_unchecked(
        self,
        histories: Sequence[Sequence[str]],
        k: int,
        exclude_seen: bool,
        allow: Sequence[str] | None,
        deny: Sequence[str],
        new_items: float,
        rules: Rules | Sequence[Rules] = NO_RULES,
    ) -> Recommendations:
        """As :meth:`recommend`, of histories that were checked before, or need no check.

        Args:
            rules: for all histories, or one for each.
        """
        check_k(k)
        check_new_items(new_items)
        scorer = self.scorer.with_exposure(new_items)
        if not (allow is None or is_list(allow)) or not is_list(deny):
            raise SsnaError("allow and deny are lists of item ids: recommend(histories, deny=['sku-17'])")
        require_ids((*(() if allow is None else allow), *deny), self.items)
        allowed, denied = None if allow is None else self.items.find(allow), self.items.find(deny)
        of_each = rules if isinstance(rules, Sequence) else [rules] * len(histories)
        found = {each: self.selection(each, k) for each in dict.fromkeys(of_each)}
        recommendations: list[Recommendation] = []
        for start in range(0, len(histories), CHUNK):
            known, unknown = self.look_up(histories[start : start + CHUNK])
            request = RankRequest.uniform(known, k, exclude_seen, allowed)
            if any(each is not None for each in found.values()):
                selections = tuple(found[each] for each in of_each[start : start + CHUNK])
                request = replace(request, selections=selections)
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
        where: str | Mapping[str, Any] | None = None,
        boost: Sequence[Mapping[str, Any]] = (),
        at_least: Mapping[str, Any] | None = None,
        diversity: float = 0.0,
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
        rules = Rules.of(where=where, boost=boost, at_least=at_least, diversity=diversity)
        return Recommendations(
            self.recommend_unchecked(histories, k, exclude_seen, allow, deny, new_items, rules), named
        )

    def selection(self, rules: Rules, k: int) -> Selection | None:
        """What ``rules`` mean for this catalogue; None where they change nothing.

        Raises:
            SsnaError: they do not fit it, or ``k``; the message names the place.
            ArtifactError: they ask for diversity, and there are no vectors.
        """
        try:
            check_rules(rules, self.attributes, k)
        except ConditionError as cause:
            raise SsnaError(str(cause)) from None
        if rules.diversity:
            directions_of(self.scorer)
        return selection_of(rules, self.attributes)

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

    @property
    def contents(self) -> Contents:
        """What is saved."""
        return Contents(self.scorer, self.items, self.texts, self.counts, self.encoding, self.attributes)

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

    def scored(self, rows: Iterable[int], scores: Iterable[float]) -> tuple[ScoredItem, ...]:
        """Ids, scores and texts of item rows; a row 0 is skipped."""
        pairs = zip(rows, scores, strict=True)
        return tuple(ScoredItem(self.items.external[row - 1], score, self.texts[row]) for row, score in pairs if row)
