import pyarrow as pa
import pytest

from ssna.core import joined as module
from ssna.core.joined import Joined, joined


def test_both_parts_are_one_sequence():
    both = joined(("a", "b"), ["c"])
    assert (len(both), list(both), both[0], both[2], both[-1], both[-3]) == (3, ["a", "b", "c"], "a", "c", "c", "a")
    assert (both[1:], "c" in both, both == ("a", "b", "c"), both == ("a", "b")) == (("b", "c"), True, True, False)
    with pytest.raises(IndexError):
        both[3]
    with pytest.raises(IndexError):
        both[-4]


def test_the_first_part_is_not_copied_until_what_is_behind_it_is_much(monkeypatch):
    monkeypatch.setattr(module, "MOST_BEHIND", 3)
    first = ("a", "b")
    both = joined(joined(first, ["c"]), ["d", "e"])
    assert isinstance(both, Joined)
    assert both.first is first
    assert joined(both, ["f"]) == ("a", "b", "c", "d", "e", "f")
    assert not isinstance(joined(both, ["f"]), Joined)


def test_arrow_takes_it_for_a_list():
    assert pa.array(joined(("a",), ["b"]), pa.string()).to_pylist() == ["a", "b"]
