"""``ssna recommend`` for users of a data folder."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import small_data, ssna

from ssna.data import load

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    assert ssna("train", small_data(folder), "-o", folder / "run", "--method", "item-knn", "--quiet") == 0
    return folder


def answers(capsys, *words) -> list[dict]:
    assert ssna("recommend", *words) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_user_gets_what_the_history_gets(shop, capsys, tmp_path):
    data = load(shop / "data")
    users = data.users.external[3], data.users.external[0]
    found = answers(capsys, shop / "run", "--data", shop / "data", "--user", users[0], "--user", users[1], "-k", 3)
    lines = [json.dumps({"user": user, "history": data.history(user)}) for user in users]
    (tmp_path / "histories.jsonl").write_text("\n".join(lines))
    assert found == answers(capsys, shop / "run", "--users", tmp_path / "histories.jsonl", "-k", 3)
    assert [line["user"] for line in found] == list(users)


def test_all_users_are_answered_in_lines_and_in_parquet(shop, capsys, tmp_path):
    words = (shop / "run", "--data", shop / "data", "--all-users", "-k", 2)
    lines = answers(capsys, *words)
    assert [line["user"] for line in lines] == list(load(shop / "data").users.external)
    for _ in range(2):  # the second finds all of it done
        assert ssna("recommend", *words, "--format", "parquet", "-o", tmp_path / "out.parquet") == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["user"].to_pylist() == [line["user"] for line in lines]
    assert table["items"].to_pylist() == [[item["item"] for item in line["items"]] for line in lines]


def test_how_many_histories_popularity_answered_is_said(shop, capsys, tmp_path):
    known = load(shop / "data").items.external[0]
    histories = [[f" {known} "], ["nothing"], []]
    pq.write_table(pa.table({"user": ["a", "b", "c"], "history": histories}), tmp_path / "h.parquet")
    rows = [json.dumps({"user": "x", "history": history}) for history in histories]
    (tmp_path / "h.jsonl").write_text("\n".join(rows))
    note = "2 of 3 histories have no item that the model knows, and were answered by popularity; check their item ids"
    parquet = ("--users", tmp_path / "h.parquet", "--format", "parquet", "-o")
    for words, said in (
        (("--users", tmp_path / "h.jsonl"), True),
        (("--users", tmp_path / "h.jsonl", "--quiet"), False),
        ((*parquet, tmp_path / "one.parquet"), True),
        ((*parquet, tmp_path / "two.parquet", "--quiet"), False),
    ):
        assert ssna("recommend", shop / "run", *words) == 0
        assert (note in capsys.readouterr().err) == said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--user", "u1"], "--user and --all-users take histories from --data"),
        (["--data", "{shop}/data"], "--user and --all-users take histories from --data"),
        (["--data", "{shop}/data", "--all-users", "--user", "u1"], "all users are recommended to already"),
        (["--data", "{shop}/data", "--all-users", "--users", "x.jsonl"], "histories come from --data already"),
        (["--data", "{shop}/data", "--user", "nobody at all"], "there is no user 'nobody at all' among"),
        (["--data", "{shop}/run", "--all-users"], "run is no folder that `ssna prepare` made"),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(shop, capsys, words, message):
    assert ssna("recommend", shop / "run", *(word.format(shop=shop) for word in words)) in (1, 2)
    assert message in " ".join(capsys.readouterr().err.split())
