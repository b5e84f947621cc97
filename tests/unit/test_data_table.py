import gzip
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import SHARED, dropped, histories, square, texts, write_csv, write_json_lines, write_parquet

from ssna.core.errors import DataError, SettingsError
from ssna.data import prepare
from ssna.data.summary import described, everything, summary

ONLINE_RETAIL = SHARED / "online_retail" / "online_retail.parquet"


def ready(path, **options):
    return prepare(path, quiet=True, **options)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return ready(write_csv(tmp_path_factory.mktemp("good") / "log.csv", square())).fingerprint


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
    rows = [(user, names[int(item[1:])], time, f'["{item}"]') for user, item, time, _ in square()]
    data = ready(write_json_lines(tmp_path / "log.jsonl", rows))
    assert set(data.items.external) == set(names)
    assert texts(data)["null"] == '["i5"]'


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


@pytest.mark.parametrize("lines", ["u1,i1\n", "u1,i1,1,t,more\n", 'u1,i1,1,"t" x\n', 'u1,i1,1,"open\n'])
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


def test_usual_column_names_need_not_be_given(tmp_path, expected):
    path = write_csv(tmp_path / "log.csv", square(), ("Customer_ID", "productId", "Timestamp", "Title"))
    assert ready(path).fingerprint == expected


def test_without_named_text_columns_title_categories_and_brand_are_taken_in_this_order(tmp_path):
    rows = [(*row, "ACME", "9.99", "Pans") for row in square()]
    path = write_csv(tmp_path / "log.csv", rows, ("user", "item", "time", "title", "brand", "price", "categories"))
    assert texts(ready(path))["i0"] == "Title 0. Pans. ACME"


def test_named_text_columns_are_joined_in_the_order_named(tmp_path):
    path = write_csv(tmp_path / "log.csv", [(*row, "ACME") for row in square()], ("user", "item", "time", "t", "b"))
    assert texts(ready(path, text_cols=["b", "t"]))["i0"] == "ACME. Title 0"


def test_a_single_text_column_may_be_given_by_its_name_alone(tmp_path):
    path = write_csv(tmp_path / "log.csv", square(), ("user", "item", "time", "what it is"))
    assert texts(ready(path, text_cols="what it is"))["i0"] == "Title 0"


def test_no_text_columns_at_all_are_fine_where_the_id_is_the_text(tmp_path):
    path = write_csv(tmp_path / "log.csv", [row[:3] for row in square()], ("user", "item", "time"))
    assert texts(ready(path, missing_text="id"))["i0"] == "i0"


def test_items_that_nobody_took_are_not_in_the_catalogue(tmp_path):
    items = write_csv(tmp_path / "items.csv", [(f"i{k}", f"Title {k}") for k in range(50)], ("item", "title"))
    data = ready(write_csv(tmp_path / "log.csv", square()), items=items)
    assert data.items.external == tuple(f"i{k}" for k in range(6))


def bad(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def log_bytes(tmp_path):
    return write_csv(tmp_path / "good.csv", square()).read_bytes()


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path):
    path = write_csv(tmp_path / "log.csv", square())
    with pytest.raises(DataError, match=r"log.csv has no column 'usr'; did you mean 'user'\? It has: user, item, time"):
        ready(path, user_col="usr")
    with pytest.raises(DataError, match=r"no column 'zzz'; it has: user, item, time, title"):
        ready(path, text_cols=["title", "zzz"])


def test_a_column_that_cannot_be_guessed_is_asked_for(tmp_path):
    path = write_csv(tmp_path / "log.csv", square(), ("who", "item", "time", "title"))
    with pytest.raises(DataError, match=r"which column is the user\? .*user_col.*: who, item, time, title$"):
        ready(path)
    path = write_csv(tmp_path / "log.csv", square(), ("user", "item", "when", "title"))
    with pytest.raises(DataError, match=r"which column is the time\? .*time_col.*, title; .*format = 'sequences'"):
        ready(path)


def test_missing_text_columns_are_asked_for(tmp_path):
    path = write_csv(tmp_path / "log.csv", square(), ("user", "item", "time", "what"))
    with pytest.raises(DataError, match=r"no column of item text is known.*text_cols"):
        ready(path)


def test_the_item_column_must_be_in_the_items_file_too(tmp_path):
    items = write_csv(tmp_path / "items.csv", [("i1", "t")], ("id", "title"))
    with pytest.raises(DataError, match=r"items.csv has no column 'item'"):
        ready(write_csv(tmp_path / "log.csv", square()), items=items)


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere/log.csv"])
def test_a_missing_file_is_an_error_of_one_line(tmp_path, name):
    with pytest.raises(DataError, match=r"nowhere.* does not exist"):
        ready(tmp_path / name)
    with pytest.raises(DataError, match=r"there is no file .*nowhere"):
        ready(tmp_path / name, format="table")
    with pytest.raises(DataError, match=r"there is no file .*nowhere"):
        ready(write_csv(tmp_path / "log.csv", square()), items=tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", b"", "is empty"),
        ("log.jsonl", b"", "is empty"),
        ("log.csv", b"\nuser,item,time,title\n", "has no header"),
        ("log.csv", b"user,item,time,item\n", "two columns named 'item'"),
        ("log.csv", b"user,item,time,title\nJos\xe9,i1,1,t\n", r"not UTF-8.*: iconv -f latin1 .*log.csv > NEW.csv$"),
        (
            "log.csv.gz",
            gzip.compress(b"Jos\xe9,i1\n", mtime=0),
            r"not UTF-8.*: gzip -dc \S*log.csv.gz \| iconv .* > NEW.csv$",
        ),
        ("log.csv", b"\xff\xfeu\0s\0e\0r\0", r"UTF-16.*: iconv -f utf-16 -t utf-8 \S*log.csv > NEW.csv$"),
        ("log.jsonl", b"\xfe\xff\0{\0}", r"UTF-16.*: iconv -f utf-16 -t utf-8 \S*log.jsonl > NEW.jsonl$"),
        ("log.csv", gzip.compress(b"user,item,time,title\n", mtime=0), "binary.* let its name say so"),
        ("log.jsonl", b'{"user": "Jos\xe9"}\n', "not UTF-8"),
        ("log.jsonl", b'{"user": "a"}\n{"user": "Jos\xe9"}\n', "not UTF-8"),
        ("log.json", b'[{"user": "a", "item": "b"}]', "one object a line"),
        ("log.csv.gz", b"user,item,time,title\n", "cannot be read"),
        ("log.csv", b'user,item,time,title\nu,"i,1,t\nv,i,1,t\nw,"i",1,t\n', "line 2: a quote is opened"),
        ("log.csv", b"user,item,time,title\r\nu,i,1,t\nu,i,1,t\r\n", "CR LF.*LF"),
        ("log.parquet", b"PAR1 and no more", "cannot be read"),
        ("log.txt", b"user,item", r"none of the known formats.* ends in one of .csv, .tsv.*rename it.* to log.csv"),
        ("log", b"user,item", r"none of the known formats.*rename it.* to log.csv"),
        ("log.xlsx", b"PK", "is a spreadsheet; export it as CSV"),
        ("log.csv.zip", b"PK", "is packed as .zip; unpack it first"),
        ("log.tar.gz", b"\x1f\x8b", "is packed as .tar; unpack it first"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_a_remedy(tmp_path, name, content, message):
    path = bad(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        ready(path, user_col="user", item_col="user", time_col="user", text_cols="user")
    assert name in str(caught.value)
    assert str(caught.value).count("\n") <= 1
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["log.txt", "log.xlsx", "log.csv.zip"])
def test_what_is_no_table_is_told_the_same_remedy_wherever_it_is_given(tmp_path, name):
    path = bad(tmp_path, name, b"user,item")
    with pytest.raises(DataError) as found:
        ready(path)
    for given in ({"format": "table"}, {"items": path}):
        with pytest.raises(DataError) as caught:
            ready(path if "format" in given else write_csv(tmp_path / "good.csv", square()), **given)
        assert str(caught.value) == str(found.value)


def test_truncated_files_are_refused(tmp_path):
    whole = write_parquet(tmp_path / "whole.parquet", square()).read_bytes()
    packed = gzip.compress(log_bytes(tmp_path))
    for name, content in (("log.parquet", whole), ("log.csv.gz", packed)):
        with pytest.raises(DataError, match="cannot be read; is it whole"):
            ready(bad(tmp_path, name, content[: len(content) * 2 // 3]))


def test_a_parquet_file_whose_middle_is_damaged_is_refused(tmp_path):
    path = tmp_path / "log.parquet"
    pq.write_table(
        pa.table(dict(zip("abc", zip(*[(f"u{k}", k, 1) for k in range(9_000)], strict=True), strict=True))), path
    )
    content = bytearray(path.read_bytes())
    content[4:4000] = b"\xff" * 3996
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        ready(path, user_col="a", item_col="b", time_col="c", text_cols="a")


@pytest.mark.parametrize(
    "options",
    [{"format": "criteo"}, {"missing_text": "guess"}, {"min_user": -1}, {"min_item": -1}, {"max_history": 0}],
)
def test_arguments_out_of_range_are_refused_before_anything_is_read(tmp_path, options):
    with pytest.raises(SettingsError, match=next(iter(options))):
        ready(tmp_path / "nowhere.csv", **options)


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


@pytest.fixture
def parts(tmp_path):
    """One log in several files of several kinds, the folder of which holds what Spark leaves behind, too."""
    folder = tmp_path / "parts"
    (folder / "later").mkdir(parents=True)
    (folder / "_SUCCESS").touch()
    (folder / "._part.csv.crc").touch()
    write_csv(folder / "part-1.csv", square()[:10])
    write_parquet(folder / "part-2.parquet", square()[10:20])
    write_json_lines(folder / "later" / "part-3.jsonl", square()[20:])
    return folder


@pytest.mark.parametrize("pattern", ["", "**/*part-*"])
def test_a_folder_or_a_pattern_of_tables_is_one_log(parts, expected, pattern):
    data = ready(parts / pattern)
    assert data.fingerprint == expected
    assert data.manifest["rows_read"] == 36
    assert sorted(data.manifest["source"]["files"]) == ["part-1.csv", "part-2.parquet", "part-3.jsonl"]


def test_items_may_be_many_files_too(tmp_path, parts, expected):
    for k in range(6):
        write_csv(tmp_path / f"items-{k}.csv", [(f"i{k}", f"Title {k}")], ("item", "title"))
    assert ready(parts, items=tmp_path / "items-*.csv").fingerprint == expected


def test_rows_that_cannot_be_read_are_counted_over_all_files(parts, expected):
    (parts / "part-4.csv").write_text("user,item,time,title\nu1\nu2\n")
    with (parts / "later" / "part-3.jsonl").open("a") as file:
        file.write("no json\n")
    data = ready(parts)
    assert (dropped(data), data.fingerprint) == ({"unreadable_row": 3}, expected)


def test_a_file_among_many_that_lacks_a_column_is_named(parts):
    write_csv(parts / "part-5.csv", [("u1",)], ("user",))
    with pytest.raises(DataError, match=r"part-5.csv has no column 'item'"):
        ready(parts)


def test_a_folder_without_tables_is_none(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for format in ("auto", "table"):
        with pytest.raises(DataError, match=r"none of the known formats; .* ends in one of .csv, "):
            ready(tmp_path, format=format)
    (tmp_path / "logs.zip").touch()
    with pytest.raises(DataError, match=r"logs.zip is packed as .zip; unpack it first"):
        ready(tmp_path)


@pytest.mark.parametrize(("logs", "format"), [("data", "auto"), ("data", "table"), ("data/*", "auto"), ("", "auto")])
def test_a_data_set_is_no_log(tmp_path, logs, format):
    ready(write_csv(tmp_path / "log.csv", square()), out=tmp_path / "data")
    with pytest.raises(DataError, match=r"/data is a data set already.* --append NEWLOGS.* `ssna data describe DATA`"):
        ready(tmp_path / logs, format=format)


def test_a_log_may_be_called_manifest(tmp_path, expected):
    write_csv(tmp_path / "log.csv", square()[:30])
    write_json_lines(tmp_path / "manifest.json", square()[30:])
    assert ready(tmp_path).fingerprint == expected


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


@pytest.mark.parametrize("spelling", ["2024%02d%02d", "2024%02d%02d120000"])
def test_compact_dates_are_refused_and_not_taken_for_seconds(tmp_path, spelling):
    rows = [
        (user, item, spelling % (1 + place // 28, 1 + place % 28), title)
        for place, (user, item, _, title) in enumerate(square())
    ]
    with pytest.raises(DataError, match=r"times are numbers such as 2024.*write ISO dates"):
        ready(write_csv(tmp_path / "log.csv", rows))


@pytest.mark.parametrize("given", [{}, {"item_col": "artikel"}])
def test_the_items_own_file_may_call_them_otherwise(tmp_path, given):
    name = given.get("item_col", "Product ID")
    rows = "".join(f"{user},{item},{time}\n" for user, item, time, _ in square())
    (tmp_path / "log.csv").write_text(f"user,{name},time\n{rows}")
    (tmp_path / "items.csv").write_text("item,title\n" + "".join(f"i{k},Pan {k}\n" for k in range(6)))
    data = prepare(tmp_path / "log.csv", tmp_path / "items.csv", quiet=True, **given)
    assert data.texts[1] == "Pan 0"


def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path, monkeypatch):
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    write_csv(tmp_path / "logs" / "a.csv", square())
    look = os.scandir

    def denied(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"logs/deep may not be read"):
        ready(tmp_path / "logs")


def test_files_that_are_no_tables_are_told(tmp_path):
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    write_csv(tmp_path / "logs" / "a.csv", square())
    for name in ("b.txt", "deep/c.csv.bak", ".hidden", "_SUCCESS"):
        (tmp_path / "logs" / name).write_text("user,item\n")
    assert ready(tmp_path / "logs").manifest["source"]["passed_over"] == ["b.txt", "c.csv.bak"]


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
@pytest.mark.parametrize("megabytes", [3, 40])
@pytest.mark.parametrize("place", [1, 20, 37])
def test_a_giant_line_is_counted_whatever_its_size_and_place(tmp_path, expected, name, megabytes, place):
    lines = log_bytes(tmp_path).splitlines(keepends=True)
    lines.insert(place, b"u1,i1,1," + b"x" * (megabytes * 1_000_000) + b"\r\n")
    content = b"".join(lines)
    data = ready(bad(tmp_path, name, gzip.compress(content, 1) if name.endswith(".gz") else content))
    assert (dropped(data), data.fingerprint) == ({"unreadable_row": 1}, expected)
