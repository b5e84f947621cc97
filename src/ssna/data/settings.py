"""The file of ``ssna prepare --config``: options, and the counts that should come out."""

from pathlib import Path
from typing import Any

from ssna.core.settings import Settings, read_toml
from ssna.data.options import PrepareOptions


class Expected(Settings):
    """The counts of a data set; those left out are not compared."""

    users: int | None = None
    items: int | None = None
    interactions: int | None = None


class PrepareSettings(Settings):
    """One data set: how it is prepared, and what should come of it."""

    about: str = ""
    """What it is, and where its files come from."""
    prepare: PrepareOptions = PrepareOptions()
    expected: Expected = Expected()

    @classmethod
    def read(cls, path: Path) -> "PrepareSettings":
        """Raises :class:`SettingsError` for a file that is not there, or keys and values that are not known."""
        return cls.parse(read_toml(path), str(path))

    @property
    def given(self) -> dict[str, Any]:
        """The options that stand in the file, as JSON values by their names."""
        return self.prepare.model_dump(mode="json", exclude_unset=True)
