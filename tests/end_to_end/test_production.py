"""What a trained run is used for, through the command line: batches, exports, and items that training never saw."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import small_data, ssna

import ssna as package

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(language_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, the same without a fifth of the items, a cache of all texts, and a run on each."""
    folder = tmp_path_factory.mktemp("shop")
    data, cache = small_data(folder), folder / "cache"
    assert ssna("encode", data, "-o", cache, "--model", language_model, "--quiet") == 0
    assert ssna("data", "holdout-items", data, "--share", "0.2", "-o", folder / "rest") == 0
    for name, source, method in (
        ("run", "data", "text-knn"),
        ("cold", "rest", "text-knn"),
        ("top", "rest", "popularity"),
    ):
        words = ("--method", method, "--quiet", *(("--set", "dim=8") if method == "text-knn" else ()))
        assert ssna("train", folder / source, "--cache", cache, "-o", folder / "runs" / name, *words) == 0
    histories = [["i1", "i8"], [], ["i3", "no such thing"]]
    pq.write_table(pa.table({"user": ["a", "b", "c"], "history": histories}), folder / "users.parquet")
    (folder / "users.jsonl").write_text(
        "\n".join(json.dumps({"user": user, "history": row}) for user, row in zip("abc", histories, strict=True))
    )
    return folder


def test_parquet_holds_the_items_that_json_lines_hold(shop: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "items.parquet"
    words = ("recommend", shop / "runs" / "run", "-k", 4)
    assert ssna(*words, "--users", shop / "users.parquet", "--format", "parquet", "-o", out) == 0
    assert "3 histories in" in capsys.readouterr().err
    assert ssna(*words, "--users", shop / "users.jsonl") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    table = pq.read_table(out)
    assert table["user"].to_pylist() == [line["user"] for line in lines]
    assert table["items"].to_pylist() == [[item["item"] for item in line["items"]] for line in lines]
    assert [known == 0 for known in table["known"].to_pylist()] == ["fallback" in line for line in lines]


@pytest.mark.parametrize("to", ["parquet", "hub"])
def test_a_run_is_exported_by_its_verb(shop: Path, tmp_path: Path, capsys, to: str) -> None:
    assert ssna("export", shop / "runs" / "run", "--to", to, "-o", tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert (captured.out, str(tmp_path / "out") in captured.err) == ("", True)
    assert (tmp_path / "out" / "items.parquet").exists()


def test_held_out_items_are_ranked_by_their_texts_and_compared_with_chance(shop: Path, capsys) -> None:
    assert ssna("compare", shop / "runs" / "cold", shop / "runs" / "top", "--table", "cold", "--format", "csv") == 0
    printed = capsys.readouterr().out
    assert "chance" in printed
    assert ssna("evaluate", shop / "runs" / "cold", "--json") == 0
    cold = json.loads(capsys.readouterr().out)["cold"]
    assert (cold["held_out"], cold["items"]) == (8, 40)
    assert ssna("evaluate", shop / "runs" / "cold") == 0
    assert "8 held-out items" in capsys.readouterr().out
    assert ssna("evaluate", shop / "runs" / "run", "--json") == 0
    assert "cold" not in json.loads(capsys.readouterr().out)


def test_data_without_its_held_out_items_recommends_none_of_them(shop: Path) -> None:
    held_out = package.load_data(shop / "rest").held_out
    recommender = package.Recommender.load(shop / "runs" / "cold")
    assert not set(held_out.texts) & set(recommender.items.external)
    assert set(held_out.texts) <= set(recommender.add_items(held_out.texts).items.external)


@pytest.mark.parametrize(
    ("words", "culprit"),
    [
        (["recommend", "{shop}/runs/run", "--format", "parquet", "-o", "{tmp}/out"], "--users"),
        (["recommend", "{shop}/runs/run", "--format", "parquet", "--users", "{shop}/users.parquet"], "-o"),
        (["recommend", "{shop}/runs/run", "--users", "{shop}/users.jsonl", "-o", "{tmp}/out"], "-o"),
        (["recommend", "{shop}/runs/run", "--users", "{shop}/users.parquet"], "--format parquet"),
        (["recommend", "{shop}/runs/run", "--format", "parquet", "--users", "{shop}/users.jsonl", "-o", "{tmp}/out"],
         "users.jsonl"),
        (["recommend", "{shop}/data", "--format", "parquet", "--users", "{shop}/users.parquet", "-o", "{tmp}/out"],
         "model.json"),
        (["recommend", "{shop}/runs/run", "--format", "parquet", "--users", "{shop}/none.parquet", "-o", "{tmp}/out"],
         "none.parquet"),
        (["export", "{shop}/data", "--to", "parquet", "-o", "{tmp}/out"], "model.json"),
        (["export", "{shop}/runs/top", "--to", "parquet", "-o", "{tmp}/out"], "without vectors"),
        (["export", "{shop}/runs/run", "--to", "parquet", "-o", "{shop}"], "left alone"),
        (["export", "{shop}/runs/run", "--to", "parquet", "-o", "{tmp}/out", "--data", "{shop}/data"], "--data"),
        (["export", "{shop}/runs/run", "--to", "onnx", "-o", "{tmp}/out", "--repo", "me/shop"], "--repo"),
        (["data", "holdout-items", "{shop}/data", "--share", "0.001", "-o", "{tmp}/out"], "share"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_line_and_leaves_nothing(
    shop: Path, tmp_path: Path, words: list[str], culprit: str, capsys
) -> None:
    assert ssna(*(word.format(shop=shop, tmp=tmp_path) for word in words)) == 1
    error = capsys.readouterr().err
    assert culprit in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) <= 2
    assert not list(tmp_path.iterdir())
