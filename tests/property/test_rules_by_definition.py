"""Rules against their definitions: filter, then rank; boosted scores; the best list of a kind; MMR one by one."""

import math

import numpy as np
import pyarrow as pa
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.ragged import Ragged
from ssna.core.rules import Rules
from ssna.data.attributes import Attributes
from ssna.nn.sasrec import RecencyMean
from ssna.recommender import restriction
from ssna.recommender.ranking import RankRequest, rank
from ssna.recommender.selecting import CANDIDATES, MOST_CANDIDATES, diversified
from ssna.recommender.selection import selection_of
from ssna.scoring import PopularityScorer, VectorScorer

ITEMS = 40
RNG = np.random.default_rng(0)
PRICES = [None if item % 7 == 0 else float(item % 10) for item in range(1, ITEMS + 1)]
BRANDS = [("Acme", "Brevik", "Corvane")[item % 3] for item in range(1, ITEMS + 1)]
ATTRIBUTES = Attributes(pa.table({"price": pa.array(PRICES, pa.float64()), "brand": BRANDS}))
POPULAR = PopularityScorer(torch.from_numpy(RNG.integers(0, 9, ITEMS + 1)))  # many ties
VECTORS = VectorScorer(
    torch.from_numpy(np.concatenate([np.zeros((1, 6)), RNG.normal(size=(ITEMS, 6))]).astype(np.float32)),
    RecencyMean(window=10, decay=0.5),
    10,
)
COUNTS = RNG.integers(0, 5, ITEMS + 1)

CONDITIONS = {
    "price < 3": lambda row: PRICES[row] is not None and PRICES[row] < 3,
    "not price < 9": lambda row: not (PRICES[row] is not None and PRICES[row] < 9),
    "brand in (Acme, Corvane)": lambda row: BRANDS[row] in ("Acme", "Corvane"),
    "price = 4 and brand != Acme": lambda row: PRICES[row] == 4 and BRANDS[row] != "Acme",
    "exists price": lambda row: PRICES[row] is not None,
    "price > 100": lambda row: False,
}
conditions = st.sampled_from(sorted(CONDITIONS))
rules = st.builds(
    lambda where, boost, at_least: {"where": where, "boost": boost, "at_least": at_least},
    st.none() | conditions,
    st.lists(st.builds(lambda where, factor: {"where": where, "factor": factor}, conditions,
                       st.sampled_from([0.01, 0.5, 1.0, 3.0, 1e4])), max_size=2),
    st.none() | st.builds(lambda items, where: {"items": items, "where": where}, st.integers(1, 3), conditions),
)  # fmt: skip
histories = st.lists(st.integers(1, ITEMS), max_size=4)


def asked(each: list[tuple]) -> RankRequest:
    rows, k, given_rules = zip(*each, strict=True)
    n = len(rows)
    return RankRequest(
        Ragged.from_rows(rows), np.array(k), np.full(n, True), (None,) * n, Ragged.from_rows([[]] * n),
        selections=tuple(selection_of(Rules.of(**one), ATTRIBUTES) for one in given_rules),
    )  # fmt: skip


def fulfils(condition: str | None, row: int) -> bool:
    return condition is None or CONDITIONS[condition](row - 1)


def naive(scorer, history: list[int], k: int, wanted: dict) -> tuple[list[int], np.ndarray]:
    scorer = scorer if history else PopularityScorer(torch.from_numpy(COUNTS))
    scores = scorer.score(Ragged.from_rows([history]))[0].double().numpy()
    unit = scores[1:].std() or 1.0  # the catalogue has no more items than the sample
    for boost in wanted["boost"]:
        for row in range(1, ITEMS + 1):
            scores[row] += unit * math.log(boost["factor"]) * fulfils(boost["where"], row)
    ranked = sorted(range(1, ITEMS + 1), key=lambda row: (-scores[row], row))
    left = [row for row in ranked if row not in history and fulfils(wanted["where"], row)]
    first = []
    if (at_least := wanted["at_least"]) is not None:
        first = [row for row in left if fulfils(at_least["where"], row)][: min(at_least["items"], k)]
    chosen = {*first, *[row for row in left if row not in first][: k - len(first)]}
    return [row for row in left if row in chosen], scores


@given(
    st.lists(st.tuples(histories, st.integers(3, 9), rules), min_size=1, max_size=5), st.sampled_from([0.0, 0.3, 1.0])
)
def test_a_ranking_by_rules_is_the_best_list_that_keeps_them(each, share):
    request = asked(each)
    for scorer in (POPULAR, VECTORS):
        before, restriction.SHARE = restriction.SHARE, share  # how many items make a filter narrow
        try:
            rows, values = rank(scorer, COUNTS, request)
        finally:
            restriction.SHARE = before
        for (history, k, wanted), best, found in zip(each, rows, values, strict=True):
            expected, scores = naive(scorer, history, k, wanted)
            kept = best[best > 0].tolist()
            assert len(kept) == len(expected)
            assert np.allclose(scores[kept], scores[expected], atol=1e-4)
            assert np.allclose(found[: len(kept)], scores[kept], atol=1e-4)
            assert all(fulfils(wanted["where"], row) for row in kept)
            if not wanted["boost"] and scorer is POPULAR:  # whole numbers: ties are exact
                assert kept == expected


def naive_mmr(rows, scores, directions, k, diversity):
    low, high = min(scores), max(scores)
    left, chosen = list(range(len(rows))), []
    while left and len(chosen) < k:

        def value(place):
            relevance = np.float32(1) if high == low else (scores[place] - low) / (high - low)
            cosines = [float(directions[rows[place]] @ directions[rows[one]]) for one in chosen]
            alike = sum(cosines) / max(len(cosines), 1)
            return (1 - diversity) * relevance - diversity * alike

        chosen.append(max(left, key=lambda place: (value(place), -place)))
        left.remove(chosen[-1])
    return [rows[place] for place in sorted(chosen)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0.05, 1.0))
def test_diversity_is_mmr_one_by_one_over_the_best_candidates(seed, k, diversity):
    rng = np.random.default_rng(seed)
    directions = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(30, 5)).astype(np.float32)), dim=-1)
    rows, scores = rng.permutation(np.arange(1, 30))[:20], np.sort(rng.normal(size=20).astype(np.float32))[::-1].copy()
    found = diversified(rows, scores, directions, k, diversity)
    assert rows[found].tolist() == naive_mmr(rows.tolist(), scores, directions.numpy(), k, diversity)


@given(st.lists(st.tuples(histories.filter(bool), st.integers(3, 6), st.floats(0.1, 1.0)), min_size=1, max_size=4))
def test_diversity_chooses_among_so_many_times_k_of_the_best(each):
    request = asked([(history, k, {"diversity": diversity}) for history, k, diversity in each])
    rows, scores = rank(VECTORS, COUNTS, request)
    for (history, k, diversity), best, values in zip(each, rows, scores, strict=True):
        some = min(CANDIDATES * k, MOST_CANDIDATES)
        exact = VECTORS.score(Ragged.from_rows([history]))[0].numpy()
        ranked = [row for row in np.argsort(-exact, kind="stable").tolist() if row and row not in history][:some]
        expected = naive_mmr(ranked, exact[ranked], VECTORS.directions.numpy(), k, diversity)
        assert best[best > 0].tolist() == expected
        assert np.allclose(values[: len(expected)], exact[expected], atol=1e-5)


@given(histories.filter(bool), st.integers(1, 4), conditions)
def test_diversity_keeps_what_at_least_asks_for(history, items, where):
    wanted = {"diversity": 0.9, "at_least": {"items": items, "where": where}}
    rows, _ = rank(VECTORS, COUNTS, asked([(history, 4, wanted)]))
    there = [row for row in range(1, ITEMS + 1) if row not in history and fulfils(where, row)]
    assert sum(fulfils(where, row) for row in rows[0].tolist() if row) >= min(items, len(there))
    assert (rows[0] > 0).all()
