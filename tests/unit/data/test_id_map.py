import pytest

from ssna.core import joined
from ssna.core.errors import DataError
from ssna.data.id_map import IdMap

FIRST = IdMap(("a", "b", "1001"))


@pytest.fixture(params=[0, 100])
def wider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> IdMap:
    monkeypatch.setattr(joined, "MOST_BEHIND", request.param)
    return FIRST.extended(["c"]).extended(["d", "e"])


def test_more_ids_stand_behind_those_that_were_there(wider):
    assert list(wider.external) == ["a", "b", "1001", "c", "d", "e"]
    assert wider.rows(["e", "a", "x", "c"]).tolist() == [6, 1, 0, 4]
    assert wider.find([" d ", "1001.0", "x "]).tolist() == [5, 3, 0]
    assert (len(wider), "d" in wider, "x" in wider, wider.ids([5])) == (6, True, False, ["d"])
    assert (len(FIRST), "c" in FIRST) == (3, False)
    assert wider.rows_of(wider.column).tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("ids", [["a"], ["x", "x"], ["d"]])
def test_an_id_that_is_there_twice_is_refused(wider, ids):
    with pytest.raises(DataError, match="an id stands twice"):
        wider.extended(ids)


def test_an_empty_id_is_refused(wider):
    with pytest.raises(DataError, match="an id is empty"):
        wider.extended([""])


def test_a_row_gets_another_id_and_the_old_one_may_come_again(wider):
    renamed = wider.renamed({4: "gone", 6: "left"})
    assert renamed.rows(["c", "gone", "d", "e", "left"]).tolist() == [0, 4, 5, 0, 6]
    assert renamed.extended(["c"]).rows(["c", "gone"]).tolist() == [7, 4]
    assert wider.rows(["c", "gone"]).tolist() == [4, 0]
    assert wider.renamed({1: "z"}).rows(["a", "z", "e"]).tolist() == [0, 1, 6]
