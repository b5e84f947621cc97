"""Work is divided: nobody waits for all of a large batch, and what a client left is not worked for."""

import asyncio

import pytest

from ssna.recommender import Recommender
from ssna.serving.additions import Additions
from ssna.serving.inference import Inference, divide, work_of
from ssna.serving.limits import LIMITS
from ssna.serving.restoring import with_additions
from ssna.serving.schemas import RecommendRequest


def request(history: int = 1, **asked) -> RecommendRequest:
    return RecommendRequest.model_validate({"history": ["i1"] * history, **asked})


@pytest.fixture(scope="module")
def snapshot(run_folders):
    folder = run_folders["ssna"]
    return with_additions(Recommender.load(folder), folder, 1, Additions())


def test_long_histories_long_lists_and_large_k_are_more_work():
    ids = [f"i{number}" for number in range(1_000)]
    plain = work_of(request())
    for larger in (request(50), request(k=500), request(allow=ids), request(deny=ids)):
        assert work_of(larger) > 1.3 * plain
    assert work_of(request(50)) > 2.5 * plain


def test_a_batch_is_divided_by_its_work_in_order():
    requests = [request(k=number + 1) for number in range(100)]
    parts = divide(requests, LIMITS.part_work)
    assert [each for part in parts for each in part] == requests
    assert all(sum(map(work_of, part)) <= LIMITS.part_work for part in parts)
    assert 13 <= len(parts) <= 15
    assert divide([request(deny=["x"] * 10_000)], 1.0) == [[request(deny=["x"] * 10_000)]]


def test_a_divided_batch_is_answered_by_one_snapshot_though_another_serves_meanwhile(snapshot):
    async def test() -> None:
        inference = Inference(snapshot)
        asked = [request(k=number % 20 + 1) for number in range(100)]
        answer = asyncio.create_task(inference.recommend(asked))
        await asyncio.sleep(0)
        await inference.serve(snapshot.updated(snapshot.recommender, frozenset({"i2"})))
        ranked = await answer
        assert ranked.snapshot is snapshot
        assert [len(ranking.rows) for ranking in ranked.rankings] == [each.k for each in asked]
        assert ranked.batch <= LIMITS.max_batch_work / 4
        await inference.close()

    asyncio.run(test())


def test_who_leaves_takes_a_batch_out_of_the_queue(snapshot, monkeypatch):
    async def test() -> None:
        inference, ranked = Inference(snapshot), []
        ranks = inference._rank

        async def counted(*arguments):
            ranked.append(len(arguments[1]))
            await asyncio.sleep(0.01)
            return await ranks(*arguments)

        monkeypatch.setattr(inference, "_rank", counted)
        gone = asyncio.create_task(inference.recommend([request()] * 256))
        while not ranked:
            await asyncio.sleep(0.001)
        gone.cancel()
        await asyncio.wait([gone])
        assert inference.queued == 0
        assert (await inference.recommend([request(k=3)])).batch == 1
        assert len(ranked) == 2
        await inference.close()

    asyncio.run(test())
