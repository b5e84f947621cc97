import asyncio
import io
import os
import signal
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
import torch

from ssna.core.ragged import Ragged
from ssna.recommender import Recommender
from ssna.scoring import Scorer
from ssna.scoring.topk import top
from ssna.serving import ranker as module
from ssna.serving.ranker import Ranker, RankerError, work

HISTORIES = Ragged.from_rows([[1, 2], [7], [3, 3, 9, 30], [5] * 30])
DENIED = Ragged.from_rows([[4], [], [1, 2], [30]])
NOBODY = np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module")
def scorers(run_folders) -> list[Scorer]:
    return [Recommender.load(folder).scorer for folder in run_folders.values()]


def with_ranker(test: Callable[[Ranker], Awaitable[None]]) -> None:
    async def run() -> None:
        ranker = Ranker()
        await ranker.start()
        try:
            await asyncio.wait_for(test(ranker), 60)
        finally:
            await ranker.close()

    asyncio.run(run())


async def agrees(ranker: Ranker, scorer: Scorer, exclude: Ragged = HISTORIES, barred: np.ndarray = NOBODY) -> None:
    rows, scores = await ranker.top(scorer, HISTORIES, 5, exclude, barred)
    mask = torch.zeros(scorer.num_rows, dtype=torch.bool)
    mask[torch.from_numpy(barred)] = True
    expected = top(scorer, HISTORIES, 5, exclude, mask)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_allclose(scores, expected[1], atol=1e-6)


def test_the_process_ranks_as_this_one_does_with_every_scorer_it_holds_until_it_is_dropped(scorers):
    async def test(ranker):
        for scorer in scorers:
            await ranker.hold(scorer)
        await asyncio.gather(*(agrees(ranker, scorer) for scorer in scorers))
        await agrees(ranker, scorers[0], DENIED, np.array([2, 6, 11]))
        asked = asyncio.ensure_future(agrees(ranker, scorers[0]))
        await asyncio.sleep(0)
        ranker.drop(scorers[0])
        await asked  # before it was dropped
        assert [ranker.holds(scorer) for scorer in scorers] == [False, True, True]
        await agrees(ranker, scorers[1])

    with_ranker(test)


def test_a_killed_process_fails_who_waits_and_another_one_holds_the_same(scorers, monkeypatch, capsys):
    monkeypatch.setattr(module, "PAUSE", 0.0)

    async def test(ranker):
        await ranker.hold(scorers[0])
        os.kill(ranker._process.pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(ranker.top(scorers[0], HISTORIES, 5, HISTORIES, NOBODY))
        await asyncio.sleep(0.01)
        os.kill(ranker._process.pid, signal.SIGKILL)
        with pytest.raises(RankerError):
            await asked
        assert not ranker.holds(scorers[0])
        await ranker.hold(scorers[1])  # while there may be no process
        while not (ranker.holds(scorers[0]) and ranker.holds(scorers[1])):
            await asyncio.sleep(0.05)
        await agrees(ranker, scorers[0])
        await agrees(ranker, scorers[1])

    with_ranker(test)
    assert "the server ranks by itself" in capsys.readouterr().err


async def another(ranker, process):
    """The process after this one."""
    while ranker._process in (process, None):
        await asyncio.sleep(0.001)
    return ranker._process


def test_a_process_killed_while_it_is_given_its_scorers_is_replaced_and_nobody_waits_for_it(scorers, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.0)

    async def test(ranker):
        await ranker.hold(scorers[0])
        for _ in range(3):
            ranker._process.kill()
            started = await another(ranker, ranker._process)
            given = asyncio.ensure_future(ranker.hold(scorers[1]))  # it is starting, and answers nothing yet
            await asyncio.sleep(0.05)
            started.kill()
            await asyncio.wait_for(given, 20)
            ranker.drop(scorers[1])
            await another(ranker, started)
        while not ranker.holds(scorers[0]):
            await asyncio.sleep(0.05)
        await agrees(ranker, scorers[0])

    with_ranker(test)


def test_a_process_that_is_stuck_is_ended_and_replaced(scorers, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.0)

    async def test(ranker):
        await ranker.hold(scorers[0])
        os.kill(ranker._process.pid, signal.SIGSTOP)
        monkeypatch.setattr(module, "PATIENCE", 0.2)
        with pytest.raises(RankerError):
            await ranker.top(scorers[0], HISTORIES, 5, HISTORIES, NOBODY)
        monkeypatch.setattr(module, "PATIENCE", 60.0)
        while not ranker.holds(scorers[0]):
            await asyncio.sleep(0.05)
        await agrees(ranker, scorers[0])

    with_ranker(test)


def test_a_scorer_that_was_dropped_is_no_defect(scorers):
    async def test(ranker):
        await ranker.hold(scorers[0])
        ranker.drop(scorers[0])
        with pytest.raises(RankerError):
            await ranker.top(scorers[0], HISTORIES, 5, HISTORIES, NOBODY)

    with_ranker(test)


def test_a_question_that_fails_is_an_error_and_the_next_one_is_answered(scorers):
    async def test(ranker):
        await ranker.hold(scorers[0])
        with pytest.raises(RankerError):
            await ranker.top(scorers[0], Ragged.from_rows([[10_000]]), 5, HISTORIES, NOBODY)
        await agrees(ranker, scorers[0])

    with_ranker(test)


@pytest.mark.parametrize("left", [0, 3, 8, 20])
def test_the_process_ends_when_its_server_does_in_the_middle_of_a_message_too(left):
    answers = io.BytesIO()
    work(io.BytesIO((module.LENGTH.pack(100) + bytes(100))[:left]), answers)
    assert answers.getvalue() == b""
