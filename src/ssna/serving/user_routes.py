"""The routes of users and their events. All of them need a key, reading included."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response

from ssna.core.fields import ADDED_ID
from ssna.serving import answer_schemas, user_schemas
from ssna.serving.answers import JsonResponse
from ssna.serving.http import as_json, body_of
from ssna.serving.limits import LIMITS
from ssna.serving.service import Service

UserId = Annotated[str, Path(min_length=1, max_length=LIMITS.id_length, pattern=ADDED_ID, examples=["u-42"])]


def add_user_routes(
    app: FastAPI,
    service: Service,
    responses: Callable[..., dict[str, Any]],
    document: Callable[..., dict[str, Any]],
    keyed: Mapping[str, Any],
) -> None:
    """``POST /events``, ``GET /users/{user}/recommend``, ``GET /users/{user}/history`` and ``DELETE /users/{user}``.

    Args:
        responses: what OpenAPI is to know of the errors of a route, by their statuses.
        document: the same of a route with a body.
        keyed: what makes a route ask for the key.
    """

    @app.post(
        "/events", response_model=user_schemas.EventsResult,
        **document(user_schemas.PostEventsRequest, 401, 403, 503), **keyed,
    )  # fmt: skip
    async def post_events(request: Request) -> Response:
        """Keep events; they count in the next answer, and after a restart."""
        body = await body_of(request, user_schemas.PostEventsRequest)
        return as_json((await service.users.post(body.events)).model_dump_json())

    statuses = (401, 403, 404, 422, 503)

    @app.get("/users/{user:path}/recommend", response_model=answer_schemas.Answer, **responses(*statuses), **keyed)
    async def recommend_to(
        request: Request,
        user: UserId,
        k: Annotated[int, Query(ge=1, le=LIMITS.k)] = 10,
        exclude_seen: bool = True,
    ) -> Response:
        """Recommend from a user's latest events; by popularity where there are none."""
        ranked = await service.users.recommend(user, k, exclude_seen)
        request.scope["batch"] = ranked.batch
        return JsonResponse(await service.inference.render(ranked, [("item", "score", "text")]))

    @app.get("/users/{user:path}/history", response_model=user_schemas.UserHistory, **responses(*statuses), **keyed)
    async def history_of(
        user: UserId, limit: Annotated[int, Query(ge=1, le=LIMITS.user_events)] = LIMITS.user_events
    ) -> Response:
        """A user's latest events with their times, oldest first; none for one that nothing is known of."""
        return as_json((await service.users.timeline(user, limit)).model_dump_json())

    @app.delete("/users/{user:path}", response_model=user_schemas.DeletedUser, **responses(*statuses), **keyed)
    async def delete_user(user: UserId) -> Response:
        """Forget a user; the answer says what else may hold them."""
        return as_json((await service.users.delete(user)).model_dump_json())
