"""The command line, in this process; a small data set, and the figures of a run."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ssna.cli import main

THINGS = tuple(f"thing {item}" for item in range(40))


def ssna(*words: object) -> int:
    """The exit code of ``ssna`` with these words."""
    before, sys.argv = sys.argv, ["ssna", *map(str, words)]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = before
    return 0


def small_data(
    folder: Path,
    titles: Sequence[str] = THINGS,
    item: Callable[[int, int], int] = lambda user, step: (user * 7 + step * step) % 40,
) -> Path:
    """A data set of 60 users and 40 items, ``item`` of a user and a step, prepared in ``folder``."""
    logs = folder / "logs.csv"
    rows = [f"u{user},i{item(user, step)},{step}" for user in range(60) for step in range(8)]
    logs.write_text("user,item,time\n" + "\n".join(rows) + "\n")
    items = folder / "items.csv"
    items.write_text("item,title\n" + "\n".join(f"i{item},{title}" for item, title in enumerate(titles)) + "\n")
    columns = ("--user-col", "user", "--item-col", "item", "--time-col", "time", "--text-cols", "title")
    assert ssna("prepare", logs, "--items", items, *columns, "-o", folder / "data") == 0
    return folder / "data"


def figures(run: Path) -> tuple[list[dict], int, dict]:
    """Of a run folder, all that does not depend on the clock: epochs, the best one, test metrics."""
    record = json.loads((run / "record.json").read_text())
    epochs = [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in record["epochs"]]
    return epochs, record["best_epoch"], record["test"]
