import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssna.data.sources.literals import as_json, is_literal, rewrite
from ssna.data.sources.packed import byte_lines

text = st.text(st.characters(codec="utf-8")) | st.sampled_from(
    ["'", '"', "'\"", "\\", "\\n", "None", "it's True", "\x85"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
dictionaries = st.dictionaries(text, values, min_size=1, max_size=5)


@given(dictionaries, st.booleans())
def test_what_python_writes_of_a_dictionary_is_read_as_the_same_values(dictionary, ascii_only):
    line = ascii(dictionary) if ascii_only else repr(dictionary)
    assert json.loads(as_json(line)) == dictionary


def test_strings_of_python_2_and_all_escapes_are_known():
    line = r"""{u'a': u'\u00e9\xe9\U0001F600', 'b': "it's \a\b\f\v\t\n\r\\ \' \" \101 \q"}"""
    assert json.loads(as_json(line)) == {"a": "éé😀", "b": "it's \a\b\f\v\t\n\r\\ ' \" A \\q"}


@pytest.mark.parametrize(
    "line", ["{'a': f()}", "{'a': 1 + 1}", "{'a': 'b' 'c'}", "{'a': b''}", "{'a': (1, 2)}", "{'a'"]
)
def test_what_is_more_than_a_literal_of_json_values_is_no_json(line):
    assert is_literal(line)
    with pytest.raises(json.JSONDecodeError):
        json.loads(as_json(line))


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")) | dictionaries, max_size=5))
def test_any_file_is_rewritten_line_by_line(lines):
    with TemporaryDirectory() as folder:
        path, target = Path(folder) / "a.json", Path(folder) / "b.jsonl.zst"
        path.write_bytes(b"".join((line if isinstance(line, bytes) else repr(line).encode()) + b"\n" for line in lines))
        rewrite(path, target)
        written = list(byte_lines(target))
    assert len(written) == len(lines)
    for line, found in zip(lines, written, strict=True):
        if isinstance(line, dict) and is_literal(repr(line)):
            assert json.loads(found) == line


def test_a_line_without_end_takes_bounded_memory_and_counts_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr("ssna.data.sources.packed.LONGEST_LINE", 64)
    monkeypatch.setattr("ssna.data.sources.literals.LONGEST_LINE", 64)
    (tmp_path / "a.json").write_text(f"{{'a': 1}}\n{{'a': '{'x' * 500}'}}\n{{'a': 2}}\n")
    rewrite(tmp_path / "a.json", tmp_path / "b.jsonl.zst")
    first, middle, last = byte_lines(tmp_path / "b.jsonl.zst")
    assert (json.loads(first), json.loads(last)) == ({"a": 1}, {"a": 2})
    with pytest.raises(json.JSONDecodeError):
        json.loads(middle)
