"""Users while serving: events come in, histories are recommended from, and a user is forgotten."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ssna.core.errors import ArtifactError
from ssna.serving.batching import Batcher, Part
from ssna.serving.elsewhere import also_in
from ssna.serving.inference import Inference, Ranked
from ssna.serving.limits import LIMITS
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import RecommendRequest
from ssna.serving.user_events import SECOND, Event, Recorded, UserEvents
from ssna.serving.user_schemas import DeletedUser, EventsResult, PostedEvent, UserEvent, UserHistory
from ssna.serving.worker import Worker

T = TypeVar("T")


class Users:
    """Its methods belong to the event loop.

    Args:
        inference: recommends.
        events: keeps events.
        data: the data folder that the first histories came from.
        manifest: of that folder.
    """

    def __init__(
        self,
        inference: Inference,
        events: UserEvents,
        data: Path | None = None,
        manifest: Mapping[str, Any] | None = None,
    ) -> None:
        self.inference, self.events, self.data, self.manifest = inference, events, data, manifest
        self._writer, self._reader = Worker("events"), Worker("histories", LIMITS.user_queue)
        self._batcher: Batcher[Sequence[Event], Recorded] = Batcher(
            self._record, LIMITS.event_queue, LIMITS.event_queue
        )

    async def close(self) -> None:
        """Finish what waits."""
        await self._batcher.close()
        for worker in (self._writer, self._reader):
            await worker.close()

    async def post(self, posted: Sequence[PostedEvent]) -> EventsResult:
        """Keep events; what comes while others are written is written together.

        Raises:
            RequestError: too many wait, or the state cannot be written.
        """
        now = time.time()
        events = [
            Event(each.user, each.item, round((now if each.time is None else each.time) * SECOND), each.kind)
            for each in posted
        ]
        (recorded,), _ = await self._batcher.submit([Part(events, 1, len(events))])
        known = self.inference.snapshot.recommender.items
        unknown = sum(event.item not in known for event in events)
        return EventsResult(events=recorded.new, repeated=recorded.known, dropped=recorded.dropped, unknown=unknown)

    async def recommend(self, user: str, k: int, exclude_seen: bool) -> Ranked:
        """As :meth:`Inference.recommend`, from the user's latest events; from none for one that nothing is known of.

        Raises:
            RequestError: the history cannot be read now, or too many requests wait.
        """
        history = await self._read(self.events.history, user)
        return await self.inference.recommend([RecommendRequest(history=history, k=k, exclude_seen=exclude_seen)])

    async def timeline(self, user: str, limit: int) -> UserHistory:
        """A user's latest events, oldest first.

        Raises:
            RequestError: they cannot be read now, or too many requests wait.
        """
        kept = await self._read(self.events.timeline, user, limit)
        now = self.inference.snapshot
        return UserHistory(
            events=[
                UserEvent(
                    item=each.item,
                    text=now.text(each.item) if each.item in now.recommender.items else None,
                    time=None if each.time is None else each.time / SECOND,
                    kind=each.kind,
                    from_data=each.from_data,
                )
                for each in kept
            ]
        )

    async def _read(self, read: Callable[..., T], *arguments: object) -> T:
        try:
            return await self._reader.run(read, *arguments)
        except ArtifactError as cause:
            message = f"{cause}; ask POST /recommend with a history, or again in a minute"
            raise RequestError(503, "disk", message, {"Retry-After": "60"}) from None

    async def delete(self, user: str) -> DeletedUser:
        """Forget a user. Raises :class:`RequestError` if the state cannot be written."""
        removed = await self._writer.run(self.events.delete, user)
        found = also_in(user, self.inference.snapshot.folder, self.data, self.manifest)
        return DeletedUser(removed=removed, also_in=found)

    async def _record(self, groups: list[Sequence[Event]]) -> list[Recorded]:
        return await self._writer.run(self.events.record, groups)
