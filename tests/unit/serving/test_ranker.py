import asyncio
import io
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssna.core.ragged import Ragged
from ssna.recommender import Recommender
from ssna.recommender.ranking import RankRequest, rank
from ssna.recommender.selection import Selection
from ssna.scoring import vector_member
from ssna.serving import ranker as module
from ssna.serving import sharing
from ssna.serving.ranker import Ranker, RankerError
from ssna.serving.ranker_process import answer_calls
from ssna.serving.sharing import shared

pytestmark = [pytest.mark.slow, pytest.mark.fork]

HISTORIES = Ragged.from_rows([[1, 2], [7], [3, 3, 9, 30], [5] * 30])
DENIED = Ragged.from_rows([[4], [], [1, 2], [30]])
NONE = np.zeros(0, dtype=np.int64)
REQUEST = RankRequest.uniform(HISTORIES, 5)
OTHER = RankRequest(
    Ragged.from_rows([[1, 2], [], [3], []]), np.array([3, 9, 1, 4]), np.array([True, True, False, False]),
    (None, np.array([4, 8, 0, 2]), np.array([3, 5]), None), DENIED,
)  # fmt: skip


@pytest.fixture(scope="module")
def recommenders(run_folders) -> list[Recommender]:
    return [Recommender.load(folder) for folder in run_folders.values()]


def with_ranker(test: Callable[[Ranker], Awaitable[None]]) -> None:
    async def run() -> None:
        ranker = Ranker()
        await ranker.start()
        try:
            await asyncio.wait_for(test(ranker), 60)
        finally:
            await ranker.close()

    asyncio.run(run())


async def agrees(
    ranker: Ranker, recommender: Recommender, request: RankRequest = REQUEST, excluded: np.ndarray = NONE
) -> None:
    rows, scores = await ranker.rank(recommender, request, excluded)
    expected = rank(recommender.scorer, recommender.counts, request, excluded)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_allclose(scores, expected[1], atol=1e-6)


def test_the_process_ranks_as_this_one_does_with_every_recommender_until_it_is_unloaded(recommenders):
    async def test(ranker):
        for each in recommenders:
            await ranker.load(each)
        await asyncio.gather(*(agrees(ranker, each) for each in recommenders))
        await agrees(ranker, recommenders[0], OTHER, np.array([2, 6, 11]))
        asked = asyncio.ensure_future(agrees(ranker, recommenders[0]))
        await asyncio.sleep(0)
        ranker.unload(recommenders[0])
        await asked  # before it was unloaded
        assert [ranker.is_loaded(each) for each in recommenders] == [False, True, True]
        await agrees(ranker, recommenders[1])

    with_ranker(test)


def test_the_process_ranks_by_the_rules_that_each_history_has(recommenders):
    rows = len(recommenders[0].items) + 1
    even, few = np.arange(rows) % 2 == 0, np.isin(np.arange(rows), [5, 8, 9])
    even[0] = False
    rules = (
        Selection(only=few),
        None,
        Selection(only=even, boosts=((few, 3.0), (even, -1.0)), at_least=(2, few)),
        Selection(diversity=0.7),
    )
    vectors = [each for each in recommenders if vector_member(each.scorer) is not None]

    async def test(ranker):
        for each in vectors:
            await ranker.load(each)
            for request in (REQUEST, OTHER):
                await agrees(ranker, each, replace(request, selections=rules), np.array([2, 6, 11]))

    assert vectors
    with_ranker(test)


def test_a_killed_process_fails_who_waits_and_another_one_loads_the_same(recommenders, monkeypatch, capsys):
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.0)

    async def test(ranker):
        await ranker.load(recommenders[0])
        os.kill(ranker._process.pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(ranker.rank(recommenders[0], REQUEST, NONE))
        await asyncio.sleep(0.01)
        os.kill(ranker._process.pid, signal.SIGKILL)
        with pytest.raises(RankerError):
            await asked
        assert not ranker.is_loaded(recommenders[0])
        await ranker.load(recommenders[1])  # while there may be no process
        while not (ranker.is_loaded(recommenders[0]) and ranker.is_loaded(recommenders[1])):
            await asyncio.sleep(0.05)
        await agrees(ranker, recommenders[0])
        await agrees(ranker, recommenders[1])

    with_ranker(test)
    assert "the server ranks by itself" in capsys.readouterr().err


async def another(ranker, process):
    """The process after this one."""
    while ranker._process in (process, None):
        await asyncio.sleep(0.001)
    return ranker._process


def test_a_process_killed_while_it_loads_is_replaced_and_nobody_waits_for_it(recommenders, monkeypatch):
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.0)

    async def test(ranker):
        await ranker.load(recommenders[0])
        for _ in range(3):
            ranker._process.kill()
            started = await another(ranker, ranker._process)
            given = asyncio.ensure_future(ranker.load(recommenders[1]))  # it is starting, and answers nothing yet
            await asyncio.sleep(0.05)
            started.kill()
            await asyncio.wait_for(given, 20)
            ranker.unload(recommenders[1])
            await another(ranker, started)
        while not ranker.is_loaded(recommenders[0]):
            await asyncio.sleep(0.05)
        await agrees(ranker, recommenders[0])

    with_ranker(test)


def test_a_process_that_is_stuck_is_ended_and_replaced(recommenders, monkeypatch):
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.0)

    async def test(ranker):
        await ranker.load(recommenders[0])
        stuck = ranker._process
        os.kill(stuck.pid, signal.SIGSTOP)
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
        with pytest.raises(RankerError):
            await ranker.rank(recommenders[0], REQUEST, NONE)
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 60.0)
        await another(ranker, stuck)
        while not ranker.is_loaded(recommenders[0]):
            await asyncio.sleep(0.05)
        await agrees(ranker, recommenders[0])

    with_ranker(test)


def test_nobody_waits_for_a_process_that_is_late_and_it_ranks_again_once_it_caught_up(recommenders, monkeypatch):
    async def test(ranker):
        await ranker.load(recommenders[0])
        await agrees(ranker, recommenders[0])
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
        ranker._slowest = 0.0
        os.kill(ranker._process.pid, signal.SIGSTOP)
        start = time.monotonic()
        for _ in range(5):  # only the first one waits
            with pytest.raises(RankerError):
                await ranker.rank(recommenders[0], REQUEST, NONE)
        assert 0.09 < time.monotonic() - start < 0.5
        assert ranker.is_loaded(recommenders[0])
        assert not ranker.answers(recommenders[0])
        os.kill(ranker._process.pid, signal.SIGCONT)
        while not ranker.answers(recommenders[0]):
            await asyncio.sleep(0.01)
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 9.0)
        await agrees(ranker, recommenders[0])

    with_ranker(test)


def blocks_of(ranker: Ranker) -> int:
    """Bytes that the process maps and shares with this one."""
    maps = Path(f"/proc/{ranker._process.pid}/maps").read_text().splitlines()
    ends = [line.split()[0].split("-") for line in maps if "memfd:ssna" in line]
    return sum(int(end, 16) - int(start, 16) for start, end in ends)


def test_what_is_in_blocks_is_not_sent_and_grows_under_both(recommenders, monkeypatch):
    monkeypatch.setattr(sharing, "LEAST_BYTES", 0)
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.0)
    sent, call = [], Ranker._call

    def watched(ranker, message, *more, **timed):
        sent.append(message)
        return call(ranker, message, *more, **timed)

    monkeypatch.setattr(Ranker, "_call", watched)

    async def test(ranker):
        first = shared(recommenders[0])
        await ranker.load(first)
        before = blocks_of(ranker)
        wider = first.add_items({"new-1": "word1 word2", "new-2": "word3 word4"})
        await ranker.load(wider)
        ranker.unload(first)
        await agrees(ranker, wider)
        await agrees(ranker, wider, excluded=np.array([31]))
        vectors = wider.scorer.members[0].scorer.vectors
        assert before > 0
        assert all(len(tensor) < len(vectors) for message in sent for tensor in message.values() if tensor.dim() > 1)
        killed = ranker._process
        killed.kill()
        await another(ranker, killed)
        while not ranker.is_loaded(wider):
            await asyncio.sleep(0.05)
        await agrees(ranker, wider)

    with_ranker(test)


def test_items_of_histories_go_with_their_question(recommenders):
    async def test(ranker):
        for recommender in recommenders[:2]:
            await ranker.load(recommender)
            new = recommender.read({"mine": "word1 word2 word3", "other": "word4 word5"})
            wider = recommender.with_history_items(new)
            request = RankRequest.uniform(Ragged.from_rows([[31], [2, 32], [5]]), 5)
            rows, scores = await ranker.rank(recommender, request, NONE, new)
            expected = rank(wider.scorer, wider.counts, request, NONE)
            np.testing.assert_array_equal(rows, expected[0])
            np.testing.assert_allclose(scores, expected[1], atol=1e-6)

    with_ranker(test)


def test_a_recommender_that_was_unloaded_is_no_defect(recommenders):
    async def test(ranker):
        await ranker.load(recommenders[0])
        ranker.unload(recommenders[0])
        with pytest.raises(RankerError):
            await ranker.rank(recommenders[0], REQUEST, NONE)

    with_ranker(test)


def test_a_call_that_fails_is_an_error_and_the_next_one_is_answered(recommenders):
    async def test(ranker):
        await ranker.load(recommenders[0])
        with pytest.raises(RankerError):
            await ranker.rank(recommenders[0], RankRequest.uniform(Ragged.from_rows([[10_000]]), 5), NONE)
        await agrees(ranker, recommenders[0])

    with_ranker(test)


@pytest.mark.parametrize("left", [0, 3, 8, 20])
def test_the_process_ends_when_its_server_does_in_the_middle_of_a_message_too(left):
    answers = io.BytesIO()
    answer_calls(io.BytesIO((module.LENGTH.pack(100) + bytes(100))[:left]), answers, lambda count: [])
    assert answers.getvalue() == b""
