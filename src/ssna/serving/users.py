"""Users while serving: events come in, histories are recommended from, and a user is forgotten."""

import shlex
import time
from collections.abc import Sequence
from keyword import iskeyword
from pathlib import Path

from ssna.core.errors import ArtifactError
from ssna.serving.batching import Batcher, Part
from ssna.serving.inference import Inference, Ranked
from ssna.serving.limits import LIMITS
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import RecommendRequest
from ssna.serving.user_events import SECOND, Event, Recorded, UserEvents
from ssna.serving.user_schemas import AlsoIn, DeletedUser, EventsResult, PostedEvent
from ssna.serving.worker import Worker


class Users:
    """Its methods belong to the event loop.

    Args:
        inference: recommends.
        events: keeps events.
        data: the data folder that the first histories came from.
        user_col: what its logs call users.
    """

    def __init__(
        self, inference: Inference, events: UserEvents, data: Path | None = None, user_col: str = "user"
    ) -> None:
        self.inference, self.events, self.data, self.user_col = inference, events, data, user_col
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
        try:
            history = await self._reader.run(self.events.history, user)
        except ArtifactError as cause:
            message = f"{cause}; ask POST /recommend with a history, or again in a minute"
            raise RequestError(503, "disk", message, {"Retry-After": "60"}) from None
        return await self.inference.recommend([RecommendRequest(history=history, k=k, exclude_seen=exclude_seen)])

    async def delete(self, user: str) -> DeletedUser:
        """Forget a user. Raises :class:`RequestError` if the state cannot be written."""
        removed = await self._writer.run(self.events.delete, user)
        return DeletedUser(removed=removed, also_in=self._also_in(user))

    def _also_in(self, user: str) -> list[AlsoIn]:
        """What this server knows of that may have the user, too."""
        run = self.inference.snapshot.folder
        data = "DATA" if self.data is None else str(self.data)
        prepare = f"ssna prepare LOGS --where {shlex.quote(_without(self.user_col, user))} -o {shlex.quote(data)}"
        settings = shlex.quote(str(run / "settings.toml"))
        train = f"ssna train {shlex.quote(data)} --config {settings} -o {shlex.quote(str(run))}"
        return [AlsoIn(folder=data, command=prepare), AlsoIn(folder=str(run), command=train)]

    async def _record(self, groups: list[Sequence[Event]]) -> list[Recorded]:
        return await self._writer.run(self.events.record, groups)


def _without(column: str, user: str) -> str:
    """A condition that the rows of all other users fulfil."""
    name = column if column.isidentifier() and not iskeyword(column) else f"`{column}`"
    quote = '"' if "'" in user else "'"
    return f"not {name} = {quote}{user}{quote}"
