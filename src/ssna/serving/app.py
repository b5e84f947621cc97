"""The routes: addresses, keys and answers; what happens behind them is in :mod:`ssna.serving.service`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool

from ssna.serving import answer_schemas
from ssna.serving.access import Access
from ssna.serving.answer_schemas import ErrorBody
from ssna.serving.answers import JsonResponse, batch_json, items_json
from ssna.serving.explorer import ADDRESSES, add_page, add_routes
from ssna.serving.http import Endpoint, as_json, body_of, install
from ssna.serving.keys import HEADER, Keys, May
from ssna.serving.limits import LIMITS
from ssna.serving.memory import give_memory_back
from ssna.serving.metrics import Metrics
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import (
    ExplainRequest,
    PutItemsRequest,
    RankTextRequest,
    RecommendBatchRequest,
    RecommendRequestWithTexts,
    ReloadRequest,
)
from ssna.serving.service import Service
from ssna.serving.user_routes import add_user_routes
from ssna.serving.user_schemas import PostEventsRequest

BODIES: tuple[type[BaseModel], ...] = (
    RecommendRequestWithTexts,
    RecommendBatchRequest,
    PutItemsRequest,
    ReloadRequest,
    ExplainRequest,
    RankTextRequest,
    PostEventsRequest,
)
MEANINGS = {
    400: "The body is not JSON, or the address cannot be read.",
    401: "The key is missing or wrong.",
    403: "The key may not do so, the server has none, or the run lies elsewhere.",
    404: "There is no such item, or run.",
    408: "The body was too slow.",
    409: "It cannot be done in the state that the server is in.",
    413: "The body is too large.",
    415: "The body is not called JSON.",
    421: "The server is not called so; see --allowed-host.",
    422: "A value is not allowed; the message names it. Or the answer is too large.",
    429: "More requests than --rate allows.",
    503: "Not now; ask again.",
}
OF_ANY = (401, 403, 421, 429)
OF_A_BODY = (400, 408, 413, 415, 422)
Known = Annotated[str, Path(max_length=LIMITS.id_length, min_length=1, pattern=r"^[^\n]+$", examples=["sku-17"])]


def create_app(service: Service, keys: Keys, access: Access | None = None) -> FastAPI:
    """The ASGI application.

    Args:
        keys: what ``X-API-Key`` may hold; without one that may change, changes are refused.
        access: who may ask; None: anybody.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        giving_back = asyncio.create_task(give_memory_back())
        yield
        giving_back.cancel()
        await service.stop()

    app = FastAPI(
        title="ssna", version=version("ssna"), lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Recommendations from histories of item ids; new items by their texts.", redirect_slashes=False,
    )  # fmt: skip
    metrics = Metrics(service)
    fast_routes: dict[str, Endpoint] = {}
    install(app, metrics, fast_routes, access or Access(), keys, ADDRESSES)
    _add_recommend(app, service, fast_routes)
    _add_lookups(app, service, metrics)
    add_routes(app, service, _refusing, _described)
    add_page(app)
    keyed = {"dependencies": [Depends(_key_holder(keys))]}
    _add_changes(app, service, keyed)
    add_user_routes(app, service, _refusing, _described, keyed)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _add_lookups(app: FastAPI, service: Service, metrics: Metrics) -> None:
    @app.head("/health", include_in_schema=False)
    @app.get("/health", response_model=answer_schemas.Health)
    async def health() -> Response:
        """Whether the process answers."""
        return as_json('{"status":"ok"}')

    @app.head("/ready", include_in_schema=False)
    @app.get("/ready", response_model=answer_schemas.Ready, responses=_errors(503))
    async def ready() -> Response:
        """Whether everything is loaded, and which run serves; else what is missing."""
        if service.missing is not None:
            raise RequestError(503, "starting", service.missing, {"Retry-After": "1"})
        now = service.snapshot
        return _model_response(answer_schemas.Ready(run=now.run, version=now.version, items=len(now), added=now.added))

    @app.get("/metrics", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
    async def read_metrics() -> Response:
        """For Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/items", response_model=answer_schemas.Items, responses=_errors(422))
    async def search(
        query: Annotated[str, Query(max_length=LIMITS.query, examples=["cordless drill"])] = "",
        limit: Annotated[int, Query(ge=1, le=LIMITS.search_results)] = 20,
    ) -> Response:
        """Items whose id or text holds every word of the query."""
        now = service.snapshot
        found, total = await run_in_threadpool(now.search, query, limit)
        items = [answer_schemas.Item(item=item, text=now.text(item)) for item in found]
        return _model_response(answer_schemas.Items(items=items, total=total))

    @app.get("/items/{item:path}", response_model=answer_schemas.ItemWithAttributes, responses=_errors(404, 422))
    async def item_of(item: Known) -> Response:
        """One item."""
        now = service.inference.find(item)
        found = answer_schemas.ItemWithAttributes(item=item, text=now.text(item), attributes=now.attributes(item))
        return _model_response(found)

    @app.get("/similar/{item:path}", response_model=answer_schemas.SimilarItems, responses=_errors(404, 422))
    async def similar(item: Known, k: Annotated[int, Query(ge=1, le=LIMITS.k)] = 10) -> Response:
        """The items nearest to one."""
        now = service.inference.find(item)
        found = await run_in_threadpool(now.similar, item, k)
        return as_json(f'{{"items":{items_json(now, found)}}}')


def _add_recommend(app: FastAPI, service: Service, fast_routes: dict[str, Endpoint]) -> None:
    def fast(path: str, **described: Any) -> Callable[[Endpoint], Endpoint]:
        def add(endpoint: Endpoint) -> Endpoint:
            fast_routes[path] = endpoint
            return app.post(path, **described)(endpoint)

        return add

    @fast(
        "/recommend", response_model=answer_schemas.Answer, responses=_errors(*OF_A_BODY, 404, 409, 503),
        openapi_extra=_body_of(RecommendRequestWithTexts),
    )  # fmt: skip
    async def recommend(request: Request) -> Response:
        """Recommend for one history."""
        body = await body_of(request, RecommendRequestWithTexts)
        ranked = await service.inference.recommend([body], body.texts, body.run)
        request.scope["batch"] = ranked.batch
        return JsonResponse(await service.inference.render(ranked, [body.fields]))

    @fast(
        "/recommend/batch", response_model=answer_schemas.Answers, responses=_errors(*OF_A_BODY, 409, 503),
        openapi_extra=_body_of(RecommendBatchRequest),
    )  # fmt: skip
    async def recommend_batch(request: Request) -> Response:
        """Recommend for several histories, all from one state of the catalogue."""
        body = await body_of(request, RecommendBatchRequest)
        if charge := request.scope.get("charge"):
            charge(len(body.requests) - 1)
        ranked = await service.inference.recommend(body.requests, within="requests")
        request.scope["batch"] = ranked.batch
        return JsonResponse(batch_json(await service.inference.render(ranked, [each.fields for each in body.requests])))


def _add_changes(app: FastAPI, service: Service, keyed: dict[str, Any]) -> None:
    @app.put(
        "/items", response_model=answer_schemas.ChangeResult, responses=_errors(*OF_A_BODY, 401, 403, 404, 409, 503),
        openapi_extra=_body_of(PutItemsRequest), **keyed,
    )  # fmt: skip
    async def put(request: Request) -> Response:
        """Add items by their texts or vectors; they can be recommended at once, and after a restart."""
        return _model_response(await service.changes.put((await body_of(request, PutItemsRequest)).items))

    @app.delete(
        "/items/{item:path}", response_model=answer_schemas.ChangeResult, responses=_errors(401, 403, 404, 409, 422),
        **keyed,
    )  # fmt: skip
    async def delete(item: Known) -> Response:
        """Exclude an item from all recommendations; an item of the run itself still counts in histories."""
        return _model_response(await service.changes.delete(item))

    @app.post(
        "/reload", response_model=answer_schemas.Comparison, responses=_errors(*OF_A_BODY, 401, 403, 409, 503),
        openapi_extra=_body_of(ReloadRequest), **keyed,
    )  # fmt: skip
    async def reload(request: Request) -> Response:
        """Compare another run with the serving one, and let it serve from now on."""
        body = await body_of(request, ReloadRequest)
        return _model_response(await service.changes.reload(body.run, body.minimum_overlap))


def _key_holder(keys: Keys) -> Any:
    given_in = APIKeyHeader(name=HEADER, auto_error=False, description="Of SSNA_API_KEY, or of `ssna keys add`.")

    async def check(request: Request, _: Annotated[str | None, Depends(given_in)]) -> None:
        keys.check(request.scope, May.change)

    return check


def _model_response(value: BaseModel) -> Response:
    return as_json(value.model_dump_json())


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    possible = sorted({*statuses, *OF_ANY})
    return {status: {"model": ErrorBody, "description": MEANINGS[status]} for status in possible}


def _refusing(*statuses: int) -> dict[str, Any]:
    """What OpenAPI is to know of a route without a body."""
    return {"responses": _errors(*statuses)}


def _described(model: type[BaseModel], *statuses: int) -> dict[str, Any]:
    """What OpenAPI is to know of a route with a body."""
    return {"responses": _errors(*OF_A_BODY, *statuses), "openapi_extra": _body_of(model)}


def _body_of(model: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
    return {"requestBody": {"required": True, "content": content}}


def _document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI, with the bodies that the routes read themselves; made once."""
    if not app.openapi_schema:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, definitions = models_json_schema(
            [(model, "validation") for model in BODIES], ref_template="#/components/schemas/{model}"
        )
        found["components"]["schemas"] |= definitions["$defs"]
        app.openapi_schema = found
    return app.openapi_schema
