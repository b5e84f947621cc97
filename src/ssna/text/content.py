"""Texts that say nothing of their item: there is nothing in them to rank it by."""

import re
from collections.abc import Sequence
from typing import Any

WORD = re.compile(r"\w+")
FUNCTION_WORDS = frozenset(
    WORD.findall(
        "a about after all also an and any are as at be been before being both but by can could did do does "
        "each for from had has have he her his how i if in into is it its just may me might more most must my "
        "no nor not of off on one only or other our out over own same she should so some such than that the "
        "their them then there these they this those to too under up upon us very was we were what when where "
        "which while who why will with would you your"
    )
)
"""Of English, which most language models here read best."""
MIN_TOKENS = 2
PREFIXES = "Ġ▁#"  # what tokenizers mark the beginning, or the inside, of a word with


def say_nothing(texts: Sequence[str], token_ids: Sequence[Sequence[int]], tokenizer: Any) -> list[bool]:
    """Of each text, whether all its words are function words, or it has fewer than two distinct tokens to go by.

    Those are tokens with a letter or a digit that ``tokenizer``, of transformers, knows.

    Args:
        token_ids: of each text.
    """
    special = set(tokenizer.all_special_ids)  # the unknown token among them
    distinct = sorted({token for ids in token_ids for token in ids} - special)
    strings = tokenizer.convert_ids_to_tokens(distinct)
    content = {
        token for token, string in zip(distinct, strings, strict=True) if any(map(str.isalnum, string.strip(PREFIXES)))
    }
    return [
        len(content.intersection(ids)) < MIN_TOKENS or FUNCTION_WORDS.issuperset(WORD.findall(text.casefold()))
        for text, ids in zip(texts, token_ids, strict=True)
    ]
