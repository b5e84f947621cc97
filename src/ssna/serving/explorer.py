"""The explorer: a page, and the routes that only it needs: runs, explanations, and the rank of a text."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response

from ssna.serving import answer_schemas, schemas
from ssna.serving.http import as_json, body_of
from ssna.serving.service import Service

PAGE = {"": ("index.html", "text/html"), "explorer.css": ("explorer.css", "text/css")} | {
    name: (name, "text/javascript") for name in ("explorer.js", "elements.js", "search.js", "service.js", "why.js")
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


def add_routes(app: FastAPI, service: Service, document: Callable[..., dict[str, Any]]) -> None:
    """``GET /runs``, ``POST /explain``, ``POST /rank_text``; ``document`` says what OpenAPI is to know of a route."""

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
                        attributes={} if each.recommender.attributes is None else each.recommender.attributes.kinds,
                    )
                    for each in found
                ]
            ).model_dump_json()
        )

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
