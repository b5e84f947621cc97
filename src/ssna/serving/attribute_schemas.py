"""What the answer of ``GET /attributes`` holds."""

from pydantic import BaseModel


class ValueCount(BaseModel):
    """A value and how many items have it."""

    value: str | bool
    items: int


class Attribute(BaseModel):
    """What `where` may speak of, and which values there are."""

    name: str
    kind: str
    """number, text, boolean, time or texts."""
    items: int
    """How many have a value."""
    least: float | str | None
    """The smallest number, or the earliest time as ISO text; null for other kinds."""
    most: float | str | None
    """The largest number, or the latest time."""
    distinct: int
    """How many values there are of a text, boolean or texts; 0 for other kinds."""
    values: list[ValueCount]
    """The most frequent of these, 50 at the most."""


class Attributes(BaseModel):
    """In the order of the catalogue's columns."""

    attributes: list[Attribute]
