import pytest
from data_files import SHARED, dropped, histories, texts

from ssna.core.errors import DataError
from ssna.data import prepare

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sequences.txt").write_text("b 3 1 2\na 1 1 2 3\n\nshort 1 2\n")
    (tmp_path / "items.tsv").write_text(
        'item\ttitle\textra\n1\t"One" &amp; only\tToys > Games\n2\tTwo\t\n3\tThree\tToys\n4\tFour\t\n'
    )
    return tmp_path


def test_events_stay_in_the_order_of_the_line(folder):
    data = prepare(folder, quiet=True)
    assert histories(data) == {"a": ["1", "1", "2", "3"], "b": ["3", "1", "2"]}
    assert data.histories.times is None


def test_the_order_of_the_lines_does_not_matter(folder):
    before = prepare(folder, quiet=True).fingerprint
    path = folder / "sequences.txt"
    path.write_text("\r\n".join(path.read_text().splitlines()[::-1]))
    assert prepare(folder, quiet=True).fingerprint == before


def test_all_columns_but_the_ids_are_text(folder):
    data = prepare(folder, quiet=True)
    assert texts(data) == {"1": '"One" & only. Toys > Games', "2": "Two", "3": "Three. Toys"}


def test_an_asin_is_no_text_unless_it_is_asked_for(folder):
    path = folder / "items.tsv"
    path.write_text(path.read_text().replace("extra", "asin"))
    assert texts(prepare(folder, quiet=True))["3"] == "Three"
    assert texts(prepare(folder, quiet=True, text_cols=["asin", "title"]))["3"] == "Toys. Three"


def test_there_is_no_core_but_three_events_are_needed(folder):
    assert dropped(prepare(folder, quiet=True)) == {"short_history": 2}


def test_events_of_items_that_are_not_listed_are_dropped(folder):
    path = folder / "sequences.txt"
    path.write_text(path.read_text() + "c 1 9 2 3\n")
    data = prepare(folder, quiet=True)
    assert histories(data)["c"] == ["1", "2", "3"]
    assert dropped(data) == {"no_text": 1, "short_history": 2}


def test_a_user_on_two_lines_is_an_error(folder):
    path = folder / "sequences.txt"
    path.write_text(path.read_text() + "a 1 2 3\n")
    with pytest.raises(DataError, match="user a stands on lines 2 and 5"):
        prepare(folder, quiet=True)


def test_the_file_itself_leads_there_too(folder):
    source = prepare(folder / "sequences.txt", quiet=True).manifest["source"]
    assert (source["format"], source["files"]) == ("sequences", ["sequences.txt", "items.tsv"])
    assert source["columns"] == {"text": ["title", "extra"]}


def test_missing_items_are_an_error(folder):
    (folder / "items.tsv").unlink()
    with pytest.raises(DataError, match=r"items' own file \(items\), or let the id serve as text"):
        prepare(folder, quiet=True)


def test_an_empty_file_holds_no_events(folder):
    (folder / "sequences.txt").write_text("\n")
    with pytest.raises(DataError, match="holds no events"):
        prepare(folder, quiet=True)


@pytest.mark.skipif(not (SHARED / "pantry").exists(), reason="the shared data is not here")
def test_pantry_has_its_counts_and_readable_titles():
    data = prepare(SHARED / "pantry", quiet=True)
    assert (len(data.users), len(data.items), len(data.histories.items)) == (12_882, 4_769, 123_050)
    assert texts(data)["5"].endswith("Safflower & Olive Oils Value Size 150 Ct")
