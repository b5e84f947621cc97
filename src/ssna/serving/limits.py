"""What a request may ask for. Every refusal names the limit; larger jobs belong to ``ssna recommend``."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one request and of the server; characters are Unicode code points.

    Attributes:
        head_bytes: of a request's address and headers.
        header_fields: of a request.
        body_bytes: of a request's body, counted while it is read. What separates its chunks and what follows it have
            at most ``head_bytes`` and ``header_fields`` more, and all together ``head_bytes + body_bytes``.
        connections: that are open; fewer where the process may open fewer files.
        answer_bytes: of one answer.
        unread_bytes: of all long answers that wait to be read; beyond, the one unread for longest is given up.
        seconds: for a request's head to come, for its body, and for a client to read something of its answer; twice as
            long at the most.
        json_depth: of nested lists and objects in a body.
        history: ids of one history.
        k: items of one answer.
        requests: of one ``POST /recommend/batch``.
        listed_ids: of ``allow``, and of ``deny``.
        id_length: characters of an id.
        text_length: characters of an item's text; the language model cuts it to its own tokens.
        vector: numbers of a vector.
        sources: of vectors of an item.
        layers: of a source.
        texts: inline texts of one history.
        put_items: of one ``PUT /items``.
        additions: added and removed items that are remembered in all.
        post_events: of one ``POST /events``.
        kind_length: characters of an event's kind.
        user_events: of one user that are kept, the latest ones; no more than a history may have.
        event_queue: events that may wait to be written; beyond, the answer is 503.
        user_queue: histories that may wait to be read; beyond, the answer is 503.
        query: characters of a search.
        search_results: items that a search gives.
        rank_queue: work that may wait to be ranked, in rankings of a short history, half of it by batches; beyond,
            the answer is 503.
        text_queue: requests whose inline texts may wait for the language model; beyond, the answer is 503.
        max_batch_work: of one pass, in rankings of a short history.
        part_work: of a large batch that is ranked in one pass, in rankings of a short history.
        overlap_from: so many waiting requests begin a pass while another one runs.
        explained_history: ids of a history whose ranking is explained.
        explain_queue: explanations that may wait or run; beyond, the answer is 503.
    """

    head_bytes: int = 2**16
    header_fields: int = 100
    body_bytes: int = 2**20
    connections: int = 4_096
    answer_bytes: int = 2**23
    unread_bytes: int = 2**26
    seconds: float = 20.0
    json_depth: int = 8
    history: int = 1_000
    k: int = 500
    requests: int = 256
    listed_ids: int = 10_000
    id_length: int = 256
    text_length: int = 10_000
    vector: int = 16_384
    sources: int = 16
    layers: int = 256
    texts: int = 16
    put_items: int = 100
    additions: int = 10_000
    post_events: int = 500
    kind_length: int = 64
    user_events: int = 1_000
    event_queue: int = 20_000
    user_queue: int = 4_096
    query: int = 200
    search_results: int = 100
    rank_queue: int = 4_096
    text_queue: int = 64
    max_batch_work: int = 128
    part_work: int = 8
    overlap_from: int = 24
    explained_history: int = 100
    explain_queue: int = 64


LIMITS = Limits()
