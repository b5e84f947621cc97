"""Layouts that hold whole histories."""

import json
from pathlib import Path
from typing import Any

from layouts import ITEMS, USERS, Layout

_INTER = "user_id:token\titem_id_list:token_seq\titem_id:token\n"


def unisrec(folder: Path, layout: Layout) -> None:
    """Every prefix of every history, with indices of items."""
    place, folder = folder / "Shop", folder / "Shop"
    place.mkdir()
    index = {item["item"]: str(item["i"]) for item in layout.items()}
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for user, items in layout.histories().items():
        rows = [
            f"{user}\t{' '.join(index[item] for item in items[:end])}\t{index[items[end]]}\n" for end in range(1, ITEMS)
        ]
        parts["train"] += rows[:-2][::-1]
        parts["valid"].append(rows[-2])
        parts["test"].append(rows[-1])
    for name, rows in parts.items():
        (folder / f"Shop.{name}.inter").write_text(_INTER + "".join(rows))
    (folder / "Shop.item2index").write_text("".join(f"{item}\t{place}\n" for item, place in index.items()))
    texts = "".join(f"{item['item']}\t{item['title']}\n" for item in layout.items())
    (folder / "Shop.text").write_text("item_id:token\ttext:token_seq\n" + texts, encoding="utf-8")


def lc_rec(folder: Path, layout: Layout) -> None:
    """One object for all users, one for all items."""
    _dump(folder / "Shop.inter.json", layout.histories())
    texts = {item["item"]: _described(item, categories="Home, Pans", description="") for item in layout.items()}
    _dump(folder / "Shop.item.json", texts)


def recformer(folder: Path, layout: Layout) -> None:
    """Histories of indices, cut into three; maps from ids to indices; texts by id."""
    folder = folder / "Shop"
    folder.mkdir()
    index = {item["item"]: item["i"] for item in layout.items()}
    rows = [[index[item] for item in items] for items in layout.histories().values()]
    for name, (first, last) in {"train": (0, -2), "val": (-2, -1), "test": (-1, ITEMS)}.items():
        _dump(folder / f"{name}.json", {str(user): row[first:last] for user, row in enumerate(rows)})
    _dump(folder / "umap.json", {user: place for place, user in enumerate(layout.histories())})
    _dump(folder / "smap.json", index)
    _dump(folder / "meta_data.json", {item["item"]: _described(item, category="Home Pans") for item in layout.items()})


def mind(folder: Path, layout: Layout) -> None:
    """Four items as the history, then two impressions, each with one that was not clicked."""
    folder = folder / "MINDsmall_train"
    folder.mkdir()
    lines = []
    for user, (name, items) in enumerate(layout.histories().items()):
        for day in (4, 5):
            shown = f"{items[day]}-1 {items[0]}-0"
            cells = (user * 2 + day, name, f"11/{day + 5}/2019 9:0{user}:01 AM", " ".join(items[:4]), shown)
            lines.append("\t".join(map(str, cells)) + "\n")
    assert len(lines) == 2 * USERS
    (folder / "behaviors.tsv").write_text("".join(lines))
    news = "".join(
        f"{item['item']}\tlifestyle\tlifestyleroyals\t{item['title']}\tAn abstract\thttps://x\t[]\t[]\n"
        for item in layout.items()
    )
    (folder / "news.tsv").write_text(news, encoding="utf-8")


def _described(item: dict[str, Any], **more: str) -> dict[str, str]:
    return {"title": item["title"], "brand": item["brand"], **more}


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
