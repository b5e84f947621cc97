"""The next run compared with the serving one, on the same histories, before it takes its place."""

import time
from collections.abc import Sequence

import numpy as np

from ssna.serving.answer_schemas import Comparison
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import RecommendRequest
from ssna.serving.snapshot import Snapshot

K = 10  # items compared
HISTORIES = 256
LENGTHS = (1, 20)  # of histories made up


def compare(old: Snapshot, new: Snapshot, recent: Sequence[Sequence[str]]) -> Comparison:
    """How alike the first ten are; raises what ``new`` raises when it cannot rank.

    Args:
        recent: histories that were asked for lately; more are made up where they are few.
    """
    shared = set(old.recommender.items.external) & set(new.recommender.items.external)
    if not shared:
        raise RequestError(
            409, "nothing_in_common", f"{new.run} knows no item of {old.run}, so it cannot take its place"
        )
    missing = HISTORIES - len(recent)
    histories = [*recent, *_random_histories(old, missing)] if missing > 0 else recent[:HISTORIES]
    requests = [RecommendRequest.model_construct(history=list(history), k=K) for history in histories]
    (before, slow), (after, fast) = _timed(old, requests), _timed(new, requests)
    return Comparison(
        run=new.run,
        items=len(new),
        items_before=len(old),
        shared_items=len(shared),
        histories=len(histories),
        overlap=float(np.mean([_overlap(a, b) for a, b in zip(before, after, strict=True)])),
        milliseconds=1000 * fast / len(histories),
        milliseconds_before=1000 * slow / len(histories),
    )


def _timed(snapshot: Snapshot, requests: Sequence[RecommendRequest]) -> tuple[list[set[str]], float]:
    snapshot.rank(requests[:1])  # what is made at the first ranking is no part of any other
    start = time.perf_counter()
    found = snapshot.rank(requests)
    seconds = time.perf_counter() - start
    return [set(snapshot.recommender.items.ids(ranking.rows)) for ranking in found], seconds


def _overlap(a: set[str], b: set[str]) -> float:
    return len(a & b) / max(len(a), len(b), 1)


def _random_histories(snapshot: Snapshot, count: int) -> list[list[str]]:
    """Histories of the catalogue's items, popular ones more often."""
    rng = np.random.default_rng(0)
    weights = snapshot.recommender.counts[1:] + 1.0
    lengths = rng.integers(LENGTHS[0], LENGTHS[1] + 1, count)
    rows = rng.choice(len(weights), size=int(lengths.sum()), p=weights / weights.sum()) + 1
    return [snapshot.recommender.items.ids(part) for part in np.split(rows, np.cumsum(lengths)[:-1])]
