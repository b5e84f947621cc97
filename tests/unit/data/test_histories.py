"""Files that hold whole histories."""

import json

import pytest
from data_files import histories, ready, write_csv

from ssna.core.errors import DataError
from ssna.data.sources.histories import is_file_of_lines, is_keyed

LINES = {"1": ["7", "8", "9", "7"], "2": ["9", "8", "7"], "3": ["8", "9", "7"]}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("log.txt", "1 7 8 9\n2 9 8\n", True),
        ("log.txt", "1 7 8 9\n2 9 8 7\n3 8 9 7\n", True),
        ("log.csv", "1 7 8 9\n2 9 8\n", True),
        ("log.tsv", "1\t7 8 9\n2\t9 8\n", True),
        ("log.txt", "1 7 5 1700000000\n2 7 4 1700000001\n1 8 3 1700000002\n", False),
        ("log.txt", "1 7\n1 8\n2 7\n", False),
        ("log.txt", "user item time\n1 7 5\n", False),
        ("log.csv", "1,7,8,9\n2,9,8\n", False),
        ("log.tsv", "item\ttitle\n7\tA pan\n", False),
        ("log.tsv", "1\t7\t5\n2\t9\t5\n", False),
        ("log.txt", "", False),
        ("log.jsonl", "1 7 8 9\n2 9 8\n", False),
    ],
)
def test_a_history_a_line_is_told_from_a_table(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    assert is_file_of_lines(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"1": [7, 8], "2": [9]}', True),
        ('{\n "1": [\n  7\n ],\n "2": [9]\n}', True),
        ('{"1": [7]}\n{"2": [8]}\n', False),
        ('{"items": [7], "user": 1}', False),
        ('{"1": {"a": [7]}}', False),
        ('[{"1": [7]}]', False),
    ],
)
def test_an_object_of_lists_is_told_from_json_lines(tmp_path, content, expected):
    (tmp_path / "log.json").write_text(content)
    assert is_keyed(tmp_path / "log.json") == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["log.txt", "log.tsv", "log.json"])
def test_every_form_gives_the_same_histories_with_any_file_of_items(tmp_path, name):
    contents = {
        "log.txt": "".join(f"{user} {' '.join(items)}\n" for user, items in LINES.items()),
        "log.tsv": "".join(f"{user}\t{' '.join(items)}\n" for user, items in LINES.items()),
        "log.json": json.dumps({user: list(map(int, items)) for user, items in LINES.items()}),
    }
    (tmp_path / name).write_text(contents[name])
    (tmp_path / "keyed.json").write_text(json.dumps({item: {"title": f"Pan {item}", "x": 1} for item in "789"}))
    (tmp_path / "pairs.tsv").write_text("".join(f"{item}\tPan {item}\n" for item in "789"))
    shelves = [
        write_csv(tmp_path / "items.csv", [(item, f"Pan {item}") for item in "789"], ("item_id", "title")),
        tmp_path / "keyed.json",
        tmp_path / "pairs.tsv",
    ]
    for items in shelves:
        data = ready(tmp_path / name, items=items)
        assert (histories(data), data.texts[1]) == (LINES, "Pan 7")
    with pytest.raises(DataError, match="missing_text = 'id'"):
        ready(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"1": [7, [8]]}', r"user 1 has '\[7, \[8\]\]' in the place of a list of items"),
        ('{"1": [7, 8], "2": ', "is no JSON"),
    ],
)
def test_an_object_that_is_damaged_is_an_error_of_one_line(tmp_path, content, message):
    (tmp_path / "log.json").write_text(content)
    with pytest.raises(DataError, match=message):
        ready(tmp_path / "log.json", missing_text="id")


@pytest.mark.slow
def test_minds_longest_history_comes_first_and_clicks_follow_by_time(tmp_path):
    rows = [
        (1, "U1", "11/15/2019 1:05:06 PM", "N1 N2", "N3-1 N4-0 N5-1"),
        (2, "U1", "11/15/2019 11:05:06 AM", "N1 N2", "N6-1"),
        (3, "U1", "11/15/2019 12:30:00 AM", "", "N2-1"),
        (4, "U2", "11/15/2019 12:30:00 AM", "N1 N2 N3", ""),
    ]
    (tmp_path / "behaviors.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    (tmp_path / "news.tsv").write_text("".join(f"N{k}\tnews\tworld\tTitle {k}\t\t\t[]\t[]\n" for k in range(7)))
    data = ready(tmp_path)
    assert data.manifest["source"]["format"] == "mind"
    assert histories(data) == {"U1": ["N1", "N2", "N2", "N6", "N3", "N5"], "U2": ["N1", "N2", "N3"]}
    assert data.texts[1] == "Title 1. news. world"
    assert ready(tmp_path / "behaviors.tsv", text_cols="title").texts[1] == "Title 1"
    (tmp_path / "news.tsv").write_text("N1\tnews\n")
    with pytest.raises(DataError, match=r"news.tsv, line 1: 2 cells between tabs instead of 8"):
        ready(tmp_path)
