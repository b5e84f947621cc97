"""What a request may ask for. Every refusal names the limit; larger jobs belong to ``ssna recommend``."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one request and of the server; characters are Unicode code points.

    Attributes:
        head_bytes: of a request's address and headers.
        body_bytes: of a request's body, counted while it is read.
        seconds: for a request's head to come, for its body, and for a client to read something of its answer; twice as
            long at the most.
        depth: of nested lists and objects in a body.
        history: ids of one history.
        k: items of one answer.
        batch: questions of one ``POST /recommend/batch``.
        listed: ids of ``allow``, and of ``deny``.
        id_length: characters of an id.
        text_length: characters of an item's text; the language model cuts it to its own tokens.
        texts: inline texts of one history.
        put: items of one ``PUT /items``.
        additions: added and removed items that are remembered in all.
        query: characters of a search.
        found: items that a search gives.
        waiting: questions that may wait; beyond, the answer is 503.
        reading: requests whose inline texts may wait to be read; beyond, the answer is 503.
        together: questions that are answered in one pass.
        ahead: so many waiting questions begin a pass while another one runs.
        explained: ids of a history whose ranking is explained.
        explaining: explanations that may wait.
    """

    head_bytes: int = 2**16
    body_bytes: int = 2**20
    seconds: float = 20.0
    depth: int = 8
    history: int = 1_000
    k: int = 500
    batch: int = 256
    listed: int = 10_000
    id_length: int = 256
    text_length: int = 10_000
    texts: int = 16
    put: int = 100
    additions: int = 10_000
    query: int = 200
    found: int = 100
    waiting: int = 2_048
    reading: int = 64
    together: int = 128
    ahead: int = 24
    explained: int = 100
    explaining: int = 64


LIMITS = Limits()
