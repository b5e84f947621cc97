"""Tables of every kind: what their cells, rows and names become."""

import gzip
import json

import pyarrow as pa
import pytest
from data_files import (
    SHARED,
    dropped,
    histories,
    log_bytes,
    ready,
    square,
    texts,
    write_bytes,
    write_csv,
    write_json_lines,
    write_parquet,
)

from ssna.data.checks import described
from ssna.data.summary import everything, summary

pytestmark = pytest.mark.slow

ONLINE_RETAIL = SHARED / "online_retail" / "online_retail.parquet"


def test_the_five_lines_that_everyone_sees_first_work(tmp_path):
    rows = [(user, item, f"2024-01-{1 + step % 6:02}") for user, item, step, _ in square()]
    log = write_csv(tmp_path / "purchases.csv", rows, ("customer", "sku", "date"))
    shelf = [(f"i{k}", f"Pan {k}", "ACME &amp; Sons", "9.99") for k in range(9)]
    items = write_csv(tmp_path / "products.csv", shelf, ("sku", "title", "brand", "price"))
    data = ready(log, items=items, user_col="customer", item_col="sku", time_col="date", text_cols=["title", "brand"])
    assert texts(data)["i4"] == "Pan 4. ACME & Sons"
    assert data.items.external == tuple(f"i{k}" for k in range(6))
    columns = {"user": "customer", "item": "sku", "time": "date", "text": ["title", "brand"]}
    assert data.manifest["source"] == {
        "format": "table",
        "files": ["purchases.csv", "products.csv"],
        "columns": columns,
    }
    guessed = ready(log, items=items)
    assert guessed.manifest["source"]["columns"] == columns
    line = "columns   user customer, item sku, time date, text title + brand"
    assert line in summary(guessed.manifest)
    assert f"  {line}" in everything(described(guessed))


@pytest.mark.parametrize("name", ["log.tsv", "log.jsonl", "log.ndjson", "log.json", "log.parquet", "LOG.CSV"])
def test_every_kind_of_table_gives_the_same_data(tmp_path, expected, name):
    path = tmp_path / name
    if path.suffix == ".parquet":
        write_parquet(path, square())
    elif "j" in path.suffix:
        write_json_lines(path, square())
    else:
        write_csv(path, square(), delimiter="\t" if path.suffix == ".tsv" else ",")
    assert ready(path).fingerprint == expected


@pytest.mark.parametrize("name", ["log.csv.gz", "log.tsv.gz", "log.jsonl.gz"])
def test_compressed_tables_are_read_as_they_are(tmp_path, expected, name):
    plain = tmp_path / name.removesuffix(".gz")
    if plain.suffix == ".jsonl":
        write_json_lines(plain, square())
    else:
        write_csv(plain, square(), delimiter="\t" if plain.suffix == ".tsv" else ",")
    path = tmp_path / "packed" / name
    path.parent.mkdir()
    path.write_bytes(gzip.compress(plain.read_bytes()))
    assert ready(path).fingerprint == expected


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_the_delimiter_of_a_csv_is_the_one_in_its_header(tmp_path, expected, delimiter):
    assert ready(write_csv(tmp_path / "log.csv", square(), delimiter=delimiter)).fingerprint == expected


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path, expected):
    path = write_csv(tmp_path / "log.csv", square())
    assert b"\r\n" in path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert ready(path, user_col="user").fingerprint == expected
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
    assert ready(path).fingerprint == expected


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(tmp_path):
    rows = [(user, item, time, f'5" pan,\nlarge {item}\r\n') for user, item, time, _ in square()]
    assert texts(ready(write_csv(tmp_path / "log.csv", rows)))["i3"] == '5" pan, large i3'


def test_a_file_name_is_not_a_pattern(tmp_path, expected):
    write_csv(tmp_path / "x.csv", square(users=7))
    assert ready(write_csv(tmp_path / "[x].csv", square())).fingerprint == expected


def test_ids_keep_their_leading_zeros(tmp_path):
    rows = [(user.replace("u", "00"), item.replace("i", "0"), time, title) for user, item, time, title in square()]
    data = ready(write_csv(tmp_path / "log.csv", rows))
    assert data.users.external[1] == "001"
    assert data.items.external[1] == "01"
    assert ready(write_json_lines(tmp_path / "log.jsonl", rows)).fingerprint == data.fingerprint


def test_whole_numbers_as_ids_are_the_same_text_in_every_kind_of_file(tmp_path):
    big = 9_007_199_254_740_993  # the first whole number that floating point cannot hold
    rows = [(int(user[1:]) + big, int(item[1:]), time, title) for user, item, time, title in square()]
    prints = {
        ready(write_csv(tmp_path / "log.csv", rows)).fingerprint,
        ready(write_parquet(tmp_path / "log.parquet", rows)).fingerprint,
        ready(write_json_lines(tmp_path / "log.jsonl", rows)).fingerprint,
    }
    assert len(prints) == 1


def test_ids_that_gaps_turned_into_floating_point_are_whole_numbers_again(tmp_path):
    rows = [(float(user[1:]), item, time, title) for user, item, time, title in square()]
    rows.append((None, "i1", 1, "Title 1"))
    for data in (
        ready(write_parquet(tmp_path / "log.parquet", rows)),
        ready(write_json_lines(tmp_path / "log.jsonl", rows)),
    ):
        assert data.users.external == ("0", "1", "2", "3", "4", "5")
        assert dropped(data) == {"no_user": 1}


def test_strings_in_json_stay_what_they_are(tmp_path):
    names = ["2020-01-01", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "1.0", "true", "[1]", "null"]
    rows = [(user, names[int(item[1:])], time, f'{{"name": "{item}"}}') for user, item, time, _ in square()]
    data = ready(write_json_lines(tmp_path / "log.jsonl", rows))
    assert set(data.items.external) == set(names)
    assert texts(data)["null"] == '{"name": "i5"}'


def test_lists_of_texts_are_joined_in_json_and_in_parquet(tmp_path):
    rows = [(user, item, time, ["Toys", f"Game {item}"]) for user, item, time, _ in square()]
    for data in (
        ready(write_json_lines(tmp_path / "log.jsonl", rows)),
        ready(write_parquet(tmp_path / "log.parquet", rows)),
    ):
        assert texts(data)["i2"] == "Toys, Game i2"


def test_keys_that_come_late_in_json_lines_are_columns_too(tmp_path):
    path = write_json_lines(tmp_path / "log.jsonl", [row[:3] for row in square()], ("user", "item", "time"))
    with path.open("a") as file:
        file.writelines(json.dumps({"item": f"i{k}", "text.en": f"Late {k}"}) + "\n" for k in range(6))
    data = ready(path, text_cols="text.en")
    assert texts(data)["i5"] == "Late 5"
    assert dropped(data) == {"no_user": 6}


@pytest.mark.parametrize(
    "lines",
    [
        *("u1,i1\n", "u1,i1,1,t,more\n", 'u1,i1,1,"t" x\n', 'u1,i1,1,"open\n'),
        *('u1,i1,1,"t" x,more,"y" z\n', '"u1" x,"i1" y,1,t\n', '"u1" x,"i1" y,1,"t" z,m,m\n', 'u1,i1,1,"a\nb",more\n'),
    ],
)
def test_rows_of_a_csv_that_cannot_be_taken_apart_are_counted(tmp_path, expected, lines):
    path = write_csv(tmp_path / "log.csv", square())
    path.write_text(path.read_text() + lines)
    data = ready(path)
    assert dropped(data) == {"unreadable_row": 1}
    assert data.manifest["rows_read"] == 37
    assert data.fingerprint == expected


@pytest.mark.parametrize("line", ["not json", "[1, 2]", '"text"', "{"])
def test_lines_that_are_no_json_object_are_counted(tmp_path, expected, line):
    path = write_json_lines(tmp_path / "log.jsonl", square())
    path.write_text(path.read_text() + f"\n{line}\n")
    data = ready(path)
    assert dropped(data) == {"unreadable_row": 1}
    assert data.fingerprint == expected


@pytest.mark.skipif(not ONLINE_RETAIL.exists(), reason="the shared data is not here")
def test_online_retail_comes_out_clean():
    data = ready(
        ONLINE_RETAIL, user_col="CustomerID", item_col="Description", time_col="InvoiceDate", text_cols="Description"
    )
    assert data.manifest["rows_read"] == 541_909
    assert data.manifest["dropped"]["no_user"] == 135_080
    assert "17850" in data.users
    assert texts(data)["WHITE METAL LANTERN"] == "WHITE METAL LANTERN"
    events = histories(data)
    assert min(map(len, events.values())) >= 5


@pytest.mark.parametrize("name", ["log.csv.zst", "log.jsonl.zst"])
def test_tables_packed_by_zstd_are_read_as_they_are(tmp_path, expected, name):
    plain = tmp_path / name.removesuffix(".zst")
    (write_csv if plain.suffix == ".csv" else write_json_lines)(plain, square())
    with pa.CompressedOutputStream(str(tmp_path / name), "zstd") as file:
        file.write(plain.read_bytes())
    plain.unlink()
    assert ready(tmp_path / name).fingerprint == expected


def test_whole_numbers_that_a_csv_writes_with_a_fraction_are_whole_again(tmp_path):
    rows = [(f"{user[1:]}.0", item, time, title) for user, item, time, title in square()]
    data = ready(write_csv(tmp_path / "log.csv", [*rows, ("", "i1", 1, "")]))
    assert data.users.external == ("0", "1", "2", "3", "4", "5")


def test_a_user_whom_two_files_write_in_two_ways_is_one(tmp_path, expected):
    rows = list(square())
    (tmp_path / "months").mkdir()
    for month, ending in (("jan", ".0"), ("feb", "")):  # gaps in one of them, as pandas writes them
        part = rows[::2] if ending else rows[1::2]
        numbered = [(f"{user[1:]}{ending}", *rest) for user, *rest in part]
        write_csv(tmp_path / "months" / f"{month}.csv", [*numbered, *([("", "i1", 1, "")] if ending else [])])
    data = ready(tmp_path / "months")
    assert data.users.external == ("0", "1", "2", "3", "4", "5")
    assert len(data.histories.items) == len(rows)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
@pytest.mark.parametrize(("megabytes", "place"), [(3, 20), (40, 1), (40, 37)])
def test_a_giant_line_is_counted_whatever_its_size_and_place(tmp_path, expected, name, megabytes, place):
    lines = log_bytes(tmp_path).splitlines(keepends=True)
    lines.insert(place, b"u1,i1,1," + b"x" * (megabytes * 1_000_000) + b"\r\n")
    content = b"".join(lines)
    data = ready(write_bytes(tmp_path, name, gzip.compress(content, 1) if name.endswith(".gz") else content))
    assert (dropped(data), data.fingerprint) == ({"unreadable_row": 1}, expected)
