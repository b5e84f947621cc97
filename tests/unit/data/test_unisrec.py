import pytest
from data_files import SHARED, dropped, histories, texts

from ssna.core.errors import DataError
from ssna.data import prepare

pytestmark = pytest.mark.slow

HEADER = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
LONG = [str(k) for k in (0, 1, 2, 3, 4, 5, 1, 2, 0)]
SHORT = ["3", "4", "5"]
WINDOW = 4


def rows(user, history, latest_first):
    questions = [(history[:end][-WINDOW:], history[end]) for end in range(1, len(history))]
    lines = [f"{user}\t{' '.join(prefix)}\t{target}\n" for prefix, target in questions]
    train = lines[:-2]
    return train[::-1] if latest_first else train, lines[-2], lines[-1]


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "Shop")


def write(folder, latest_first=True):
    folder.mkdir()
    parts = [rows("7", LONG, latest_first), rows("10", SHORT, latest_first)]
    (folder / "Shop.train.inter").write_text(HEADER + "".join(line for train, _, _ in parts for line in train))
    (folder / "Shop.valid.inter").write_text(HEADER + "".join(valid for _, valid, _ in parts))
    (folder / "Shop.test.inter").write_text(HEADER + "".join(test for _, _, test in parts))
    (folder / "Shop.item2index").write_text("".join(f"B{k}\t{k}\n" for k in range(6)))
    lines = "".join(f"B{k}\tA {k} &amp; more. Tools. \n" for k in range(6))
    (folder / "Shop.text").write_text("item_id:token\ttext:token_seq\n" + lines)
    return folder


def edit(path, old, new):
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))


def test_whole_histories_come_back_from_sliding_windows(folder):
    data = prepare(folder, quiet=True)
    assert histories(data) == {"7": [f"B{k}" for k in LONG], "10": ["B3", "B4", "B5"]}


def test_rows_may_also_be_listed_oldest_first(folder, tmp_path):
    other = write(tmp_path / "other", latest_first=False)
    assert prepare(other, quiet=True).fingerprint == prepare(folder, quiet=True).fingerprint


def test_ids_and_texts_are_those_of_the_outside(folder):
    assert texts(prepare(folder, quiet=True))["B4"] == "A 4 & more. Tools."


def test_nothing_is_dropped_and_there_are_no_times(folder):
    data = prepare(folder, quiet=True)
    assert dropped(data) == {}
    assert data.histories.times is None
    assert data.manifest["rows_read"] == len(LONG) + len(SHORT)


def test_a_core_is_taken_where_it_is_asked_for(folder):
    with pytest.raises(DataError, match="no user is left"):
        prepare(folder, quiet=True, min_item=5)


@pytest.mark.parametrize("name", ["", "Shop", "Shop.train.inter"])
def test_the_folder_the_file_and_the_common_beginning_all_lead_there(folder, name):
    assert prepare(folder / name, quiet=True).manifest["source"]["format"] == "unisrec"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("Shop.train.inter", "7\t0 1\t2", "7\t0 2\t2"),
        ("Shop.train.inter", "7\t0 1\t2\n", ""),
        ("Shop.train.inter", "7\t1 2 3 4\t5", "7\t1 2 3 4\t0"),
        ("Shop.valid.inter", "7\t3 4 5 1\t2", "7\t4 5 1\t2"),
        ("Shop.test.inter", "7\t4 5 1 2\t0", "7\t4 5 1 3\t0"),
        ("Shop.test.inter", "10\t3 4\t5", "10\t4\t5"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(folder, file, old, new):
    edit(folder / file, old, new)
    with pytest.raises(DataError, match=r"the rows of user \d+ contradict each other"):
        prepare(folder, quiet=True)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("Shop.valid.inter", "10\t3\t4\n", "", "user 10 needs one row in valid.inter"),
        ("Shop.test.inter", "10\t3 4\t5\n", "10\t3 4\t5\n10\t3 4\t5\n", "user 10 needs one row"),
        ("Shop.item2index", "B5\t5\n", "", "does not name the item with index 5"),
        ("Shop.item2index", "B5\t5\n", "B5\t4\n", "stands twice"),
        ("Shop.item2index", "B5\t5\n", "B4\t5\n", "stands twice"),
        ("Shop.train.inter", "7\t0 1\t2", "7\t\t2", "line 6: there must be items before the target"),
        ("Shop.train.inter", "7\t0 1\t2", "7\t0 1 2", "line 6: 2 fields between tabs instead of 3"),
        ("Shop.train.inter", "user_id:token", "user:token", "first line must be user_id:token"),
        ("Shop.text", "item_id:token", "id:token", "first line must be item_id:token"),
    ],
)
def test_damage_is_named_with_its_place(folder, file, old, new, message):
    edit(folder / file, old, new)
    with pytest.raises(DataError, match=message):
        prepare(folder, quiet=True)


@pytest.mark.parametrize("suffix", [".valid.inter", ".test.inter", ".text", ".item2index"])
def test_a_missing_file_is_named(folder, suffix):
    (folder / f"Shop{suffix}").unlink()
    with pytest.raises(DataError, match=f"has no Shop{suffix}"):
        prepare(folder, quiet=True)


def test_files_that_are_not_utf8_are_refused(folder):
    (folder / "Shop.text").write_bytes(b"item_id:token\ttext:token_seq\nB0\tCaf\xe9\n")
    with pytest.raises(DataError, match=r"Shop.text is not UTF-8"):
        prepare(folder, quiet=True)


def test_columns_cannot_be_named(folder):
    with pytest.raises(DataError, match="unisrec needs no text_cols"):
        prepare(folder, quiet=True, text_cols="title")


@pytest.fixture(scope="module")
def scientific():
    if not (SHARED / "scientific").exists():
        pytest.skip("the shared data is not here")
    return prepare(SHARED / "scientific", quiet=True)


def test_scientific_has_the_counts_of_the_paper(scientific):
    counts = {key: scientific.manifest[key] for key in ("users", "items", "interactions", "interactions_used")}
    assert counts == {"users": 8_442, "items": 4_385, "interactions": 59_427, "interactions_used": 59_384}
    assert scientific.manifest["rows_read"] == 59_427
    assert texts(scientific)["B0000223UV"].startswith("Gorilla Original Gorilla Glue, Waterproof")
    assert "" not in scientific.texts[1:]


def test_the_views_of_scientific_are_the_rows_of_its_files(scientific):
    def lines(suffix):
        return [line.split("\t") for line in (SHARED / f"scientific/Scientific.{suffix}").read_text().splitlines()]

    ids = {index: item for item, index in lines("item2index")}
    for split in (scientific.valid, scientific.test):
        for user, prefix, target in lines(f"{split.name}.inter")[1:]:
            row = int(scientific.users.rows([user])[0]) - 1
            assert scientific.items.ids(split.histories[row]) == [ids[item] for item in prefix.split()]
            assert scientific.items.ids([split.targets[row]]) == [ids[target]]
