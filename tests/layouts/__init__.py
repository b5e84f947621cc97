"""The layouts of ``tests/layouts.toml``: each written as a small log in its true form, and what must come of it.

All hold the same log: 8 users take 6 items each, user ``u`` beginning with item ``u``, nine days from one to the next.
"""

import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa

USERS, ITEMS = 8, 6
START, STEP = 1_700_000_000, 9 * 86_400  # seconds
_PLACEHOLDER = re.compile(r"<([a-z_]+)(?::([^>]*))?>")
_EAST = dt.timezone(dt.timedelta(hours=4))
_FILE = Path(__file__).parent.parent / "layouts.toml"


@dataclass(frozen=True)
class Layout:
    """One row of ``layouts.toml``, whose head says what the keys are."""

    name: str
    group: str
    form: str
    of: str
    first: str
    best: str = ""
    refused: str = ""
    user: str = "u<u>"
    item: str = "i<i>"
    text: str = "<title>"
    join: str = " "
    unit: int = 1
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    write: str = ""
    says: list[str] = field(default_factory=list)
    fails: str = ""

    @property
    def command(self) -> str:
        """What is right, behind ``ssna prepare``; nothing for what holds no data."""
        return self.best if self.refused else self.first

    @property
    def plain(self) -> bool:
        """Whether the first try is right, with no option but the items' file, or ids as texts where there are none."""
        options = set(re.findall("--[a-z-]+", self.first))
        return not self.refused and options <= {"--items", "--missing-text"}

    def written_to(self, folder: Path) -> None:
        """Write the files."""
        for name, file in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = "".join(line + file.get("end", "\n") for line in self._lines(file))
            _write(path, content.encode(file.get("encoding", "utf-8")))
        if self.write:
            module, _, function = self.write.partition(".")
            getattr(import_module(f"layouts.{module}"), function)(folder, self)

    def events(self) -> list[dict[str, Any]]:
        """What the placeholders stand for, for every event, in the order of users and times."""
        return [self._event(u, step) for u in range(USERS) for step in range(ITEMS)]

    def items(self) -> list[dict[str, Any]]:
        """The same for every item."""
        return [self._item(i) for i in range(ITEMS)]

    def users(self) -> list[dict[str, Any]]:
        """The same for every user: ``items`` and ``times`` are joined."""
        rows = [self.events()[u * ITEMS : (u + 1) * ITEMS] for u in range(USERS)]
        return [
            {"u": u, "user": row[0]["user"], "items": self._joined(row, "item"), "times": self._joined(row, "time")}
            for u, row in enumerate(rows)
        ]

    def histories(self) -> dict[str, list[str]]:
        """User -> items, oldest first: what must come of it."""
        found: dict[str, list[str]] = {}
        for event in self.events():
            found.setdefault(event["user"], []).append(event["item"])
        return found

    def times(self) -> dict[str, list[int]] | None:
        """User -> seconds since 1970, as exact as the layout has them; None where it has none."""
        if not self.unit:
            return None
        found: dict[str, list[int]] = {}
        for event in self.events():
            found.setdefault(event["user"], []).append(event["time"] // self.unit * self.unit)
        return found

    def texts(self) -> dict[str, str]:
        """Item -> text: what must come of it."""
        return {item["item"]: filled(self.text, item) for item in self.items()}

    def _event(self, u: int, step: int) -> dict[str, Any]:
        second = START + step * STEP + u * 3_607
        at, n = dt.datetime.fromtimestamp(second, dt.UTC), u * ITEMS + step
        return {
            **self._item((u + step) % ITEMS),
            "u": u,
            "user": filled(self.user, {"u": u}),
            "name": f"Kim {u % 3}",
            "step": step,
            "day": step + 1,
            "ticks": (second + 62_135_596_800) * 10_000_000,
            "n": n,
            "time": second,
            "ms": second * 1_000 + 123,
            "us": second * 1_000_000 + 123_456,
            "at": at,
            "local": at.astimezone(_EAST),
            "rating": n % 5 + 1,
            "review": f"Bought it {n} times; would again",
        }

    def _item(self, i: int) -> dict[str, Any]:
        return {"i": i, "item": filled(self.item, {"i": i}), "title": f"Küchen-Ding {i}", "brand": "ACME"}

    def _joined(self, row: list[dict[str, Any]], name: str) -> str:
        return self.join.join(str(event[name]) for event in row)

    def _lines(self, file: dict[str, str]) -> Iterator[str]:
        if "header" in file:
            yield file["header"]
        for key, rows in (("user", self.users), ("event", self.events), ("item", self.items)):
            if key in file:
                yield from _rows(file[key], rows())
        if "last" in file:
            yield file["last"]


def layouts() -> list[Layout]:
    """All rows."""
    return [Layout(**row) for row in tomllib.loads(_FILE.read_text(encoding="utf-8"))["layout"]]


def filled(template: str, values: dict[str, Any]) -> str:
    """``<name>`` and ``<name:format>`` in ``template`` become the values; other brackets stay as they are."""

    def value(match: re.Match[str]) -> str:
        name, kind = match.groups()
        return format(values[name], kind or "") if name in values else match[0]

    return _PLACEHOLDER.sub(value, template)


def _rows(template: str, rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (filled(template, row) for row in rows)


def _write(path: Path, content: bytes) -> None:
    kind = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    if kind is None:
        path.write_bytes(content)
    else:
        with pa.CompressedOutputStream(str(path), kind) as file:
            file.write(content)
