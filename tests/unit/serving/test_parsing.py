import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssna.serving.limits import LIMITS
from ssna.serving.parsing import parse, read_json
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import (
    PutItemsRequest,
    RecommendBatchRequest,
    RecommendRequest,
    RecommendRequestWithTexts,
    ReloadRequest,
)

MODELS = [RecommendRequestWithTexts, RecommendBatchRequest, PutItemsRequest, ReloadRequest]


def refused(body: bytes, model=RecommendRequestWithTexts) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(model, body)
    assert "\n" not in str(caught.value)
    return caught.value


def parsed_or_error(model, content: bytes):
    try:
        return parse(model, content)
    except RequestError as error:
        return error


def body(**changes) -> bytes:
    return json.dumps({"history": ["a"]} | changes).encode()


def test_a_request_is_read_with_its_defaults():
    asked = parse(RecommendRequestWithTexts, b'{"history": ["a", "\xc3\xbc"]}')
    assert asked == RecommendRequestWithTexts(
        history=["a", "ü"], k=10, exclude_seen=True, allow=None, deny=[], texts={}
    )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"history": ["a"]} x', "not_json"),
        (b'\xef\xbb\xbf{"history": []}', "not_json"),
        (b'{"history": [\xff]}', "not_utf8"),
        ('{"history": []}'.encode("utf-16"), "not_utf8"),
        (b'{"history": [], "k": NaN}', "not_json"),
        (b'{"history": [], "k": -Infinity}', "not_json"),
        (b'{"history": [], "k": ' + b"9" * 5_000 + b"}", "not_json"),
        (b'{"history": ["\\ud800"]}', "not_unicode"),
        (b'{"history": [], "\\uDFFF": 1}', "not_unicode"),
        (b'{"history": [], "history": ["a"]}', "duplicate_key"),
        (b'{"history": [], "texts": {"x": "a", "x": "b"}}', "duplicate_key"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a":' * 100_000, "too_deep"),
        (b"[" * 20 + b"]" * 20, "too_deep"),
        (b'{"history": [' + b"[" * 20 + b"]" * 20 + b"]}", "too_deep"),
    ],
)
def test_what_is_no_json_is_refused_with_its_reason(content, code):
    assert (refused(content).status, refused(content).code) == (400, code)


def test_a_pair_of_surrogates_is_one_character():
    assert parse(RecommendRequestWithTexts, b'{"history": ["\\ud83d\\ude00"]}').history == ["😀"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"history": "a"}, "history"),
        ({"history": [1]}, "history.0"),
        ({"history": [None]}, "history.0"),
        ({"history": [""]}, "history.0"),
        ({"history": ["a"] * (LIMITS.history + 1)}, str(LIMITS.history)),
        ({"history": ["a" * (LIMITS.id_length + 1)]}, str(LIMITS.id_length)),
        ({"k": 0}, "k"),
        ({"k": LIMITS.k + 1}, str(LIMITS.k)),
        ({"k": "3"}, "k"),
        ({"k": 2.5}, "k"),
        ({"k": 1e999}, "k"),
        ({"k": True}, "k"),
        ({"exclude_seen": "yes"}, "exclude_seen"),
        ({"allow": "a"}, "allow"),
        ({"deny": None}, "deny"),
        ({"deny": ["a"] * (LIMITS.listed_ids + 1)}, str(LIMITS.listed_ids)),
        ({"texts": {"x": ""}}, "texts.x"),
        ({"texts": {"x": " \n\t"}}, "texts.x"),
        ({"texts": {"x": "a" * (LIMITS.text_length + 1)}}, str(LIMITS.text_length)),
        ({"texts": {str(n): "a" for n in range(LIMITS.texts + 1)}}, str(LIMITS.texts)),
        ({"histroy": []}, "histroy"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_value_that_is_not_allowed_is_named_with_its_limit(changes, named):
    error = refused(json.dumps({"history": ["a"]} | changes).replace("Infinity", "1e999").encode())
    assert (error.status, error.code) == (422, "invalid")
    assert named in str(error)


@pytest.mark.parametrize("content", [b"null", b"[]", b'"history"', b"3", b"{}"])
def test_a_body_of_another_kind_is_refused(content):
    assert refused(content).status == 422


def test_an_error_shows_little_of_what_was_sent():
    assert len(str(refused(body(**{"x" * 5_000: 1})))) < 200


def test_a_batch_is_not_empty_and_not_larger_than_its_limit():
    def batch(count: int) -> bytes:
        return json.dumps({"requests": [{"history": []}] * count}).encode()

    assert len(parse(RecommendBatchRequest, batch(LIMITS.requests)).requests) == LIMITS.requests
    for count in (0, LIMITS.requests + 1):
        assert refused(batch(count), RecommendBatchRequest).status == 422


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(list(RecommendRequest.model_fields)), inner)
    ),
    max_leaves=20,
)


@given(content=st.binary() | json_values.map(lambda value: json.dumps(value).encode()), model=st.sampled_from(MODELS))
def test_any_bytes_are_a_request_or_refused_in_one_line(content, model):
    found = parsed_or_error(model, content)
    if isinstance(found, RequestError):
        assert found.status in (400, 422)
        assert "\n" not in str(found)
        str(found).encode()
    else:
        assert isinstance(found, model)


@given(value=json_values.filter(lambda value: "NaN" not in json.dumps(value) and "Infinity" not in json.dumps(value)))
def test_json_without_surprises_is_read_as_it_is(value):
    assert read_json(json.dumps(value).encode()) == value
