"""Attributes out of the items' files of every format that has such files."""

import json
from pathlib import Path

import pytest

import ssna
from ssna.core.errors import SsnaError
from ssna.data.attributes import Attributes

pytestmark = pytest.mark.slow
ITEMS, FEW = 6, {"min_user": 0, "min_item": 0, "quiet": True}
EVENTS = [(u, (u + t) % ITEMS + 1, 1_700_000_000 + t) for u in range(1, 9) for t in range(4)]


def write(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


def movielens(folder: Path) -> dict:
    write(folder / "ratings.dat", [f"{u}::{i}::4::{t}" for u, i, t in EVENTS])
    write(folder / "movies.dat", [f"{i}::Film {i} (1999)::Drama|Comedy" for i in range(1, ITEMS + 1)])
    return {"logs": folder}


def recbole(folder: Path) -> dict:
    events = [f"{u}\t{i}\t{t}" for u, i, t in EVENTS]
    write(folder / "a.inter", ["user_id:token\titem_id:token\ttimestamp:float", *events])
    items = [f"{i}\tFilm {i}\t{i}.5" for i in range(1, ITEMS + 1)]
    write(folder / "a.item", ["item_id:token\ttitle:token_seq\tprice:float", *items])
    return {"logs": folder}


def sequences(folder: Path) -> dict:
    write(folder / "sequences.txt", [f"{u} " + " ".join(str(i) for v, i, _ in EVENTS if u == v) for u in range(1, 9)])
    write(folder / "items.tsv", ["item\ttitle\tprice", *(f"{i}\tFilm {i}\t{i}.5" for i in range(1, ITEMS + 1))])
    return {"logs": folder, "text_cols": "title"}


def amazon(folder: Path) -> dict:
    reviews = [{"reviewerID": f"A{u}", "asin": str(i), "unixReviewTime": t, "overall": 5} for u, i, t in EVENTS]
    shelf = [{"asin": str(i), "title": f"Film {i}", "price": i + 0.5} for i in range(1, ITEMS + 1)]
    items = write(folder / "meta.json", [json.dumps(each) for each in shelf])
    return {"logs": write(folder / "reviews.json", [json.dumps(each) for each in reviews]), "items": items}


def mind(folder: Path) -> dict:
    rows = [
        f"{u}\tU{u}\t11/15/2019 8:55:22 AM\t{' '.join(f'N{i}' for v, i, _ in EVENTS if u == v)}\t" for u in range(1, 9)
    ]
    write(folder / "behaviors.tsv", rows)
    news = [f"N{i}\tsports\tgolf{i}\tTitle {i}\tAbout {i}\thttps://x\t[]\t[]" for i in range(1, ITEMS + 1)]
    write(folder / "news.tsv", news)
    return {"logs": folder}


@pytest.mark.parametrize(
    ("written", "columns", "kinds", "values"),
    [
        (movielens, ["genres"], {"genres": "texts"}, {"genres": ["Drama", "Comedy"]}),
        (recbole, ["price", "title"], {"price": "number", "title": "text"}, {"price": 3.5, "title": "Film 3"}),
        (sequences, ["price"], {"price": "number"}, {"price": 3.5}),
        (amazon, ["price"], {"price": "number"}, {"price": 3.5}),
        (mind, ["subcategory", "category"], {"subcategory": "text", "category": "text"},
         {"subcategory": "golf3", "category": "sports"}),
    ],
)  # fmt: skip
def test_formats_with_columns_of_items_keep_those_that_are_named(tmp_path, written, columns, kinds, values):
    given = written(tmp_path / "logs")
    logs = given.pop("logs")
    plain = ssna.prepare(logs, **given, **FEW)
    data = ssna.prepare(logs, attribute_cols=columns, **given, **FEW)
    assert data.fingerprint == plain.fingerprint
    found = Attributes.of(data.attributes, data.items.external)
    assert found.kinds == kinds
    row = data.items.rows(["N3" if written is mind else "3"])[0]
    assert found.values(int(row)) == values
    with pytest.raises(SsnaError, match="has no column 'prise'"):
        ssna.prepare(logs, attribute_cols="prise", **given, **FEW)


def test_a_format_without_columns_of_items_refuses_them(tmp_path):
    write(tmp_path / "a.train.inter", ["user_id:token\titem_id_list:token_seq\titem_id:token"])
    with pytest.raises(SsnaError, match="the format unisrec needs no attribute_cols; leave it out"):
        ssna.prepare(tmp_path, attribute_cols="price", **FEW)
