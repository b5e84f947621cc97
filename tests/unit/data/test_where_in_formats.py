"""A condition on rows holds in every format, and speaks of the columns that the format has."""

import pytest
from data_files import atomic, dropped, histories, ready, square
from movielens_files import ROWS, smallest

from ssna.core.errors import DataError

pytestmark = pytest.mark.slow

RULES = {"min_user": 0, "min_item": 0}


def recbole(at):
    rows = [(user, item, place % 5, time) for place, (user, item, time, _) in enumerate(square())]
    atomic(at / "shop.inter", rows, ("user_id:token", "item_id:token", "rating:float", "timestamp:float"))
    atomic(at / "shop.item", [(f"i{k}", f"Pan {k}") for k in range(6)], ("item_id:token", "title:token"))
    return "rating > 2 and user_id != u1"


def movielens(at):
    smallest(at)
    return "timestamp >= 880000003 and userId != 1"


def sequences(at):
    lines = {f"u{user}": [f"i{(user + step) % 6}" for step in range(6)] for user in range(6)}
    (at / "sequences.txt").write_text("".join(f"{user} {' '.join(items)}\n" for user, items in lines.items()))
    (at / "items.tsv").write_text("item\ttitle\n" + "".join(f"i{k}\tPan {k}\n" for k in range(6)))
    return "item in (i0, i1, i2) and user != u1"


def mind(at):
    lines = [f"{user}\tu{user}\t11/15/2019 8:55:22 AM\ti0 i3 i4\ti1-1 i2-1 i5-0\n" for user in range(6)]
    (at / "behaviors.tsv").write_text("".join(lines))
    (at / "news.tsv").write_text("".join(f"i{k}\tnews\tworld\tPan {k}\tA pan\t-\t[]\t[]\n" for k in range(6)))
    return "item in (i0, i1, i2) and user != u1"


def unisrec(at):
    header, parts = "user_id:token\titem_id_list:token_seq\titem_id:token\n", {"train": "", "valid": "", "test": ""}
    for user in range(6):
        history = [str((user + step) % 6) for step in range(6)]
        for end in range(1, 6):
            part = {4: "valid", 5: "test"}.get(end, "train")
            parts[part] += f"u{user}\t{' '.join(history[:end])}\t{history[end]}\n"
    for part, lines in parts.items():
        (at / f"Shop.{part}.inter").write_text(header + lines)
    (at / "Shop.item2index").write_text("".join(f"i{k}\t{k}\n" for k in range(6)))
    (at / "Shop.text").write_text("item_id:token\ttext:token_seq\n" + "".join(f"i{k}\tPan {k}\n" for k in range(6)))
    return "item in (i0, i1, i2) and user != u1"


@pytest.mark.parametrize("write", [sequences, mind, unisrec])
def test_where_rows_have_a_user_and_an_item_conditions_speak_of_these(tmp_path, write):
    data = ready(tmp_path, where=write(tmp_path), **RULES)
    assert set(histories(data)) == {f"u{k}" for k in (0, 2, 3, 4, 5)}
    assert all(set(items) == {"i0", "i1", "i2"} for items in histories(data).values())
    assert data.manifest["rows_read"] == 15 + dropped(data)["where"]
    with pytest.raises(DataError, match=r"has no column 'price'; it has: user, item"):
        ready(tmp_path, where="price > 5")


def test_recbole_has_the_fields_of_its_log(tmp_path):
    data = ready(tmp_path, where=recbole(tmp_path), **RULES)
    kept = {(user, item) for place, (user, item, *_) in enumerate(square()) if place % 5 > 2 and user != "u1"}
    assert data.manifest["dropped"]["where"] == 36 - len(kept)
    assert {(user, item) for user, items in histories(data).items() for item in items} <= kept
    assert ready(tmp_path, where="rating > 2", order="rows", **RULES).manifest["dropped"]["where"] == 22
    with pytest.raises(DataError, match=r"has no column 'ratings'; did you mean 'rating'"):
        ready(tmp_path, where="ratings > 5")


def test_movielens_has_its_four_columns(tmp_path):
    data = ready(tmp_path, where=movielens(tmp_path), **RULES)
    kept = {(user, item) for user, item, _, time in ROWS if time >= 880_000_003 and user != "1"}
    assert data.manifest["dropped"]["where"] == len(ROWS) - len(kept)
    assert {(user, item) for user, items in histories(data).items() for item in items} == kept
    with pytest.raises(DataError, match=r"has no column 'tag'; it has: userId, movieId, rating, timestamp"):
        ready(tmp_path, where="tag = good")
