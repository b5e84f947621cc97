"""Tables that cannot be used, and what the message says."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import atomic, log_bytes, ready, square, write_bytes, write_csv, write_parquet

from ssna.core.errors import DataError, SettingsError


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere/log.csv"])
def test_a_missing_file_is_an_error_of_one_line(tmp_path, name):
    with pytest.raises(DataError, match=r"nowhere\S* does not exist; check the path$"):
        ready(tmp_path / name)
    with pytest.raises(DataError, match=r"nowhere\S* does not exist; check the path$"):
        ready(tmp_path / name, format="table")
    with pytest.raises(DataError, match=r"nowhere\S* does not exist; check the path$"):
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
        ("log.doc", b"user,item", r"none of the known formats.* ends in one of .csv, .tsv.*rename it.* to log.csv"),
        ("log", b"user,item", r"none of the known formats.*rename it.* to log.csv"),
        ("log.xlsx", b"PK", "is a spreadsheet; export it as CSV"),
        ("log.csv.zip", b"PK", "is packed as .zip; unpack it first"),
        ("log.tar.gz", b"\x1f\x8b", "is packed as .tar; unpack it first"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_a_remedy(tmp_path, name, content, message):
    path = write_bytes(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        ready(path, user_col="user", item_col="user", time_col="user", text_cols="user")
    assert name in str(caught.value)
    assert str(caught.value).count("\n") <= 1
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["log.doc", "log.xlsx", "log.csv.zip"])
def test_what_is_no_table_is_told_the_same_remedy_wherever_it_is_given(tmp_path, name):
    path = write_bytes(tmp_path, name, b"user,item")
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
            ready(write_bytes(tmp_path, name, content[: len(content) * 2 // 3]))


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


@pytest.mark.parametrize("spelling", ["2024%02d%02d", "2024%02d%02d120000"])
def test_compact_dates_are_refused_and_not_taken_for_seconds_where_a_format_says_what_times_are(tmp_path, spelling):
    rows = [
        (user, item, spelling % (1 + place // 28, 1 + place % 28)) for place, (user, item, _, _) in enumerate(square())
    ]
    atomic(tmp_path / "log.inter", rows, ("user_id:token", "item_id:token", "timestamp:float"))
    atomic(tmp_path / "log.item", [(f"i{k}", "Pan") for k in range(6)], ("item_id:token", "title:token_seq"))
    with pytest.raises(DataError, match=r"times are numbers such as 2024.*write ISO dates"):
        ready(tmp_path / "log.inter")
