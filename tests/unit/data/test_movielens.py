"""MovieLens in its four shapes, in files of our own making."""

import pytest
from data_files import histories, square, texts, write_csv
from movielens_files import SHAPES, colons, smallest

from ssna.core.errors import DataError
from ssna.data import prepare

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("by", ["folder", "file"])
def test_every_size_is_recognised_and_gives_the_same_data(tmp_path, shape, by):
    file = SHAPES[shape](tmp_path)
    data = prepare(tmp_path if by == "folder" else tmp_path / file, quiet=True)
    assert data.manifest["source"]["format"] == "movielens"
    assert (data.manifest["rows_read"], data.manifest["interactions"]) == (36, 36)
    assert histories(data)["1"] == ["2", "3", "4", "5", "6", "1"]
    assert data.histories.times[0] == 880_001_000
    assert texts(data)["4"] == "Amélie: 4 (1994). Action, Children's"
    assert texts(data)["1"] == "Amélie: 1 (1991)"


def test_a_damaged_list_of_films_is_named_with_its_line(tmp_path):
    colons("latin-1")(tmp_path)
    (tmp_path / "movies.dat").write_text("1::One::Drama\n2::Two\n")
    with pytest.raises(DataError, match=r"movies.dat, line 2: 2 cells between '::' instead of 3"):
        prepare(tmp_path, quiet=True)


def test_a_missing_list_of_films_is_named(tmp_path):
    colons("latin-1")(tmp_path)
    (tmp_path / "movies.dat").unlink()
    with pytest.raises(DataError, match=r"ratings.dat beside movies.dat"):
        prepare(tmp_path, format="movielens", quiet=True)


def test_tables_of_the_same_names_with_other_columns_stay_tables(tmp_path):
    write_csv(tmp_path / "ratings.csv", square())
    write_csv(tmp_path / "movies.csv", [("i1", "One")], ("item", "title"))
    assert prepare(tmp_path / "ratings.csv", quiet=True).manifest["source"]["format"] == "table"


def test_columns_are_settled_by_the_format(tmp_path):
    smallest(tmp_path)
    with pytest.raises(DataError, match="movielens needs no user_col"):
        prepare(tmp_path, user_col="x", quiet=True)
