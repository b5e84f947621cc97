"""Reviews, ratings and meta files in the form of Amazon's three releases."""

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from data_files import square

NIGHT = 1_400_000_000


def user_id(user: str) -> str:
    return f"A{user[1:]:0>3}YS9MDZP93857"


def asin(item: str) -> str:
    return f"B00{item[1:]:0>3}ABCD" if item != "i3" else "037540404X"


EVENTS = [(user_id(user), asin(item), 5.0, NIGHT + 86_400 * (step - 1_000)) for user, item, step, _ in square()]
ITEMS = [asin(f"i{k}") for k in range(6)]
EXPECTED = 'Pan\'s 5" \\ "Lid" 4. Home & Kitchen, Cookware, Home, Pots. ACME'


def packed(path: Path, lines: Iterable[str]) -> Path:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return path


def reviews(
    path: Path, user: str = "reviewerID", item: str = "asin", time: str = "unixReviewTime", scale: int = 1, **more: Any
) -> Path:
    rows = [
        {user: u, item: i, "overall": r, time: t * scale, "summary": "it's {good}", **more} for u, i, r, t in EVENTS
    ]
    return packed(path, map(json.dumps, rows))


def ratings(path: Path, order: Sequence[int], header: str | None = None) -> Path:
    rows = [",".join(str(row[place]) for place in order) for row in EVENTS]
    path.write_text("\n".join(([header] if header else []) + rows) + "\n")
    return path


def title(k: int) -> str:
    return f'Pan\'s 5" \\ "Lid" {k}'


def meta_2014(path: Path) -> Path:
    """Python dictionaries, a line each; some strings need double quotes."""
    rows = [
        {
            "asin": item,
            "related": {"also_bought": ["B000000001"], "bought_together": []},
            "title": title(k),
            "price": 6.99,
            "salesRank": {"Toys & Games": 211836},
            "imUrl": "http://img.example/51%2B.jpg",
            "brand": "ACME",
            "categories": [["Home &amp; Kitchen", "Cookware"], ["Home", "Pots"]],
            "gift": None,
            "new": True,
        }
        for k, item in enumerate(ITEMS)
    ]
    return packed(path, map(repr, rows))


def meta_2018(path: Path) -> Path:
    rows = [
        {
            "category": ["Home &amp; Kitchen", "Cookware", "Home", "Pots"],
            "title": title(k),
            "brand": "ACME",
            "asin": item,
        }
        for k, item in enumerate(ITEMS)
    ]
    return packed(path, map(json.dumps, rows))


def meta_2023(path: Path) -> Path:
    rows = [
        {
            "main_category": "Home",
            "title": title(k),
            "store": "ACME",
            "categories": ["Home & Kitchen", "Cookware", "Home", "Pots"],
            "parent_asin": item,
        }
        for k, item in enumerate(ITEMS)
    ]
    return packed(path, map(json.dumps, rows))


HEADER_2023 = "user_id,parent_asin,rating,timestamp"
SOURCES: dict[str, Callable[[Path], tuple[Path, Path]]] = {
    "reviews of 2014": lambda at: (
        reviews(at / "reviews_Home.json.gz", helpful=[0, 0]),
        meta_2014(at / "meta.json.gz"),
    ),
    "ratings of 2014": lambda at: (ratings(at / "ratings_Home.csv", (0, 1, 2, 3)), meta_2014(at / "meta.json.gz")),
    "reviews of 2018": lambda at: (reviews(at / "Home_5.json.gz", verified=True), meta_2018(at / "meta_Home.json.gz")),
    "ratings of 2018": lambda at: (ratings(at / "Home.csv", (1, 0, 2, 3)), meta_2018(at / "meta_Home.json.gz")),
    "reviews of 2023": lambda at: (
        reviews(at / "Home.jsonl.gz", "user_id", "parent_asin", "timestamp", 1000, asin="B0000OTHER"),
        meta_2023(at / "meta_Home.jsonl.gz"),
    ),
    "ratings of 2023": lambda at: (
        ratings(at / "Home.csv", (0, 1, 2, 3), HEADER_2023),
        meta_2023(at / "meta.jsonl.gz"),
    ),
}
