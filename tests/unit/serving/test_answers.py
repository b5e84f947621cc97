"""What is answered is bounded in bytes, alone and together."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from clients import error

from ssna.serving import answers as module
from ssna.serving.answers import PIECE, UNREAD, JsonResponse, batch_json, items_json
from ssna.serving.limits import LIMITS, Limits
from ssna.serving.refusal import RequestError
from ssna.serving.snapshot import Ranking

LONG = LIMITS.answer_bytes // 4


def fields_of(response) -> set[tuple[str, ...]]:
    assert response.status_code == 200, response.text
    answers = response.json().get("answers", [response.json()])
    return {tuple(item) for answer in answers for item in answer["items"]}


def test_one_answer_has_all_fields_and_a_batch_has_item_and_score(unchanged):
    assert fields_of(unchanged.post("/recommend", json={"history": ["i1"]})) == {("item", "score", "text")}
    batch = {"requests": [{"history": ["i1"]}, {"history": []}]}
    assert fields_of(unchanged.post("/recommend/batch", json=batch)) == {("item", "score")}


def test_the_fields_that_are_asked_for_are_answered_each_request_its_own(unchanged):
    assert fields_of(unchanged.post("/recommend", json={"history": ["i1"], "fields": ["score"]})) == {("score",)}
    batch = {"requests": [{"history": ["i1"], "fields": ["text"]}, {"history": [], "fields": ["text", "item"]}]}
    assert fields_of(unchanged.post("/recommend/batch", json=batch)) == {("text",), ("item", "text")}


@pytest.mark.parametrize("fields", [[], ["price"], "item", ["item"] * 4, None])
def test_fields_that_no_item_has_are_refused(unchanged, fields):
    assert error(unchanged.post("/recommend", json={"history": ["i1"], "fields": fields}), 422)[0] == "invalid"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/recommend", {"history": ["i1"], "k": 20}),
        ("POST", "/recommend/batch", {"requests": [{"history": ["i1"], "k": 5, "fields": ["text"]}] * 5}),
        ("GET", "/similar/i1?k=20", None),
        ("GET", "/items?limit=100", None),
    ],
)
def test_an_answer_of_too_many_bytes_is_refused_with_the_limit(unchanged, monkeypatch, method, path, body):
    size = len(unchanged.request(method, path, json=body).content)
    monkeypatch.setattr(module, "LIMITS", Limits(answer_bytes=size))
    assert unchanged.request(method, path, json=body).status_code == 200
    monkeypatch.setattr(module, "LIMITS", Limits(answer_bytes=size - 20))
    code, message = error(unchanged.request(method, path, json=body), 422)
    assert code == "answer_too_large"
    assert f"{size - 20:,} bytes" in message


def test_no_more_of_a_batch_is_made_than_the_limit():
    made = []

    def answers():
        for number in range(99):
            made.append(number)
            yield b"x" * LONG

    with pytest.raises(RequestError, match=f"{LIMITS.answer_bytes:,}"):
        batch_json(answers())
    assert len(made) == 4


def test_no_more_of_one_answer_is_made_than_the_limit():
    read = []

    class Texts:
        def __getitem__(self, row: int) -> str:
            read.append(row)
            return "x" * LONG

    items = SimpleNamespace(external=["i"] * 500)
    snapshot = SimpleNamespace(recommender=SimpleNamespace(items=items, texts=Texts()))
    with pytest.raises(RequestError, match=f"{LIMITS.answer_bytes:,}"):
        items_json(snapshot, Ranking(range(1, 501), [0.0] * 500))
    assert read == [1, 2, 3, 4]


class Reader:
    """Takes pieces of an answer, until it is told to stop."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.started = asyncio.Event()
        self.pieces: list[bytes] = []
        self.head: dict[bytes, bytes] = {}
        self.aborted = False

    def scope(self) -> dict:
        return {"type": "http", module.ABORT: self.abort}

    def abort(self) -> None:
        self.aborted = True
        self.reads.set()

    async def send(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            self.head = dict(message["headers"])
            return
        self.started.set()
        await self.reads.wait()
        if not self.aborted:
            self.pieces.append(message["body"])


async def answered(reader: Reader, parts: list[bytes]) -> asyncio.Task:
    task = asyncio.create_task(JsonResponse(parts)(reader.scope(), None, reader.send))
    await reader.started.wait()
    return task


def test_a_long_answer_is_sent_piece_by_piece_as_it_is_read():
    parts = [b"[", b"1," * PIECE, b"2]"]

    async def test() -> None:
        reader = Reader()
        task = await answered(reader, parts)
        assert UNREAD.bytes == sum(map(len, parts))
        reader.reads.set()
        await task
        assert b"".join(reader.pieces) == b"".join(parts)
        assert int(reader.head[b"content-length"]) == sum(map(len, parts))
        assert max(map(len, reader.pieces)) <= 2 * PIECE
        assert UNREAD.bytes == 0

    asyncio.run(test())


def test_of_all_unread_answers_the_one_unread_for_longest_is_given_up(monkeypatch, capsys):
    monkeypatch.setattr(module, "LIMITS", Limits(unread_bytes=3 * LONG))

    async def test() -> None:
        readers = [Reader() for _ in range(5)]
        tasks = [await answered(reader, [b"x" * LONG]) for reader in readers]
        assert [reader.aborted for reader in readers] == [True, True, False, False, False]
        assert UNREAD.bytes <= 3 * LONG
        for reader in readers:
            reader.reads.set()
        await asyncio.gather(*tasks)
        assert [len(b"".join(reader.pieces)) for reader in readers] == [0, 0, LONG, LONG, LONG]
        assert UNREAD.bytes == 0

    asyncio.run(test())
    assert json.loads(capsys.readouterr().err.splitlines()[0])["message"].endswith("were not read; given up")


def test_who_leaves_takes_an_answer_along():
    async def test() -> None:
        task = await answered(Reader(), [b"x" * LONG])
        task.cancel()
        await asyncio.wait([task])
        assert UNREAD.bytes == 0

    asyncio.run(test())
