"""The explorer: a page, and what it asks for beyond the service: runs, why an item ranks, where a text would."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response

from ssna.recommender.explanation import explain, rank_text
from ssna.serving import schemas
from ssna.serving.http import as_json, body_of
from ssna.serving.service import Service

PAGE = {"": ("index.html", "text/html"), "explorer.css": ("explorer.css", "text/css")} | {
    name: (name, "text/javascript") for name in ("explorer.js", "elements.js", "search.js", "service.js", "why.js")
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def add_page(app: FastAPI) -> None:
    """Its files are part of the package; nothing is built, and nothing comes from elsewhere."""
    folder = files("ssna.serving") / "page"
    for address, (name, kind) in PAGE.items():
        content = (folder / name).read_bytes()
        app.add_api_route(f"/{address}", _unchanging(content, kind), include_in_schema=False)


def add_routes(app: FastAPI, service: Service, document: Callable[..., dict[str, Any]]) -> None:
    """``GET /runs``, ``POST /explain``, ``POST /place``; ``document`` says what OpenAPI is to know of a route."""

    @app.get("/runs", response_model=schemas.Runs)
    async def runs() -> Response:
        """The runs that can be asked, the serving one first."""
        found = [service.snapshot, *service.beside.values()]
        return as_json(
            schemas.Runs(runs=[schemas.Run(name=each.run, items=len(each)) for each in found]).model_dump_json()
        )

    @app.post("/explain", response_model=schemas.Explained, **document(schemas.Why, 404, 409, 503))
    async def why(request: Request) -> Response:
        """Why an item has its score after a history."""
        asked = await body_of(request, schemas.Why)
        now = service.find(asked.item, asked.run)
        found = await service.run_in_background(
            partial(explain, now.recommender, asked.history, asked.item, now.hidden)
        )
        parts = [schemas.Part(scorer=kind, score=share) for kind, share in found.parts]
        return as_json(schemas.Explained.model_validate(asdict(found) | {"parts": parts}).model_dump_json())

    @app.post("/place", response_model=schemas.Placed, **document(schemas.WhatIf, 404, 409, 503))
    async def what_if(request: Request) -> Response:
        """Where an item of some text would rank, were it added."""
        asked = await body_of(request, schemas.WhatIf)
        now = service.named(asked.run)
        found = await service.run_in_background(
            partial(rank_text, now.recommender, asked.history, asked.text, deny=now.hidden)
        )
        return as_json(schemas.Placed.model_validate(asdict(found)).model_dump_json())


def _unchanging(content: bytes, kind: str) -> Callable[[], Any]:
    async def answer() -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    return answer
