"""Attributes and rules from the logs to the answers, on the command line."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ssna

from ssna.batch.run import recommend_all
from ssna.core.errors import SsnaError
from ssna.core.rules import Rules
from ssna.recommender import Recommender

pytestmark = pytest.mark.slow
ITEMS = 12


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    log = [f"u{u},i{(u + t * t) % ITEMS},{t}" for u in range(24) for t in range(6)]
    (folder / "log.csv").write_text("\n".join(["user,item,time", *log]))
    shelf = [f"i{n},title {n},{n * 1.5},{('Acme', 'Brevik')[n % 2]}" for n in range(ITEMS)]
    (folder / "items.csv").write_text("\n".join(["item,title,price,brand", *shelf, "cold,title of none,0.1,Acme"]))
    words = ("--items", folder / "items.csv", "--attribute-cols", "price, brand", "--min-item", 0, "--quiet")
    assert ssna("prepare", folder / "log.csv", *words, "-o", folder / "data") == 0
    assert ssna("train", folder / "data", "-o", folder / "run", "--method", "item-knn", "--quiet") == 0
    return folder


def lines(capsys, shop, *words, content='{"user": "me", "history": ["i1"]}') -> list[dict]:
    (shop / "asked.jsonl").write_text(content)
    capsys.readouterr()
    assert ssna("recommend", shop / "run", "--users", shop / "asked.jsonl", "-k", 4, "--quiet", *words) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def items(line: dict) -> list[str]:
    return [each["item"] for each in line["items"]]


def test_options_are_the_rules_of_the_recommender(shop, capsys):
    recommender = Recommender.load(shop / "run")
    for words, rules in (
        (("--where", "price < 9 and brand in (Acme)"), {"where": "price < 9 and brand = Acme"}),
        (("--boost", "2 brand = Acme", "--boost", "0.5 price < 3"),
         {"boost": [{"factor": 2, "where": "brand = Acme"}, {"factor": 0.5, "where": "price < 3"}]}),
        (("--at-least", "3 price > 12"), {"at_least": {"items": 3, "where": "price > 12"}}),
    ):  # fmt: skip
        found = recommender.recommend([["i1"]], k=4, **rules)[0]
        assert items(lines(capsys, shop, *words)[0]) == [each.item for each in found.items]


def test_a_line_has_rules_of_its_own_and_a_wrong_one_is_an_error_of_its_own(shop, capsys):
    asked = [
        {"user": 1, "history": ["i1"]},
        {"user": 2, "history": ["i1"], "where": {">": ["price", 12]}},
        {"user": 3, "history": ["i1"], "where": {">": ["prise", 12]}},
        {"user": 4, "history": ["i1"], "where": {"and": [5]}},
        {"user": 5, "history": ["i1"], "diversity": 0.5},
    ]
    (shop / "asked.jsonl").write_text("\n".join(map(json.dumps, asked)))
    capsys.readouterr()
    assert ssna("recommend", shop / "run", "--users", shop / "asked.jsonl", "--where", "price < 6", "--quiet") == 3
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {*items(found[0])} == {"i0", "i2", "i3"}
    assert {*items(found[1])} == {"i9", "i10", "i11"}
    messages = [line["error"]["message"] for line in found[2:]]
    assert messages[0].startswith("where.>: no attribute is called 'prise'")
    assert messages[1].startswith("where: 'and' takes a list")
    assert "no vectors" in messages[2]


def test_files_of_histories_are_answered_by_rules_and_are_not_mixed_with_others(shop, tmp_path):
    words = (
        "--data",
        shop / "data",
        "--all-users",
        "-k",
        3,
        "--format",
        "parquet",
        "-o",
        tmp_path / "out.parquet",
        "--quiet",
    )
    assert ssna("recommend", shop / "run", *words, "--where", "brand = Acme") == 0
    found = pq.read_table(tmp_path / "out.parquet")["items"].to_pylist()
    assert all(int(item[1:]) % 2 == 0 for each in found for item in each)
    assert ssna("recommend", shop / "run", *words) == 1  # begun by another rule
    assert ssna("recommend", shop / "run", *words, "--where", "brand in (Acme)") == 1
    assert ssna("recommend", shop / "run", *words, "--where", "brand = Acme") == 0
    histories = tmp_path / "histories.parquet"
    pq.write_table(pa.table({"user": ["a"], "history": [["i1"]]}), histories)
    with pytest.raises(SsnaError, match="no attribute is called 'size'"):
        recommend_all(shop / "run", histories, tmp_path / "other", rules=Rules.of(where="size = 1"))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--where", "prise < 3"), 1, "where.<: no attribute is called 'prise'; there are price, brand; did you"),
        (("--where", "price <"), 1, "where: expected a value at the end"),
        (("--boost", "price < 3"), 2, "does not begin with a number"),
        (("--at-least", "2.5 price < 3"), 2, "does not begin with a number"),
        (("--at-least", "5 price < 3"), 1, "at_least.items: 5 of 4 items cannot be"),
        (("--diversity", "0.5"), 1, "no vectors, so diversity must be 0"),
        (("--diversity", "1.5"), 2, "'--diversity': it must be at most 1"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_in_words(shop, capsys, words, code, message):
    (shop / "asked.jsonl").write_text('{"history": ["i1"]}')
    assert ssna("recommend", shop / "run", "--users", shop / "asked.jsonl", "-k", 4, *words) == code
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert message in said


def test_the_summary_says_what_is_kept(shop, capsys):
    words = ("--items", shop / "items.csv", "--attribute-cols", "price", "--min-item", 0, "--check")
    assert ssna("prepare", shop / "log.csv", *words) == 0
    assert ssna("prepare", shop / "log.csv", "--attribute-cols", "price", "--missing-text", "id", "--check") == 1
    assert "--attribute-cols price: attributes are read of the items' own table (--items)" in capsys.readouterr().err
