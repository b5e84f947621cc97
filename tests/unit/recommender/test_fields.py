"""One rule for ids, whoever asks: Python, JSON lines, Parquet and HTTP."""

import io
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssna.batch.known import KnownHistories
from ssna.batch.lines import read_lines
from ssna.core.errors import SsnaError
from ssna.core.fields import ID_LENGTH, require_new
from ssna.data.dataset import IdMap
from ssna.recommender import Recommender
from ssna.serving.limits import LIMITS
from ssna.serving.parsing import parse
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import PutItemsRequest, RecommendRequest

CONTROL = "must not be blank, nor have line breaks or control characters in it"
FLAWED = {
    "": "must not be empty",
    " ": CONTROL,
    "\u3000\u00a0": CONTROL,
    "a\nb": CONTROL,
    "\n": CONTROL,
    "a\x00": CONTROL,
    "a\x7f": CONTROL,
    "a\x85b": CONTROL,
    "a\u2028b": CONTROL,
    "x" * (ID_LENGTH + 1): "must have at most 256 characters",
}
SURROGATE = "a\ud83d"
FINE = ["a", "a b", "ü/?#%&", "..", "😀", "a\u200bb", "x" * ID_LENGTH, "\u202ea"]
BLANKS_AROUND = [" a", "a ", "\u00a0a", "a\n", "\ta\r\n"]


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def in_line(item: str) -> str | None:
    (line,) = read_lines(io.BytesIO(body({"history": [item]})), "it")
    return line.error.message if line.error else None


def in_parquet(item: str) -> str | None:
    return KnownHistories.of(IdMap(("k",)), pa.array([1]), pa.array([[item]])).errors[0]


def in_request(item: str) -> str | None:
    try:
        parse(RecommendRequest, body({"history": [item]}))
    except RequestError as refused:
        return str(refused)
    return None


def in_put(item: str) -> str | None:
    try:
        parse(PutItemsRequest, body({"items": [{"item": item, "text": "text"}]}))
    except RequestError as refused:
        return str(refused)
    return None


@pytest.mark.parametrize("item", FLAWED, ids=ascii)
def test_what_is_no_id_is_refused_everywhere_with_the_same_words(fixed, item):
    for found in (in_line(item), in_parquet(item), in_request(item)):
        assert found == f"history.0: {FLAWED[item]}"
    for ask in (
        {"histories": [["a", item]]},
        {"histories": [["a"]], "allow": [item]},
        {"histories": [], "deny": [item]},
    ):
        with pytest.raises(SsnaError, match=FLAWED[item]) as error:
            fixed.recommend(**ask)
        assert "\n" not in str(error.value)
    with pytest.raises(SsnaError, match=r"item id .* must"):
        require_new([(item, "text")])
    assert in_put(item).startswith("items.0.item: must")


def test_half_of_a_surrogate_pair_is_refused_everywhere(fixed):
    assert "half of a surrogate pair" in in_line(SURROGATE)
    assert "half of a surrogate pair" in in_request(SURROGATE)
    for ask in (lambda: fixed.recommend([[SURROGATE]]), lambda: require_new([(SURROGATE, "a")])):
        with pytest.raises(SsnaError, match="holds half of a surrogate pair"):
            ask()
    with pytest.raises(SsnaError, match="the text of item 'a' holds half of a surrogate pair"):
        require_new([("a", SURROGATE)])


@pytest.mark.parametrize("item", FINE, ids=ascii)
def test_what_is_an_id_is_taken_everywhere(fixed, item):
    assert (in_line(item), in_parquet(item), in_request(item), in_put(item)) == (None,) * 4
    fixed.recommend([[item]], allow=[item], deny=[item])
    require_new([(item, "text")])


@pytest.mark.parametrize("item", BLANKS_AROUND, ids=ascii)
def test_blanks_around_an_id_may_be_asked_for_and_not_be_added(fixed, item):
    assert (in_line(item), in_parquet(item), in_request(item)) == (None,) * 3
    fixed.recommend([[item]])
    assert "must have no blanks around it" in in_put(item)
    with pytest.raises(SsnaError, match="must have no blanks around it"):
        require_new([(item, "text")])


def test_an_id_that_the_catalogue_has_is_taken_whatever_is_in_it(fixed):
    odd = replace(fixed, items=IdMap(("a\nb", "b", "x" * 300, "d", "e")))
    assert odd.recommend([["a\nb", "x" * 300]], deny=["a\nb"])[0].unknown == ()
    found = KnownHistories.of(odd.items, pa.array([1]), pa.array([["a\nb", "x" * 300]]))
    assert (found.known[0].tolist(), found.errors) == ([1, 3], (None,))


def test_the_service_has_the_same_length_of_an_id():
    assert LIMITS.id_length == ID_LENGTH


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(item=st.text(st.characters(), max_size=5), text=st.text(st.characters(), max_size=5))
def test_what_may_be_added_can_be_saved_and_asked_for(fixed, new_name, item, text):
    try:
        require_new([(item, text)])
    except SsnaError as error:
        str(error).encode()
        return
    if item in fixed.items:
        return
    wider = replace(
        fixed,
        scorer=fixed.scorer.add_items(torch.zeros(1, 1, 1)),
        items=IdMap((*fixed.items.external, item)),
        texts=(*fixed.texts, text),
        counts=np.pad(fixed.counts, (0, 1)),
    )
    wider.save(folder := new_name())
    found = Recommender.load(folder)
    assert (found.items.external[-1], found.texts[-1]) == (item, text)
    assert found.recommend([[item]])[0].unknown == ()
    assert (in_line(item), in_request(item)) == (None, None)
