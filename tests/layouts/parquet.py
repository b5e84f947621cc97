"""Layouts in Parquet."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from layouts import ITEMS, Layout


def plain(folder: Path, layout: Layout) -> None:
    """Numbers as ids, times as timestamps."""
    log, shelf = layout.events(), layout.items()
    _write(
        folder / "log.parquet", user_id=numbers(log, "user"), item_id=numbers(log, "item"), timestamp=column(log, "at")
    )
    _write(folder / "items.parquet", item_id=numbers(shelf, "item"), title=column(shelf, "title"))


def amazon_2023(folder: Path, layout: Layout) -> None:
    """Reviews with their own title and text; the catalogue with lists."""
    log, shelf = layout.events(), layout.items()
    _write(
        folder / "reviews.parquet",
        rating=[float(event["rating"]) for event in log],
        title=[f"Liked {event['n']}" for event in log],
        text=column(log, "review"),
        asin=["B00XXXXXXX"] * len(log),
        parent_asin=column(log, "item"),
        user_id=column(log, "user"),
        timestamp=column(log, "ms"),
    )
    _write(
        folder / "meta.parquet",
        main_category=["Home"] * ITEMS,
        title=column(shelf, "title"),
        store=column(shelf, "brand"),
        categories=[["Home", "Pans"]] * ITEMS,
        parent_asin=column(shelf, "item"),
    )


def orders(folder: Path, layout: Layout) -> None:
    """An order an event, in two tables."""
    log = layout.events()
    (folder / "shop").mkdir()
    _write(
        folder / "shop" / "orders.parquet",
        invoice_id=column(log, "n"),
        customer_id=column(log, "user"),
        created_at=column(log, "at"),
    )
    _write(
        folder / "shop" / "order_lines.parquet",
        invoice_id=column(log[::-1], "n"),
        sku=column(log[::-1], "item"),
        title=column(log[::-1], "title"),
        quantity=[2] * len(log),
    )


def date_and_time(folder: Path, layout: Layout) -> None:
    """The day and the time of day, each with its type."""
    log = layout.events()
    _write(
        folder / "log.parquet",
        date=[event["at"].date() for event in log],
        time=[event["at"].time() for event in log],
        user_id=column(log, "user"),
        item_id=column(log, "item"),
        title=column(log, "title"),
    )


def eb_nerd(folder: Path, layout: Layout) -> None:
    """A row for each user, with lists; ``articles.parquet``."""
    rows, shelf = histories(layout), layout.items()
    _write(
        folder / "history.parquet",
        user_id=[int(row[0]["user"]) for row in rows],
        impression_time_fixed=[column(row, "at") for row in rows],
        scroll_percentage_fixed=[[100.0] * len(row) for row in rows],
        article_id_fixed=[numbers(row, "item") for row in rows],
        read_time_fixed=[[7.0] * len(row) for row in rows],
    )
    _write(
        folder / "articles.parquet",
        article_id=numbers(shelf, "item"),
        title=column(shelf, "title"),
        subtitle=["x"] * ITEMS,
        body=["y"] * ITEMS,
    )


def yambda_sequential(folder: Path, layout: Layout) -> None:
    """A row for each user, with lists of numbers."""
    rows = histories(layout)
    _write(
        folder / "likes.parquet",
        uid=[int(row[0]["user"]) for row in rows],
        timestamp=[column(row, "time") for row in rows],
        item_id=[numbers(row, "item") for row in rows],
        is_organic=[[1] * len(row) for row in rows],
    )


def yambda_flat(folder: Path, layout: Layout) -> None:
    """A row for each event."""
    log = layout.events()
    _write(
        folder / "likes.parquet",
        uid=numbers(log, "user"),
        timestamp=column(log, "time"),
        item_id=numbers(log, "item"),
        is_organic=[1] * len(log),
    )


def merlin(folder: Path, layout: Layout) -> None:
    """NVTabular's names for grouped columns."""
    rows = histories(layout)
    _write(
        folder / "sessions.parquet",
        **{
            "user_id": [int(row[0]["user"]) for row in rows],
            "item_id-count": [len(row) for row in rows],
            "item_id-list": [numbers(row, "item") for row in rows],
            "timestamp-list": [column(row, "time") for row in rows],
        },
    )


def partitions_by_date(folder: Path, layout: Layout) -> None:
    """Folders named after the date of loading, which is not that of the events."""
    log = layout.events()
    for place, part in enumerate((log[::2], log[1::2])):
        _write_log(folder / "logs" / f"date=2024-05-0{place + 1}" / "part-0.parquet", part)


def folder_named_user(folder: Path, layout: Layout) -> None:
    """The folder says ``user=alice``; the file has a column of that name."""
    _write_log(folder / "user=alice" / "log.parquet", layout.events())


def binary(folder: Path, layout: Layout) -> None:
    """Strings as bytes."""
    log = layout.events()
    texts = {"user": "user", "item": "item", "title": "title"}
    cells: dict[str, Any] = {
        name: pa.array([event[key].encode() for event in log], pa.binary()) for name, key in texts.items()
    }
    _write(folder / "log.parquet", **cells, time=column(log, "time"))


def uuids(folder: Path, layout: Layout) -> None:
    """Users as 16 bytes."""
    log = layout.events()
    users = pa.array([bytes.fromhex(event["user"].replace("-", "")) for event in log], pa.binary(16))
    _write(
        folder / "log.parquet",
        user=users,
        item=column(log, "item"),
        time=column(log, "time"),
        title=column(log, "title"),
    )


def ga4(folder: Path, layout: Layout) -> None:
    """A list of structs for each event."""
    log = layout.events()
    _write(
        folder / "events.parquet",
        event_date=[f"{event['at']:%Y%m%d}" for event in log],
        event_timestamp=column(log, "us"),
        event_name=["purchase"] * len(log),
        user_pseudo_id=column(log, "user"),
        items=[[{"item_id": event["item"], "item_name": event["title"]}] for event in log],
    )


def histories(layout: Layout) -> list[list[dict[str, Any]]]:
    """The events of each user."""
    log = layout.events()
    return [log[start : start + ITEMS] for start in range(0, len(log), ITEMS)]


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    """One of the values of every row."""
    return [row[name] for row in rows]


def numbers(rows: list[dict[str, Any]], name: str) -> list[int]:
    """The same as whole numbers."""
    return [int(row[name]) for row in rows]


def _write_log(path: Path, log: list[dict[str, Any]]) -> None:
    dates = [f"{event['at']:%Y-%m-%d %H:%M:%S}" for event in log]
    _write(path, user=column(log, "user"), item=column(log, "item"), date=dates, title=column(log, "title"))


def _write(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
