"""What a grid finds out before anything runs: whether data and caches fit, and where its runs stand."""

import json
from pathlib import Path
from typing import Any

import pytest

from ssna.core.errors import SettingsError
from ssna.core.locks import try_lock
from ssna.data.storage import save
from ssna.grid.runner import CLAIMS, run_grid, survey
from ssna.grid.spec import GridSpec
from ssna.runs import RunRecord

pytestmark = pytest.mark.slow

GRID = """
title = "small"
more_seeds = [0, 1]
[[data]]
name = "A"
folder = "data/{data}"
{cache}
[[entries]]
name = "e"
method = "{method}"
settings = {{ {settings} }}
"""
NO_EPOCHS = '"training.epochs" = 1'


@pytest.fixture
def cache(tmp_path, random_data, random_states, make_cache) -> Path:
    """A data set at ``data/A``, and its cache: three of the model's layers, mean vectors."""
    data = random_data(texts=[f"A {row}" for row in range(20)])
    (tmp_path / "data").mkdir()
    save(data, tmp_path / "data" / "A")
    return make_cache(data, random_states(layers=3, items=20)).folder


@pytest.fixture
def read(tmp_path, cache):
    def make(settings: str = NO_EPOCHS, method: str = "ssna", data: str = "A", line: str | None = None) -> GridSpec:
        line = f'cache = "{cache}"' if line is None else line
        (tmp_path / "grid.toml").write_text(GRID.format(settings=settings, method=method, data=data, cache=line))
        return GridSpec.read(tmp_path / "grid.toml")

    return make


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"settings": '"text.pooling" = "cls"'},
            ["holds mean vectors", "ask for cls", "data/A -o ANOTHER --pooling cls`", '"text.pooling" = "mean" under'],
        ),
        (
            {"settings": '"method.layers" = 4'},
            ["holds 3 of the model's 3 layers", "entry e asks for method.layers = 4: set fewer"],
        ),
        ({"settings": '"method.layers" = 4', "method": "full"}, ["entry e asks for method.layers = 4"]),
        ({"line": 'cache = "nowhere"'}, ["nowhere does not exist", "`ssna encode` made"]),
        ({"line": ""}, ["the method ssna reads item texts", "data/A -o CACHE", 'cache = "CACHE" under [[data]]']),
        ({"line": "", "method": "text-knn", "settings": ""}, ["text-knn reads item texts"]),
        ({"data": "B"}, ["data/B does not exist", "`ssna prepare` made"]),
    ],
)
def test_what_does_not_fit_is_named_with_its_remedy_before_anything_runs(read, tmp_path, wrong, words):
    spec = read(**wrong)
    with pytest.raises(SettingsError) as caught:
        run_grid(spec, tmp_path / "runs", tmp_path, quiet=True)
    message = str(caught.value)
    assert message.startswith("data set A: ")
    assert all(word in message for word in words)
    assert "\n" not in message
    assert not (tmp_path / "runs").exists()
    assert survey(spec, tmp_path / "runs", tmp_path).problems == (message,)


def test_a_cache_of_another_data_set_is_found_before_anything_runs(
    read, tmp_path, random_data, random_states, make_cache
):
    other = make_cache(random_data(texts=[f"B {row}" for row in range(20)]), random_states(items=20))
    with pytest.raises(SettingsError, match=r"^data set A: .*another data set: 20 of 20 texts.*; run `ssna encode"):
        run_grid(read(line=f'cache = "{other.folder}"'), tmp_path / "runs", tmp_path, quiet=True)


def test_several_problems_are_counted_and_the_plan_lists_them(read, tmp_path):
    settings = '"text.pooling" = "cls", "method.layers" = 2'
    content = GRID.format(settings=settings, method="ssna", data="A", cache='cache = "nowhere"')
    (tmp_path / "two.toml").write_text(content + '[[data]]\nname = "B"\nfolder = "data/B"\n')
    spec = GridSpec.read(tmp_path / "two.toml")
    with pytest.raises(SettingsError, match=r"^data set A: .* \(1 more: ssna grid --plan\)$"):
        run_grid(spec, tmp_path / "runs", tmp_path, quiet=True)
    assert [line.split(":")[0] for line in survey(spec, tmp_path, tmp_path).problems] == [
        "data set A",
        "data set B",
    ]


@pytest.mark.parametrize(
    ("method", "settings"),
    [("ssna", '"method.layers" = 3'), ("text-knn", ""), ("text-linear", '"method.layers" = 9'), ("ids", "")],
)
def test_what_fits_is_no_problem(read, tmp_path, method, settings):
    found = survey(read(method=method, settings=settings), tmp_path / "runs", tmp_path)
    assert found.problems == ()
    assert [state for _, state in found.runs] == ["to do"]
    assert not (tmp_path / "runs").exists()


def test_runs_are_done_running_or_to_do_and_more_seeds_of_the_best_configuration_follow(read, tmp_path):
    spec, out = read(method="popularity", settings=""), tmp_path / "runs"

    def states() -> tuple[list[tuple[int, str]], int]:
        found = survey(spec, out, tmp_path)
        return [(task.settings.seed, state) for task, state in found.runs], found.later

    assert states() == ([(0, "to do")], 1)
    first = survey(spec, out, tmp_path).runs[0][0]
    (out / CLAIMS).mkdir(parents=True)
    with try_lock(out / CLAIMS / str(first.folder).replace("/", "--")):
        assert states() == ([(0, "running")], 1)
    assert states() == ([(0, "to do")], 1)  # its process has ended
    run_grid(spec.model_copy(update={"more_seeds": []}), out, tmp_path, quiet=True)
    assert states() == ([(0, "done"), (1, "to do")], 0)
    run_grid(spec, out, tmp_path, quiet=True)
    assert states() == ([(0, "done"), (1, "done")], 0)


def test_a_run_of_other_settings_in_the_place_of_one_is_a_problem_and_to_do(read, tmp_path):
    out = tmp_path / "runs"
    run_grid(read(method="item-knn", settings=""), out, tmp_path, quiet=True)
    found = survey(read(method="item-knn", settings='"method.window" = 3'), out, tmp_path)
    assert [state for _, state in found.runs] == ["to do"]
    assert "was run with other settings; give another -o" in found.problems[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda settings: settings["training"].update(backwards=True), "unknown setting training.backwards"),
        (lambda settings: settings.pop("ensemble"), "was run with other settings; give another -o"),
    ],
)
def test_a_run_of_another_version_is_a_problem_and_to_do(read, tmp_path, change, message):
    out = tmp_path / "runs"
    run_grid(read(method="item-knn", settings=""), out, tmp_path, quiet=True)
    path = min(out.glob("**/seed=*/record.json"))
    record = json.loads(path.read_text())
    change(record["settings"])
    path.write_text(json.dumps(record))
    found = survey(read(method="item-knn", settings=""), out, tmp_path)
    assert [state for _, state in found.runs] == ["to do"]
    assert message in found.problems[0]


@pytest.mark.parametrize("monitor", ["R@10", "N@50"])
def test_the_best_configuration_is_chosen_by_training_monitor(read, tmp_path, monitor):
    """It alone runs with more seeds; the configurations that are best by the two monitors differ."""
    spec = read(method="item-knn", settings=f'"training.monitor" = "{monitor}"')
    entry = spec.entries[0].model_copy(update={"grid": {"method.window": [1, 2, 3, 5], "method.decay": [0.3, 1.0]}})
    folders = run_grid(spec.model_copy(update={"entries": [entry]}), tmp_path / "runs", tmp_path, quiet=True)
    records = [RunRecord.read(folder) for folder in folders]

    def best_by(metric: str) -> dict[str, Any]:
        first = [record for record in records if record.seed == 0]
        return max(first, key=lambda record: record.valid["exclude_seen"][metric]).grid

    assert best_by("R@10") != best_by("N@50")
    assert [record.grid for record in records if record.seed == 1] == [best_by(monitor)]
