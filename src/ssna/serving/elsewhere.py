"""What else may hold a user that a server forgot, and the commands that make it again without."""

import shlex
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from pathlib import Path
from typing import Any

from ssna.data.options import PrepareOptions
from ssna.serving.user_schemas import AlsoIn


def also_in(user: str, run: Path, data: Path | None = None, manifest: Mapping[str, Any] | None = None) -> list[AlsoIn]:
    """The data folder that users began with, and the run that serves.

    Args:
        manifest: of the data folder: how it was prepared.
    """
    folder = "DATA" if data is None else str(data)
    train = ["ssna", "train", folder, "--config", str(run / "settings.toml"), "-o", str(run)]
    prepare = ["ssna", "prepare", "LOGS", *_options(manifest or {}, user), "-o", folder]
    return [AlsoIn(folder=folder, command=shlex.join(prepare)), AlsoIn(folder=str(run), command=shlex.join(train))]


def without(column: str, user: str, where: str | None = None) -> str:
    """A condition that rows fulfil which are not the user's, and are as ``where`` says."""
    name = column if column.isidentifier() and not iskeyword(column) else f"`{column}`"
    quote = '"' if "'" in user else "'"
    others = f"not {name} = {quote}{user}{quote}"
    return others if where is None else f"({where}) and {others}"


def _options(manifest: Mapping[str, Any], user: str) -> Iterator[str]:
    """Of ``prepare``: those that the folder was made with, and a condition."""
    columns = manifest.get("source", {}).get("columns") or {}
    given = manifest.get("options", {})
    if given.get("own_items"):
        yield from ("--items", "ITEMS")
    for name, field in PrepareOptions.model_fields.items():
        value = given.get(name)
        if name != "where" and value is not None and value not in (field.default, []):
            words = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            yield from (f"--{name.replace('_', '-')}", words)
    yield from ("--where", without(str(columns.get("user") or "user"), user, given.get("where")))
