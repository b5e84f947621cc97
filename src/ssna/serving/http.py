"""What every request goes through: a bounded body, errors as one kind of JSON, a line in the log and a count."""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ssna.core.errors import EncoderError, SsnaError
from ssna.serving.access import Access, RateLimit, check_host, client_of
from ssna.serving.answers import JsonResponse
from ssna.serving.connection import BODY, TOO_LARGE
from ssna.serving.keys import HEADER, OF_SCOPE, Keys, May
from ssna.serving.limits import LIMITS
from ssna.serving.logs import described, log
from ssna.serving.memory import memory_was_used
from ssna.serving.metrics import Metrics
from ssna.serving.parsing import explain, parse
from ssna.serving.refusal import RequestError
from ssna.serving.request_ids import REQUEST_ID, request_id_of

ModelT = TypeVar("ModelT", bound=BaseModel)
LONG = 2**15  # bytes of a body that is parsed in a thread: requests are answered meanwhile
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
PROBES = ("/health", "/ready")  # which need no key
NOT_COUNTED = (*PROBES, "/metrics")  # by the rate of a client
_parser = ThreadPoolExecutor(1, "parse")
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]
JSON = "application/json"
REASONS = {404: "there is nothing at this address; see /openapi.json", 405: "this address has other methods"}


async def body_of(request: Request, model: type[ModelT]) -> ModelT:
    """The checked body of a request. Raises :class:`RequestError`: 408, 413, 415, 400 or 422."""
    _check_headers(request.headers)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(LIMITS.seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > LIMITS.body_bytes:
                    raise _too_large()
                chunks.append(chunk)
    except ClientDisconnect:
        raise RequestError(499, "client_gone", "the body ended before it was whole") from None
    except TimeoutError:
        message = f"the body was not whole after {LIMITS.seconds:g} seconds; send it at once"
        raise RequestError(408, "too_slow", message, {"Connection": "close"}) from None
    if TOO_LARGE in request.scope:
        raise _too_large(request.scope[TOO_LARGE])
    content = b"".join(chunks)
    if size <= LONG:
        return parse(model, content)
    memory_was_used()
    return await asyncio.get_running_loop().run_in_executor(_parser, parse, model, content)


def _check_headers(headers: Headers) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        called = f"is called {kind[:80]!r}" if kind else "is called nothing"
        raise RequestError(415, "not_json", f"the body {called}; send Content-Type: {JSON}")
    if packed := headers.get("content-encoding"):
        raise RequestError(415, "compressed", f"the body is packed ({packed[:80]!r}); send it as it is")
    stated = headers.get("content-length", "")
    if len(stated) < 20 and stated.isdecimal() and int(stated) > LIMITS.body_bytes:
        raise _too_large()


def as_json(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of JSON that is written already. Raises :class:`RequestError` if it has too many bytes."""
    return JsonResponse([text.encode()], status, headers)


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The one form of all errors."""
    return as_json(json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False), status, headers)


def refusal_response(error: RequestError | SsnaError) -> Response:
    """The response to an error that was foreseen."""
    if isinstance(error, RequestError):
        return error_response(error.status, error.code, str(error), error.headers)
    status, code = (503, "no_language_model") if isinstance(error, EncoderError) else (409, "not_possible")
    return error_response(status, code, " ".join(str(error).split()))


def install(
    app: FastAPI,
    metrics: Metrics,
    fast_routes: Mapping[str, Endpoint],
    access: Access,
    keys: Keys,
    open_to_all: Collection[str] = (),
) -> None:
    """Errors of every origin in one form, and :class:`Observed` around all of it.

    Args:
        open_to_all: addresses that never need a key.
    """

    @app.exception_handler(RequestError)
    @app.exception_handler(SsnaError)
    async def foreseen(_: Request, error: RequestError | SsnaError) -> Response:
        return refusal_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return error_response(422, "invalid", explain(error.errors()))

    @app.exception_handler(HTTPException)
    async def unmatched(_: Request, error: HTTPException) -> Response:
        message = REASONS.get(error.status_code, str(error.detail))
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        return error_response(error.status_code, code, message, error.headers)

    app.add_middleware(
        Observed, metrics=metrics, fast_routes=fast_routes, access=access, keys=keys, open_to_all=open_to_all
    )


class Observed:
    """Counts, times and logs every request, refuses those that :class:`Access` does not allow, and turns what nobody
    foresaw into a 500 that tells nothing.

    Args:
        fast_routes: path -> what answers a POST there at once, past routing and everything else that it has no use for.
        keys: of clients.
        open_to_all: addresses that never need a key.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        fast_routes: Mapping[str, Endpoint],
        access: Access,
        keys: Keys,
        open_to_all: Collection[str],
    ) -> None:
        self.app, self.metrics, self.fast_routes, self.access, self.keys = app, metrics, fast_routes, access, keys
        self._open = frozenset((*PROBES, *open_to_all))
        self._rate = None if access.rate is None else RateLimit(access.rate)
        self._inner: ASGIApp = self._answer
        if access.origins:
            self._inner = CORSMiddleware(
                self._answer, allow_origins=access.origins, allow_methods=["GET", "POST"],
                allow_headers=["Content-Type", HEADER, REQUEST_ID], expose_headers=[REQUEST_ID],
            )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0
        scope["request_id"] = identifier = request_id_of(scope)
        scope[OF_SCOPE] = self.keys.of(scope)
        of_all = (NO_SNIFFING, (REQUEST_ID.lower().encode(), identifier.encode()))

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *of_all]
            await send(message)

        try:
            if (refusal := self._refusal(scope)) is None:
                await self._inner(scope, receive, watched)
            else:
                await refusal_response(refusal)(scope, receive, watched)
        except asyncio.CancelledError:  # by the connection: its client is gone
            status = status or 499
        except Exception as error:
            log("failure", level="error", request_id=identifier, **described(error))
            if status:
                raise
            await error_response(500, "internal", "this is a defect of the server; its log says where")(
                scope, receive, watched
            )
        finally:
            self._record(scope, status, time.perf_counter() - start)

    def _refusal(self, scope: Scope) -> RequestError | None:
        try:
            check_host(scope, self.access.hosts)
            if self._rate is not None and scope["path"] not in NOT_COUNTED:
                client = client_of(scope)
                self._rate.check(client)
                scope["charge"] = partial(self._rate.charge, client)
        except RequestError as refusal:
            return refusal
        return None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.keys.guard_reading and scope["path"] not in self._open:
            try:
                self.keys.check(scope, May.read)
            except RequestError as refusal:
                await refusal_response(refusal)(scope, receive, send)
                return
        endpoint = self.fast_routes.get(scope["path"]) if scope["method"] == "POST" else None
        if endpoint is None:
            await self.app(scope, receive, send)
            return
        scope["fast_route"] = scope["path"]
        response = await _respond(endpoint, Request(scope, receive))
        await response(scope, receive, send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route, batch = _route(scope), scope.get("batch")
        self.metrics.observe(route, status, seconds, batch)
        key = scope[OF_SCOPE]
        fields: dict[str, Any] = {} if batch is None else {"batch": batch}
        fields |= {} if key is None else {"key": key.name}
        method = scope["method"] if len(scope["method"]) < 10 else "other"
        log("request", method=method, route=route, status=status, ms=round(1000 * seconds, 2),
            request_id=scope["request_id"], **fields)  # fmt: skip


async def _respond(endpoint: Endpoint, request: Request) -> Response:
    try:
        return await endpoint(request)
    except (RequestError, SsnaError) as error:
        return refusal_response(error)


def _route(scope: Scope) -> str:
    """The pattern, not the address: addresses hold ids."""
    return str(scope.get("fast_route") or getattr(scope.get("route"), "path", "none"))


def _too_large(what: str = BODY) -> RequestError:
    return RequestError(413, "too_large", what, {"Connection": "close"})
