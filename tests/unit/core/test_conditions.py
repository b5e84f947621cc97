"""The grammar of conditions: text, tree and meaning."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.conditions import COMPARISONS, Combination, Predicate, evaluate, from_tree, names, parse, tree

A, B = {"=": ["a", 1.0]}, {"=": ["b", 2.0]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event = purchase", {"=": ["event", "purchase"]}),
        ("event in (purchase, 'add to cart')", {"in": ["event", ["purchase", "add to cart"]]}),
        ("price>=5.5", {">=": ["price", 5.5]}),
        ("is_read != true", {"!=": ["is_read", True]}),
        ("`order state` not in (1,2)", {"not": {"in": ["order state", [1.0, 2.0]]}}),
        ("exists items[].item_id", {"exists": "items[].item_id"}),
        (
            "a = 1 or b = 2 and not c = 3",
            {"or": [{"=": ["a", 1.0]}, {"and": [{"=": ["b", 2.0]}, {"not": {"=": ["c", 3.0]}}]}]},
        ),
        ("(a = 1 OR b = 2) AND c < 3", {"and": [{"or": [{"=": ["a", 1.0]}, {"=": ["b", 2.0]}]}, {"<": ["c", 3.0]}]}),
        ('id = 7205759406317978123 and x = "5"', {"and": [{"=": ["id", "7205759406317978123"]}, {"=": ["x", "5"]}]}),
    ],
)
def test_a_text_says_a_tree_and_the_tree_leads_back(text, expected):
    assert tree(parse(text)) == expected
    assert from_tree(json.loads(json.dumps(expected))) == parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a name at the end"),
        ("event", "expected in or one of = != < <= > >= at the end"),
        ("event in purchase", r"expected '\(' before 'purchase'"),
        ("event in (purchase", r"expected '\)' at the end"),
        ("event in ()", r"expected a value before '\)'"),
        ("event = a b", "expected and, or, or the end before 'b'"),
        ("and = 5", "expected a name before 'and = 5'"),
        ("event = 'open", 'before "\'open"'),
        ("event == 5", "expected a value before '= 5'"),
        ("a = 1 and", "expected a name at the end"),
        ("(" * 50 + "a = 1" + ")" * 50, "at most 20 levels"),
        ("not " * 50 + "a = 1", "at most 20 levels"),
        ("a = " + "x" * 5_000, "at most 4,000 letters"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_place(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize(
    "value",
    [
        None, [], "a = 1", {}, {"and": [{"exists": "a"}]}, {"and": 5}, {"in": ["a", []]}, {"in": ["a", [[1]]]},
        {"=": ["a"]}, {"=": [5, 5]}, {"exists": 5}, {"like": ["a", "b"]}, {"exists": "a", "not": {}},
        {"=": ["a", float("nan")]},
    ],
)  # fmt: skip
def test_what_is_no_tree_is_refused(value):
    with pytest.raises(ValueError, match="condition"):
        from_tree(value)


def test_a_tree_without_end_is_refused():
    deep = {"exists": "a"}
    for _ in range(100_000):
        deep = {"not": deep}
    with pytest.raises(ValueError, match="at most 20 levels"):
        from_tree(deep)


names_ = st.sampled_from(["a", "b", "c d"])
values = st.one_of(st.booleans(), st.integers(-9, 9).map(float), st.sampled_from(["x", "y z"]))
tests = st.one_of(
    names_.map(lambda name: Predicate(name, "exists")),
    st.tuples(names_, st.sampled_from(COMPARISONS), values).map(lambda each: Predicate(each[0], each[1], (each[2],))),
    st.tuples(names_, st.lists(values, min_size=1, max_size=3)).map(
        lambda each: Predicate(each[0], "in", tuple(each[1]))
    ),
)
conditions = st.recursive(
    tests,
    lambda inner: st.one_of(
        inner.map(lambda each: Combination("not", (each,))),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)).map(
            lambda each: Combination(each[0], tuple(each[1]))
        ),
    ),
    max_leaves=8,
)


def written(condition):
    """A text that says ``condition``."""

    def value(literal):
        return f"'{literal}'" if isinstance(literal, str) else str(literal).lower()

    def test(each):
        if each.operator == "exists":
            return f"exists `{each.name}`"
        if each.operator == "in":
            return f"`{each.name}` in ({', '.join(map(value, each.values))})"
        return f"`{each.name}` {each.operator} {value(each.values[0])}"

    def combine(operator, parts):
        return f"not ({parts[0]})" if operator == "not" else f" {operator} ".join(f"({part})" for part in parts)

    return evaluate(condition, test, combine)


@given(conditions)
def test_text_and_tree_say_the_same_condition(condition):
    assert parse(written(condition)) == condition
    assert from_tree(tree(condition)) == condition
    assert set(names(condition)) <= {"a", "b", "c d"}
