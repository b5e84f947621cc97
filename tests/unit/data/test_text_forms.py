"""Tables of text in forms of all kinds: headers, delimiters, quotes, rows in order."""

import pytest
from data_files import histories, ready, square, write_csv, write_json_lines, write_parquet

from ssna.core.errors import DataError
from ssna.data import append, prepare

pytestmark = pytest.mark.slow

ROWS = [(user, item, 3, 1_700_000_000 + time) for user, item, time, _ in square()]


def headless(path, rows, delimiter=","):
    path.write_text("".join(delimiter.join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = write_csv(tmp_path_factory.mktemp("whole") / "log.csv", ROWS, ("user", "item", "rating", "time"))
    return ready(path, missing_text="id").fingerprint


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "::", " "])
@pytest.mark.parametrize("name", ["log.csv", "log.txt", "log.dat", "log.data"])
def test_a_table_without_a_header_is_found_out_with_its_delimiter(tmp_path, whole, name, delimiter):
    data = ready(headless(tmp_path / name, ROWS, delimiter), missing_text="id")
    assert (data.fingerprint, data.manifest["rows_read"]) == (whole, 36)


@pytest.mark.parametrize(
    ("order", "columns"),
    [((1, 3, 0), "item,time,user"), ((3, 0, 1), "time,user,item"), ((0, 1, 3), None), ((0, 1, 2, 3), None)],
)
def test_columns_without_a_header_are_guessed_or_named(tmp_path, whole, order, columns):
    path = headless(tmp_path / "log.csv", [[row[place] for place in order] for row in ROWS])
    named = {} if columns is None else {"header": columns.split(",")}
    assert ready(path, missing_text="id", **named).fingerprint == whole
    if columns is not None:
        with pytest.raises(DataError, match=r"has no header; name its columns, for example header = .*its first row: "):
            ready(path)


def test_a_header_of_another_length_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"header = .* names 2 columns, and \S*log.csv has 4: u0, i0, 3, 17"):
        ready(headless(tmp_path / "log.csv", ROWS), header=["user", "item"])


def test_a_header_with_numbers_is_one_where_options_name_its_columns(tmp_path):
    path = write_csv(tmp_path / "log.csv", square(), ("wer", "was", "2023", "title"))
    assert len(ready(path, user_col="wer", item_col="was", time_col="2023").users) == 6
    assert (
        len(ready(write_csv(path, square(), ("user", "item", "2023", "x")), time_col="2023", missing_text="id").users)
        == 6
    )


def test_quotes_are_letters_where_cells_between_tabs_open_with_one(tmp_path):
    rows = [(*row[:3], f'"{row[3]}') for row in square()]
    path = headless(tmp_path / "log.tsv", [("user", "item", "time", "title"), *rows], "\t")
    assert ready(path).texts[1] == '"Title 0'
    path = headless(tmp_path / "log.csv", [("user", "item", "time", "title"), *rows])
    with pytest.raises(DataError, match="a quote is opened"):
        ready(path)
    assert ready(path, quote="none").texts[1] == '"Title 0'


def unsorted():
    """Rows whose times are not in order, and neither are their ids."""
    return [(f"u{k % 6}", f"i{(7 * k + k // 6) % 6}", 100 - k, f"Title {(7 * k + k // 6) % 6}") for k in range(36)]


@pytest.mark.parametrize("write", [write_csv, write_json_lines, write_parquet])
def test_rows_stand_in_the_order_of_the_file_where_that_is_asked_for(tmp_path, write):
    kind = {"write_csv": "csv", "write_json_lines": "jsonl", "write_parquet": "parquet"}[write.__name__]
    data = ready(write(tmp_path / f"log.{kind}", unsorted()), order="rows", min_user=0, min_item=0)
    assert data.histories.times is None
    assert histories(data) == {f"u{u}": [row[1] for row in unsorted() if row[0] == f"u{u}"] for u in range(6)}


def test_rows_of_several_files_stand_in_the_order_of_their_names(tmp_path):
    rows, rules = unsorted(), {"order": "rows", "min_user": 0, "min_item": 0}
    whole_ = histories(ready(write_csv(tmp_path / "whole.csv", rows), **rules))
    (tmp_path / "parts").mkdir()
    write_csv(tmp_path / "parts" / "a.csv", rows[:20])
    write_parquet(tmp_path / "parts" / "b.parquet", rows[20:])
    assert histories(ready(tmp_path / "parts", **rules)) == whole_
    prepare(tmp_path / "parts" / "a.csv", out=tmp_path / "data", quiet=True, **rules)
    assert histories(append(tmp_path / "data", tmp_path / "parts" / "b.parquet", quiet=True)) == whole_


def test_where_no_column_says_when_the_remedy_is_named(tmp_path):
    path = headless(tmp_path / "log.txt", [row[:2] for row in ROWS], " ")
    path.write_text(path.read_text().replace("u", "").replace("i", ""))
    with pytest.raises(DataError, match=r"which column is the time.*give order = 'rows'"):
        ready(path)
    assert len(ready(path, order="rows", missing_text="id").users) == 6
