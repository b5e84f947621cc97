"""Events that are left out for what they are: rated too low, too early or too late."""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from ssna.core.errors import SettingsError

Moment = str | int | float | dt.date

_SECOND = 1_000_000  # microseconds


@dataclass(frozen=True)
class Limits:
    """None does not limit. ``since`` and ``until`` are microseconds since 1970; ``until`` itself is too late."""

    min_rating: float | None = None
    since: int | None = None
    until: int | None = None

    @property
    def timed(self) -> bool:
        """Whether events need a time."""
        return self.since is not None or self.until is not None

    @property
    def sentences(self) -> dict[str, str]:
        """The rules for people, those that hold."""
        found = {}
        if self.min_rating is not None:
            found["rating"] = f"events rated below {self.min_rating:g}, or not at all, are left out"
        if self.timed:
            spans = (("from", self.since), ("before", self.until))
            kept = " and ".join(f"{word} {_iso(moment)}" for word, moment in spans if moment is not None)
            found["window"] = f"only events {kept} count"
        return found


def window(since: Moment | None, until: Moment | None) -> tuple[int | None, int | None]:
    """Both in microseconds. Raises :class:`SettingsError` if they are no times, or hold nothing between them."""
    first, end = _microseconds("since", since), _microseconds("until", until)
    if first is not None and end is not None and first >= end:
        raise SettingsError(f"since = {since} is not before until = {until}; nothing would be left")
    return first, end


def _microseconds(name: str, moment: Moment | None) -> int | None:
    if moment is None:
        return None
    try:
        if not isinstance(moment, dt.date):
            return round(float(moment) * _SECOND)
    except (ValueError, OverflowError):
        pass
    try:
        date = dt.datetime.fromisoformat(str(moment))
    except ValueError:
        raise SettingsError(
            f"{name} = {moment!r} is no time; give a date such as 2024-05-31, or seconds since 1970"
        ) from None
    zoned = date if date.tzinfo else date.replace(tzinfo=dt.UTC)
    return (zoned - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def _iso(moment: int) -> str:
    return f"{str(np.datetime64(moment, 'us')).removesuffix('.000000')}Z"
