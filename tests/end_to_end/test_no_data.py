"""What stands in the place of data is named for what it is, in logs and items, and in those that are appended."""

import gzip
import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ssna
from data_files import square, write_csv

from ssna.data import load

pytestmark = pytest.mark.slow


def archive():
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr("inner.csv", "user,item\n")
        return file.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head></html>\n"
KINDS = {
    "pointer": (POINTER, "is a pointer of Git LFS in the place of the file; fetch the file itself: git lfs pull"),
    "page": (PAGE, "is a page of HTML in the place of data, perhaps an error; download it again"),
    "zip": (archive(), "is packed as zip, or a spreadsheet, by another name; unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "is packed as 7z"),
    "bz2": (b"BZh91AY" + bytes(100), "is packed as bz2"),
    "packed page": (gzip.compress(PAGE), "is a page of HTML in the place of data"),
    "empty": (b"", "is empty; give a file with a header and rows"),
}
NAMES = ("x.csv", "x.tsv", "x.txt", "x.jsonl", "x.json", "x.parquet")


@pytest.fixture
def folder(tmp_path):
    write_csv(tmp_path / "log.csv", [row[:3] for row in square()], ("user", "item", "time"))
    write_csv(tmp_path / "items.csv", [(f"i{k}", f"Title {k}") for k in range(6)], ("item", "title"))
    return tmp_path


def refused(capfd, *words):
    assert ssna("prepare", *words) == 1
    said = capfd.readouterr().err.strip()
    assert said.startswith("ssna: ")
    assert said.count("\n") <= 1
    return said


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_data_is_named_in_logs_and_in_items(folder, capfd, kind, name):
    content, message = KINDS[kind]
    bad = folder / (f"{name}.gz" if kind == "packed page" else name)
    bad.write_bytes(content)
    before = sorted(folder.iterdir())
    for words in ([bad], [folder / "log.csv", "--items", bad], [bad, "--items", folder / "items.csv"]):
        said = refused(capfd, *words, "-o", folder / "data", "--quiet")
        assert str(bad) in said
        assert message in said
        assert sorted(folder.iterdir()) == before


def test_what_is_no_data_is_named_in_what_is_appended_and_the_data_stays(folder, capfd):
    data = folder / "data"
    assert ssna("prepare", folder / "log.csv", "--items", folder / "items.csv", "-o", data, "--quiet") == 0
    capfd.readouterr()
    fingerprint = load(data).fingerprint
    for kind in ("pointer", "page", "zip"):
        content, message = KINDS[kind]
        bad = folder / "bad.csv"
        bad.write_bytes(content)
        before = sorted(folder.rglob("*"))
        for words in ([data, "--append", bad], [data, "--append", folder / "log.csv", "--items", bad]):
            said = refused(capfd, *words, "-o", data, "--quiet")
            assert message in said
            assert sorted(folder.rglob("*")) == before
            assert load(data).fingerprint == fingerprint


@pytest.mark.parametrize(
    ("files", "bad"),
    [
        (("a.csv", "b.csv"), "b.csv"),
        (("a.parquet", "b.parquet"), "a.parquet"),
        (("a.parquet", "b.parquet"), "b.parquet"),
        (("ratings.dat", "movies.dat"), "ratings.dat"),
        (("ratings.dat", "movies.dat"), "movies.dat"),
        (("u.data", "u.item", "u.genre"), "u.item"),
        (("behaviors.tsv", "news.tsv"), "news.tsv"),
        (("sequences.txt", "items.tsv"), "sequences.txt"),
        (("sequences.txt", "items.tsv"), "items.tsv"),
        (("shop.inter", "shop.item"), "shop.inter"),
        (("shop.inter", "shop.item"), "shop.item"),
        (("Shop.train.inter", "Shop.valid.inter", "Shop.test.inter", "Shop.text", "Shop.item2index"), "Shop.text"),
    ],
)
def test_a_pointer_among_the_files_of_a_folder_is_named(tmp_path, capfd, files, bad):
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in files:
        (folder / name).write_bytes(POINTER if name == bad else _good(name))
    said = refused(capfd, folder, "-o", tmp_path / "data", "--quiet")
    assert f"{bad} is a pointer of Git LFS" in said
    assert not (tmp_path / "data").exists()


def _good(name):
    users = range(6)
    if name.endswith(".parquet"):
        sink = pa.BufferOutputStream()
        columns = zip(("user", "item", "time", "title"), map(list, zip(*square(), strict=True)), strict=True)
        pq.write_table(pa.table(dict(columns)), sink)
        return sink.getvalue().to_pybytes()
    lines = {
        "a.csv": ["user,item,time,title", *(",".join(map(str, row)) for row in square())],
        "ratings.dat": [f"{row[0][1:]}::{row[1][1:]}::4::{row[2]}" for row in square()],
        "movies.dat": [f"{k}::Film {k} (1990)::Drama" for k in users],
        "u.data": ["\t".join((row[0][1:], row[1][1:], "4", str(row[2]))) for row in square()],
        "u.genre": ["unknown|0", "Drama|1"],
        "behaviors.tsv": [f"{k}\tu{k}\t11/15/2019 8:55:22 AM\ti0 i3 i4\ti1-1" for k in users],
        "sequences.txt": [f"u{k} i0 i1 i2 i3" for k in users],
        "items.tsv": ["item\ttitle", *(f"i{k}\tPan {k}" for k in users)],
        "shop.inter": [
            "user_id:token\titem_id:token\ttimestamp:float",
            *("\t".join(map(str, r[:3])) for r in square()),
        ],
        "shop.item": ["item_id:token\ttitle:token", *(f"i{k}\tPan {k}" for k in users)],
        "Shop.train.inter": ["user_id:token\titem_id_list:token_seq\titem_id:token", "u\t0\t1", "u\t0 1\t2"],
        "Shop.valid.inter": ["user_id:token\titem_id_list:token_seq\titem_id:token", "u\t0 1 2\t3"],
        "Shop.test.inter": ["user_id:token\titem_id_list:token_seq\titem_id:token", "u\t0 1 2 3\t4"],
        "Shop.item2index": [f"i{k}\t{k}" for k in users],
    }
    return "".join(f"{line}\n" for line in lines.get(name, ())).encode()
