"""The explorer: a page, and the routes that only it needs: runs, attributes, explanations, and the rank of a text."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from ssna.serving import answer_schemas, attribute_schemas, schemas
from ssna.serving.http import as_json, body_of
from ssna.serving.limits import LIMITS
from ssna.serving.service import Service

SCRIPTS = (
    "explorer.js", "address.js", "conditions.js", "dials.js", "elements.js", "lists.js", "search.js", "service.js",
    "state.js", "textrank.js", "timeline.js", "why.js",
)  # fmt: skip
PAGE = {"": ("index.html", "text/html"), "explorer.css": ("explorer.css", "text/css")} | {
    name: (name, "text/javascript") for name in SCRIPTS
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}


ADDRESSES = frozenset(f"/{address}" for address in PAGE)


def add_page(app: FastAPI) -> None:
    """Its files are part of the package; nothing is built, and nothing comes from elsewhere."""
    folder = files("ssna.serving") / "page"
    for address, (name, kind) in PAGE.items():
        content = (folder / name).read_bytes()
        app.add_api_route(f"/{address}", _static(content, kind), include_in_schema=False)


def add_routes(
    app: FastAPI, service: Service, respond: Callable[..., dict[str, Any]], document: Callable[..., dict[str, Any]]
) -> None:
    """``GET /runs``, ``GET /attributes``, ``POST /explain``, ``POST /rank_text``.

    Args:
        respond: what OpenAPI is to know of the errors of a route, by their statuses.
        document: the same of a route with a body.
    """

    @app.get("/runs", response_model=answer_schemas.Runs)
    async def runs() -> Response:
        """The runs that recommend, the serving one first."""
        found = [service.snapshot, *service.inference.compare_with.values()]
        return as_json(
            answer_schemas.Runs(
                runs=[
                    answer_schemas.Run(
                        name=each.run,
                        items=len(each),
                        raises_new_items=each.raises_new_items,
                        has_vectors=each.has_vectors,
                        attributes={} if each.recommender.attributes is None else each.recommender.attributes.kinds,
                    )
                    for each in found
                ]
            ).model_dump_json()
        )

    @app.get("/attributes", response_model=attribute_schemas.Attributes, **respond(404, 422))
    async def attributes(run: Annotated[str | None, Query(max_length=LIMITS.id_length)] = None) -> Response:
        """What `where` may speak of, and which values the items of a run have."""
        now = service.inference.named(run)
        found = [asdict(each) for each in await run_in_threadpool(lambda: now.attribute_summaries)]
        return as_json(attribute_schemas.Attributes.model_validate({"attributes": found}).model_dump_json())

    @app.post("/explain", response_model=answer_schemas.Explanation, **document(schemas.ExplainRequest, 404, 409, 503))
    async def explain_item(request: Request) -> Response:
        """Why an item has its score after a history."""
        body = await body_of(request, schemas.ExplainRequest)
        from ssna.recommender.explanation import explain  # loads torch, which a server that starts does not wait for

        now = service.inference.find(body.item, body.run)
        found = await service.run_in_background(
            partial(explain, now.raised(body.new_items), body.history, body.item, now.hidden)
        )
        members = [answer_schemas.Contribution(scorer=name, score=score) for name, score in found.members]
        return as_json(
            answer_schemas.Explanation.model_validate(asdict(found) | {"members": members}).model_dump_json()
        )

    @app.post("/rank_text", response_model=answer_schemas.TextRank, **document(schemas.RankTextRequest, 404, 409, 503))
    async def rank_new_text(request: Request) -> Response:
        """The rank of a text, were it a new item."""
        body = await body_of(request, schemas.RankTextRequest)
        from ssna.recommender.explanation import rank_text

        now = service.inference.named(body.run)
        found = await service.run_in_background(
            partial(rank_text, now.raised(body.new_items), body.history, body.text, deny=now.hidden)
        )
        return as_json(answer_schemas.TextRank.model_validate(asdict(found)).model_dump_json())


def _static(content: bytes, kind: str) -> Callable[[], Any]:
    async def answer() -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    return answer
