"""Rankings as JSON, of so many bytes at the most, and the bytes of all answers that nobody has read yet."""

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from time import monotonic
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ssna.serving.limits import LIMITS
from ssna.serving.logs import log
from ssna.serving.memory import memory_was_used
from ssna.serving.refusal import RequestError

if TYPE_CHECKING:  # what has torch in it is not waited for before the server listens
    from ssna.serving.snapshot import Ranking, Snapshot

ABORT = "ssna.abort"  # in a request's scope: what closes its connection at once
FIELDS = ("item", "score", "text")
PIECE = 2**14  # bytes of an answer that are handed to a connection at once


def ranking_json(snapshot: "Snapshot", ranking: "Ranking", fields: Sequence[str] = FIELDS) -> bytes:
    """As :class:`ssna.serving.answer_schemas.Answer`. Raises :class:`RequestError` if it has too many bytes."""
    unknown = json.dumps(ranking.unknown, ensure_ascii=False) if ranking.unknown else "[]"
    fallback = '"popularity"' if ranking.fallback else "null"
    content = f'{{"items":{items_json(snapshot, ranking, fields)},"unknown":{unknown},"fallback":{fallback}}}'.encode()
    check_size(len(content))
    return content


def items_json(snapshot: "Snapshot", ranking: "Ranking", fields: Sequence[str] = FIELDS) -> str:
    """The items of a ranking as a list of ``fields``. Raises as :func:`ranking_json`."""
    ids, texts = snapshot.recommender.items.external, snapshot.recommender.texts
    with_item, with_score, with_text = (field in fields for field in FIELDS)
    items, size = [], 0
    for row, score in zip(ranking.rows, ranking.scores, strict=True):
        parts = []
        if with_item:
            parts.append(f'"item":{encode_basestring(ids[row - 1])}')
        if with_score:
            parts.append(f'"score":{score:.7g}')
        if with_text:
            parts.append(f'"text":{encode_basestring(texts[row])}')
        items.append(f"{{{','.join(parts)}}}")
        size += len(items[-1])  # characters: it has no fewer bytes
        check_size(size)
    return f"[{','.join(items)}]"


def batch_json(answers: Iterable[bytes]) -> list[bytes]:
    """As :class:`ssna.serving.answer_schemas.Answers`, in pieces. Raises as :func:`ranking_json`."""
    parts, size = [b'{"answers":['], 0
    for answer in answers:
        parts.append(answer if len(parts) == 1 else b"," + answer)
        size += len(parts[-1])
        check_size(size)
    return [*parts, b"]}"]


def check_size(size: int) -> None:
    """Raises :class:`RequestError` for an answer of too many bytes."""
    if size > LIMITS.answer_bytes:
        message = (
            f"the answer has more than {LIMITS.answer_bytes:,} bytes; ask for fewer items or requests, or for `fields` "
            "without text"
        )
        raise RequestError(422, "answer_too_large", message)


class JsonResponse(Response):
    """JSON that is written already; a long one is sent as it is read, and what was sent is held no longer."""

    media_type = "application/json"

    def __init__(
        self, parts: Sequence[bytes], status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        size = sum(map(len, parts))
        check_size(size)
        super().__init__(b"".join(parts) if size <= PIECE else b"", status_code, headers)
        self._pieces = deque(_pieces(parts) if size > PIECE else [])
        if self._pieces:
            self.headers["content-length"] = str(size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if not self._pieces:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        memory_was_used()
        answer = UNREAD.add(sum(map(len, self._pieces)), scope)
        try:
            while self._pieces:
                piece = self._pieces.popleft()
                more = bool(self._pieces)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
                UNREAD.was_read(answer, len(piece))
        finally:
            UNREAD.remove(answer)


@dataclass(eq=False)
class _Answer:
    size: int
    scope: Scope
    since: float


class Unread:
    """Bytes of long answers that wait to be read, over all connections. Beyond the limit, the answer that nobody has
    read anything of for longest is given up, with its connection."""

    def __init__(self) -> None:
        self._answers: set[_Answer] = set()
        self.bytes = 0

    def add(self, size: int, scope: Scope) -> _Answer:
        """One more answer."""
        answer = _Answer(size, scope, monotonic())
        self.bytes += size
        while self.bytes > LIMITS.unread_bytes and self._answers:
            self._give_up(min(self._answers, key=lambda each: each.since))
        self._answers.add(answer)
        return answer

    def was_read(self, answer: _Answer, size: int) -> None:
        """The connection took ``size`` bytes more."""
        answer.since = monotonic()
        if answer in self._answers:
            answer.size -= size
            self.bytes -= size

    def remove(self, answer: _Answer) -> None:
        """It was read, or its client is gone."""
        if answer in self._answers:
            self._answers.remove(answer)
            self.bytes -= answer.size

    def _give_up(self, answer: _Answer) -> None:
        log("connection", level="warning", message=f"{answer.size:,} bytes of an answer were not read; given up")
        self.remove(answer)
        if ABORT in answer.scope:
            answer.scope[ABORT]()


UNREAD = Unread()


def _pieces(parts: Iterable[bytes]) -> Iterable[bytes]:
    """``parts`` in pieces of about ``PIECE`` bytes."""
    gathered = bytearray()
    for part in parts:
        for start in range(0, len(part), PIECE):
            gathered += part[start : start + PIECE]
            if len(gathered) >= PIECE:
                yield bytes(gathered)
                gathered = bytearray()
    if gathered:
        yield bytes(gathered)
