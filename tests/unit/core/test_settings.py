from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from ssna.core.errors import SettingsError
from ssna.core.settings import Settings, merge, read_toml
from ssna.runs.recipes import override
from ssna.training import RunSettings


class Inner(Settings):
    rate: float = Field(0.5, gt=0)
    names: tuple[str, ...] = ()
    kind: Literal["a", "b"] = "a"


class Outer(Settings):
    epochs: int = Field(3, ge=1)
    note: str | None = None
    inner: Inner = Inner()


def test_an_unknown_key_is_named_with_its_section_and_a_suggestion():
    with pytest.raises(SettingsError, match=r"unknown setting inner\.rat; did you mean inner\.rate\?"):
        Outer.parse({"inner": {"rat": 1}})


def test_an_unknown_key_like_no_other_gets_the_list_of_keys():
    with pytest.raises(SettingsError, match="unknown setting zzz; known here: epochs, inner, note"):
        Outer.parse({"zzz": 1})


def test_a_value_out_of_range_is_named_with_its_section():
    with pytest.raises(SettingsError, match=r"inner\.rate = -1.*it must be above 0"):
        Outer.parse({"inner": {"rate": -1}})


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"epochs": 0}, "settings: epochs = 0: it must be at least 1"),
        ({"epochs": "two"}, "settings: epochs = 'two': it must be a whole number"),
        ({"epochs": 1.5}, "settings: epochs = 1.5: it must be a whole number"),
        ({"inner": {"rate": "fast"}}, "settings: inner.rate = 'fast': it must be a number"),
        ({"inner": {"names": "x"}}, "settings: inner.names = 'x': it must be a list"),
        ({"inner": 5}, "settings: inner = 5: it must be a section"),
        ({"note": 6}, "settings: note = 6: it must be text"),
        ({"inner": {"kind": "c"}}, "settings: inner.kind = 'c': there are a, b"),
    ],
)
def test_what_a_value_must_be_is_said_in_short_words(tree, message):
    with pytest.raises(SettingsError) as caught:
        Outer.parse(tree)
    assert str(caught.value) == message


def test_a_wrong_choice_gets_the_choices_and_the_one_that_may_be_meant():
    with pytest.raises(SettingsError) as caught:
        RunSettings.parse({"method": {"name": "ids"}, "loss": {"name": "sample"}})
    listed = "there are in-batch, in-batch-logq, sampled, full; did you mean sampled?"
    assert str(caught.value) == f"settings: loss.name = 'sample': {listed}"


def test_a_key_that_is_missing_is_named_without_what_is_there():
    with pytest.raises(SettingsError) as caught:
        RunSettings.parse({"seed": 3})
    assert str(caught.value) == "settings: method is missing"


def test_the_source_of_a_wrong_setting_is_named():
    with pytest.raises(SettingsError, match=r"^mine\.toml: "):
        Outer.parse({"zzz": 1}, "mine.toml")


def test_several_wrong_settings_make_one_line():
    with pytest.raises(SettingsError) as caught:
        Outer.parse({"x": 1, "y": 1, "epochs": 0, "inner": 5, "note": 6})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["inf", "nan", "-inf"])
def test_numbers_must_be_finite(value):
    with pytest.raises(SettingsError, match=r"inner\.rate"):
        Outer.parse(override({}, [f"inner.rate={value}"]))


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Outer().epochs = 5


def test_settings_come_back_from_toml_as_they_were(tmp_path):
    settings = Outer(epochs=7, inner=Inner(rate=1e-3, names=("x", "y"), kind="b"))
    (tmp_path / "s.toml").write_text(settings.to_toml(), encoding="utf-8")
    assert Outer.parse(read_toml(tmp_path / "s.toml")) == settings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1e-3", 1e-3),
        ("true", True),
        ("plain", "plain"),
        ("two words", "two words"),
        ('"5"', "5"),
        ("in-batch", "in-batch"),
        ('["a", "b"]', ["a", "b"]),
        ("[1, 2]", [1, 2]),
        ("{ a = 1 }", {"a": 1}),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_an_assigned_value_is_toml_or_else_a_plain_string(text, value):
    assert override({}, [f"key={text}"]) == {"key": value}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_no_text_makes_an_assignment_fail(text):
    assert "key" in override({}, [f"key={text}"])


def test_an_assignment_goes_into_its_section_and_leaves_the_rest():
    assert override({"a": {"b": 1, "c": 2}}, ["a.b=5"]) == {"a": {"b": 5, "c": 2}}


def test_an_assignment_makes_the_section_it_needs():
    assert override({}, ["a.b.c=1"]) == {"a": {"b": {"c": 1}}}


def test_a_later_assignment_wins():
    assert override({}, ["a=1", "a=2"]) == {"a": 2}


def test_assignments_leave_the_tree_given_unchanged():
    tree = {"a": {"b": 1}}
    override(tree, ["a.b=2"])
    assert tree == {"a": {"b": 1}}


def test_a_tree_with_a_date_can_be_assigned_to(tmp_path):
    (tmp_path / "s.toml").write_text("when = 2024-01-01", encoding="utf-8")
    assert override(read_toml(tmp_path / "s.toml"), ["a=1"])["a"] == 1


@pytest.mark.parametrize("assignment", ["novalue", "=5", " = 5"])
def test_an_assignment_without_a_key_or_a_value_is_refused(assignment):
    with pytest.raises(SettingsError, match=r"write it as section\.key=value"):
        override({}, [assignment])


def test_an_assignment_below_a_value_is_refused():
    with pytest.raises(SettingsError, match="a is a value, not a section"):
        override({"a": 1}, ["a.b=2"])


def test_merging_replaces_leaves_and_keeps_the_others():
    assert merge({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}, "e": 4}) == {"a": {"b": 9, "c": 2}, "d": 3, "e": 4}


def test_a_missing_settings_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.toml does not exist; check the path"):
        read_toml(tmp_path / "absent.toml")


@pytest.mark.parametrize("content", [b"a = = 1", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_named(tmp_path, content):
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"bad\.toml is not a TOML file"):
        read_toml(tmp_path / "bad.toml")


def test_an_unknown_key_in_a_list_of_sections_gets_a_hint():
    from ssna.grid.spec import GridSpec

    tree = {"title": "t", "data": [{"name": "A", "folder": "a"}], "entries": [{"name": "e", "method": "m", "gird": {}}]}
    with pytest.raises(SettingsError, match=r"unknown setting entries\.0\.gird; did you mean entries\.0\.grid\?"):
        GridSpec.parse(tree)
