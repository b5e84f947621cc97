"""Requests to recommendations: many ranked together, in the ranking process where there is one, else in a thread."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ssna.recommender.ranking import rank
from ssna.recommender.selecting import candidates
from ssna.serving.answers import check_size, ranking_json
from ssna.serving.batching import Batcher, Part
from ssna.serving.comparison import HISTORIES
from ssna.serving.limits import LIMITS
from ssna.serving.ranker import Ranker, RankerError
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import RecommendRequest
from ssna.serving.snapshot import Ranking, Snapshot, rankings
from ssna.serving.worker import Worker

T = TypeVar("T")
READ = 50  # events of a history that models read, as a rule
MANY_IDS = 8_192  # that are looked up, or written as JSON, within a few milliseconds
LOOKED_AT = 64  # items that a condition is worked out for in the time of an id


@dataclass(frozen=True)
class Job:
    """Requests that one snapshot ranks: ``snapshot``, or without one what serves when their turn comes."""

    requests: Sequence[RecommendRequest]
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class Ranked:
    """The answer to a job.

    Attributes:
        snapshot: which ranked.
        rankings: one a request.
        batch: how many requests were ranked together, of other jobs, too.
    """

    snapshot: Snapshot
    rankings: Sequence[Ranking]
    batch: int


class Inference:
    """The runs that recommend. Its methods belong to the event loop.

    Args:
        snapshot: what serves first; :meth:`serve` changes it.
        compare_with: other runs by their names; they know nothing of additions.

    Attributes:
        recent: histories that were asked for lately.
    """

    def __init__(self, snapshot: Snapshot, compare_with: Mapping[str, Snapshot] | None = None) -> None:
        self.snapshot, self.compare_with = snapshot, dict(compare_with or {})
        self.recent: deque[Sequence[str]] = deque(maxlen=HISTORIES)
        self.texts = Worker("texts", LIMITS.text_queue)
        self._ranker: Ranker | None = None
        self._worker = Worker("rank")
        self._batcher: Batcher[Job, tuple[Snapshot, list[Ranking]]] = Batcher(
            self._rank_jobs, LIMITS.rank_queue, LIMITS.max_batch_work, LIMITS.overlap_from
        )

    @property
    def queued(self) -> int:
        """Requests that wait to be ranked."""
        return self._batcher.queued

    @property
    def ranker_alive(self) -> bool:
        """Whether a ranking process answers for what serves now."""
        return self._ranker is not None and self._ranker.answers(self.snapshot.recommender)

    async def start(self, ranker: Ranker) -> None:
        """Rank in a process of its own from now on, which was started."""
        self._ranker = ranker
        for snapshot in (self.snapshot, *self.compare_with.values()):
            await self._ranker.load(snapshot.recommender)

    async def serve(self, snapshot: Snapshot) -> None:
        """From the return on, ``snapshot`` recommends."""
        new, old = snapshot.recommender, self.snapshot.recommender
        if self._ranker is not None and new.scorer is not old.scorer:
            await self._ranker.load(new)
        self.snapshot = snapshot
        if self._ranker is not None and new.scorer is not old.scorer:
            self._ranker.unload(old)

    async def close(self) -> None:
        """Answer what waits, then end."""
        await self._batcher.close()
        for worker in (self.texts, self._worker):
            await worker.close()
        if self._ranker is not None:
            await self._ranker.close()

    def named(self, run: str | None = None) -> Snapshot:
        """What serves now, or another run. Raises :class:`RequestError` for a name that none has."""
        if run in (None, self.snapshot.run):
            return self.snapshot
        if run not in self.compare_with:
            raise RequestError(404, "unknown_run", f"there is no run {run!r}; GET /runs lists them")
        return self.compare_with[run]

    def find(self, item: str, run: str | None = None) -> Snapshot:
        """As :meth:`named`, if it knows ``item``; else raises :class:`RequestError`."""
        found = self.named(run)
        if item not in found:
            raise RequestError(404, "unknown_item", f"item {item!r} is not in the catalogue")
        return found

    async def recommend(
        self,
        requests: Sequence[RecommendRequest],
        texts: Mapping[str, str] | None = None,
        run: str | None = None,
        within: str = "",
    ) -> Ranked:
        """Rankings, all from one snapshot.

        Args:
            texts: of ids in the histories that the catalogue does not have.
            run: see :meth:`named`; None is what serves when their turn comes.
            within: where ``requests`` stand as a list, for messages.

        Raises:
            RequestError: there is no such run, it cannot raise new items, it has not the attributes or vectors that
                rules need, or too many requests wait.
        """
        snapshot = None if run is None else self.named(run)
        (snapshot or self.snapshot).check_new_items(any(request.new_items for request in requests))
        if any(request.rules.asked for request in requests):
            snapshot = snapshot or self.snapshot  # which conditions are checked for
            snapshot.check_rules(requests, within)
        snapshot = await self._with_texts(snapshot or self.snapshot, requests, texts) if texts else snapshot
        self.recent.extend(request.history for request in requests)
        divided = divide(requests, LIMITS.part_work)
        if len(divided) > 1:
            snapshot = snapshot or self.snapshot
        parts = [Part(Job(part, snapshot), len(part), sum(map(work_of, part))) for part in divided]
        answers, batch = await self._batcher.submit(parts)
        return Ranked(answers[0][0], [ranking for _, rankings in answers for ranking in rankings], batch)

    async def render(self, ranked: Ranked, fields: Sequence[Sequence[str]]) -> list[bytes]:
        """Each ranking as JSON with its ``fields``. Raises :class:`RequestError` if they have too many bytes."""

        def rendered() -> list[bytes]:
            found, size = [], 0
            for ranking, names in zip(ranked.rankings, fields, strict=True):
                found.append(ranking_json(ranked.snapshot, ranking, names))
                size += len(found[-1])
                check_size(size)
            return found

        return await self._sized(sum(len(ranking.rows) for ranking in ranked.rankings), rendered)

    async def _with_texts(
        self, now: Snapshot, requests: Sequence[RecommendRequest], texts: Mapping[str, str]
    ) -> Snapshot:
        ids = {item for request in requests for item in request.history}
        new = {item: text for item, text in texts.items() if item in ids and item not in now.recommender.items}
        return await self.texts.run(now.with_texts, new) if new else now

    async def _rank_jobs(self, jobs: list[Job]) -> list[tuple[Snapshot, list[Ranking]]]:
        """One ranking for each snapshot."""
        current = self.snapshot
        snapshots = [job.snapshot or current for job in jobs]
        answers: list[tuple[Snapshot, list[Ranking]]] = [(snapshot, []) for snapshot in snapshots]
        for snapshot in dict.fromkeys(snapshots):
            members = [number for number, other in enumerate(snapshots) if other is snapshot]
            ranked = iter(await self._rank(snapshot, [each for number in members for each in jobs[number].requests]))
            for number in members:
                answers[number][1].extend(next(ranked) for _ in jobs[number].requests)
        return answers

    async def _rank(self, snapshot: Snapshot, requests: Sequence[RecommendRequest]) -> list[Ranking]:
        recommender = snapshot.recommender
        size = sum(len(each.history) + each.k + len(each.allow or ()) + len(each.deny) for each in requests)
        size += snapshot.work_of_rules(requests) // LOOKED_AT
        request, unknown = await self._sized(size, snapshot.look_up, requests)
        best = None
        if self._ranker is not None:
            with suppress(RankerError):
                best = await self._ranker.rank(snapshot.base or recommender, request, snapshot.excluded, snapshot.new)
        if best is None:
            best = await self._worker.run(rank, recommender.scorer, recommender.counts, request, snapshot.excluded)
        return await self._sized(size, rankings, request, unknown, *best)

    async def _sized(self, size: int, job: Callable[..., T], *arguments: Any) -> T:
        """A job of ``size`` ids; if they are many, in a thread: requests are answered meanwhile."""
        return job(*arguments) if size <= MANY_IDS else await self._worker.run(job, *arguments)


def work_of(request: RecommendRequest) -> float:
    """What a request takes, in rankings of a short history: time, and memory while it waits."""
    listed, history = len(request.allow or ()) + len(request.deny), len(request.history)
    rules = request.rules
    second = (1 if rules.boost else 0) + (1 if rules.at_least is not None else 0)
    chosen = request.k * candidates(request.k) / 20_000 if rules.diversity else 0
    return 1 + min(history, READ) / 25 + history / 300 + request.k / 1_000 + listed / 1_000 + second + chosen


def divide(requests: Sequence[RecommendRequest], work: float) -> list[list[RecommendRequest]]:
    """``requests`` in parts of so much work at the most, or of one request."""
    parts: list[list[RecommendRequest]] = []
    left = 0.0
    for request in requests:
        needed = work_of(request)
        if needed > left:
            parts.append([])
            left = work
        parts[-1].append(request)
        left -= needed
    return parts
