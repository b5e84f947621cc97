"""Item texts: the parts of a row cleaned and joined, and one text an item."""

import html
import json
import re
from collections.abc import Iterable, Iterator

import pyarrow as pa

from ssna.data.sources.literals import as_json

_NO_TEXT = ("[]", "{}", "nan", "null", "n/a", "#n/a", "<na>", "\\n")
_LONGEST_LIST = 100_000  # letters
# Known names alone, so that "a < b", "<3" and "<Unknown>" stay. A block stands apart from what is beside it.
_BLOCKS = (
    "address|article|aside|blockquote|body|br|caption|center|dd|div|dl|dt|fieldset|figcaption|figure|footer|form|"
    "h[1-6]|head|header|hr|html|iframe|img|input|li|main|meta|nav|ol|option|p|pre|script|section|select|style|table|tbody|td|"
    "textarea|tfoot|th|thead|tr|ul|video"
)
_INLINES = "a|abbr|b|big|button|cite|code|del|em|font|i|ins|label|mark|q|s|small|span|strike|strong|sub|sup|tt|u|wbr"
_AFTER = r"(?:\s[^<>]*)?/?>"
_BLOCK = re.compile(rf"</?(?:{_BLOCKS}){_AFTER}", re.IGNORECASE)
_INLINE = re.compile(rf"</?(?:{_INLINES}){_AFTER}", re.IGNORECASE)

TEXT_RULE = (
    "the parts of a row are joined with '. ' after HTML tags and entities are undone, lists are joined with ', ', and "
    "white space is collapsed; [], nan, null and N/A are no text; "
    "of several rows the longest text counts, of equally long ones the alphabetically first"
)


def joined_rows(parts: pa.Table | pa.RecordBatch) -> Iterator[tuple[str, str]]:
    """Id and text of every row; the text may be empty. ``parts``: the id, then a column for each part, in order."""
    ids, *columns = (column.to_pylist() for column in parts.columns)
    for item, *values in zip(ids, *columns, strict=True):
        yield item, joined(values)


def longest(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One text an item; items without text are left out. Rows may come in any order, and one part after the other."""
    texts: dict[str, str] = {}
    for item, text in rows:
        known = texts.get(item, "")
        if text and (not known or (-len(text), text) < (-len(known), known)):
            texts[item] = text
    return texts


def joined(parts: Iterable[str | None]) -> str:
    """The parts that are there, cleaned, with ``". "`` between them."""
    return ". ".join(part for part in map(_clean, parts) if part)


def _clean(part: str | None) -> str:
    if not part:
        return ""
    text = html.unescape(part)
    if "<" in text:
        text = _INLINE.sub("", _BLOCK.sub(" ", _without_comments(text) if "<!--" in text else text))
    text = " ".join(text.split())
    if text[:1] == "[" and text[-1] == "]":
        text = _joined_list(text)
    return "" if text.lower() in _NO_TEXT else text


def _joined_list(text: str) -> str:
    """The elements of a list, as JSON or Python writes one, if they are texts and numbers; anything else as it is."""
    if len(text) > _LONGEST_LIST:
        return text
    try:
        found = json.loads(as_json(text) if "'" in text else text)
    except (ValueError, RecursionError):
        return text
    if any(isinstance(each, list | dict) for each in found):
        return text
    elements = (" ".join(str(each).split()) for each in found if each is not None)
    return ", ".join(element for element in elements if element)


def _without_comments(text: str) -> str:
    first, *others = text.split("<!--")
    rest = (other.partition("-->")[2] if "-->" in other else f"<!--{other}" for other in others)
    return " ".join((first, *rest))
