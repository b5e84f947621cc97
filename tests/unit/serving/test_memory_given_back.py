"""What long requests and answers took is given back."""

import asyncio

import pytest

from ssna.serving import memory as module


@pytest.fixture
def trims(monkeypatch):
    found = []
    monkeypatch.setattr(module, "SECONDS", 0.01)
    monkeypatch.setattr(module, "_needed", False)
    monkeypatch.setattr(module, "trim_heap", lambda: found.append(1))
    return found


async def a_while() -> None:
    task = asyncio.create_task(module.give_memory_back())
    await asyncio.sleep(0.1)
    task.cancel()


def test_nothing_is_done_until_something_was_long_and_then_once(trims):
    asyncio.run(a_while())
    assert trims == []
    module.memory_was_used()
    asyncio.run(a_while())
    assert trims == [1]


def test_a_long_body_and_a_long_answer_are_noticed(trims, unchanged):
    unchanged.post("/recommend", json={"history": ["i1"]})
    assert not module._needed
    unchanged.post("/recommend", json={"history": ["x" * 200 for _ in range(200)]})
    assert module._needed
    module._needed = False
    assert unchanged.post("/recommend/batch", json={"requests": [{"history": [], "k": 30}] * 60}).status_code == 200
    assert module._needed
