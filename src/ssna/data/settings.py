"""The options of ``ssna prepare`` as a TOML file, with the counts that should come out."""

import datetime as dt
from pathlib import Path
from typing import Any

from pydantic import Field

from ssna.core.settings import Settings, read_toml
from ssna.data.prepare import FormatName
from ssna.data.rules import Dedup, EngineName, MissingText
from ssna.data.split_points import SplitRule


class Options(Settings):
    """As :func:`ssna.data.prepare` describes them; what is left out has the default there."""

    format: FormatName | None = None
    user: str | None = None
    item: str | None = None
    time: str | None = None
    text: tuple[str, ...] | None = None
    rating: str | None = None
    min_rating: float | None = None
    since: dt.datetime | dt.date | int | float | str | None = None
    until: dt.datetime | dt.date | int | float | str | None = None
    min_user: int | None = Field(None, ge=0)
    min_item: int | None = Field(None, ge=0)
    max_history: int | None = Field(None, ge=1)
    missing_text: MissingText | None = None
    dedup: Dedup | None = None
    split: SplitRule | None = None
    engine: EngineName | None = None
    spark_master: str | None = None

    def options(self) -> dict[str, Any]:
        """By the names that the command line has for them."""
        columns = {
            "user": "user_col",
            "item": "item_col",
            "time": "time_col",
            "text": "text_cols",
            "rating": "rating_col",
        }
        return {columns.get(name, name): value for name, value in self.tree().items()}


class Expected(Settings):
    """The counts of a data set; those left out are not compared."""

    users: int | None = None
    items: int | None = None
    interactions: int | None = None


class PrepareSettings(Settings):
    """One data set: how it is prepared, and what should come of it."""

    about: str = ""
    """What it is, and where its files come from."""
    prepare: Options = Options()
    expected: Expected = Expected()

    @classmethod
    def read(cls, path: Path) -> "PrepareSettings":
        """Raises :class:`SettingsError` for a file that is not there, or keys and values that are not known."""
        return cls.parse(read_toml(path), str(path))
