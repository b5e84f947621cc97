"""What requests and answers about users hold."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ssna.core.fields import NewItemId
from ssna.serving.limits import LIMITS

LATEST = 1e10  # seconds since 1970: what is beyond counts milliseconds
EXAMPLE = {"user": "u-42", "item": "sku-17", "time": 1767225600, "kind": "purchase"}


def _in_seconds(value: float) -> float:
    if value >= LATEST:
        raise PydanticCustomError("late", "must be seconds since 1970, and lies after the year 2286; divide by 1000?")
    return value


Seconds = Annotated[
    float,
    Field(ge=0, allow_inf_nan=False, json_schema_extra={"exclusiveMaximum": LATEST}),
    AfterValidator(_in_seconds),
]
Kind = Annotated[NewItemId, Field(max_length=LIMITS.kind_length)]


def _example(value: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra={"examples": [value]})


class PostedEvent(BaseModel):
    """What a user did."""

    model_config = _example(EXAMPLE)
    user: NewItemId
    item: NewItemId
    """It may be one that the catalogue does not have yet."""
    time: Seconds | None = None
    """Seconds since 1970; null is now."""
    kind: Kind | None = None
    """Such as `purchase`: for whoever prepares data from the events. Every kind counts in histories."""


class PostEventsRequest(BaseModel):
    """Events, in any order. Who got no answer may send them again: with a time, none counts twice."""

    model_config = _example({"events": [EXAMPLE]})
    events: list[PostedEvent] = Field(min_length=1, max_length=LIMITS.post_events)


class EventsResult(BaseModel):
    """What became of the events; it is on the disk."""

    events: int
    """Events that are new."""
    repeated: int
    """Events that were there already: the same user, item, time and kind."""
    unknown: int
    """Events of items that the catalogue does not have; they are kept, and count once it has them."""
    dropped: int
    """Earlier events of these users that gave way, since a user's latest ones are kept only."""


class UserEvent(BaseModel):
    """One thing that a user did."""

    item: str
    text: str | None
    """Null for an item that the catalogue does not have."""
    time: float | None
    """Seconds since 1970; null where the data folder that it came from has no times."""
    kind: str | None
    from_data: bool
    """Whether it came from the data folder of `--users`, and was not posted."""


class UserHistory(BaseModel):
    """What is kept of a user, oldest first."""

    events: list[UserEvent]


class AlsoIn(BaseModel):
    """Another place that may hold the user."""

    folder: str
    command: str
    """Makes it again without the user."""


class DeletedUser(BaseModel):
    """The user is forgotten: no id and no event is left in the state."""

    removed: int
    """Events that there were."""
    also_in: list[AlsoIn]
