"""What a grid's file asks for, before anything runs."""

from pathlib import Path

import pytest

from ssna.core.errors import SettingsError
from ssna.grid.spec import GridSpec, tasks

GRID_FILES = Path(__file__).parents[3] / "grids"
BASE = """
title = "t"
recipe = "paper"
models = ["small", "large"]
seeds = [0, 1]
settings = { "training.objective" = "autoregressive" }
[dry_run]
training.epochs = 3
[[data]]
name = "A"
folder = "data/A"
cache = "caches/A-{model}"
[[entries]]
name = "ours"
method = "ssna"
settings = { "training.batch_size" = 64 }
grid = { "method.layers" = [2, 3], "training.learning_rate" = [1e-3] }
[[entries]]
name = "popularity"
method = "popularity"
"""


@pytest.fixture
def read(tmp_path):
    def make(content: str = BASE) -> GridSpec:
        (tmp_path / "grid.toml").write_text(content)
        return GridSpec.read(tmp_path / "grid.toml")

    return make


def test_every_configuration_runs_with_every_seed_and_every_model(read):
    ours = [task for task in tasks(read()) if task.entry.name == "ours"]
    found = {(task.model, task.configuration["method.layers"], task.settings.seed) for task in ours}
    assert found == {(model, layers, seed) for model in ("small", "large") for layers in (2, 3) for seed in (0, 1)}
    assert len(ours) == 8


def test_a_run_that_reads_no_text_runs_once_whatever_the_models(read):
    popularity = [task for task in tasks(read()) if task.entry.name == "popularity"]
    assert [(task.model, task.cache, task.settings.seed) for task in popularity] == [(None, None, 0), (None, None, 1)]


def test_the_cache_is_that_of_the_model(read):
    assert {task.cache for task in tasks(read()) if task.model == "large"} == {"caches/A-large"}


def test_folders_are_distinct_and_tell_what_runs(read):
    folders = [task.folder for task in tasks(read())]
    assert len(set(folders)) == len(folders)
    assert Path("A/large/ours/layers=2,learning_rate=0.001,seed=1") in folders


def test_settings_are_the_recipes_then_the_grids_then_the_entrys_then_the_configurations(read):
    task = next(task for task in tasks(read()) if task.configuration.get("method.layers") == 2)
    settings = task.settings
    training, method = settings.training, settings.method
    assert (training.objective, training.batch_size, training.learning_rate) == ("autoregressive", 64, 1e-3)
    assert (method.layers, method.num_experts, training.early_stopping_patience) == (2, 8, 15)
    assert not settings.dry_run


def test_an_entry_may_have_a_recipe_of_its_own(read):
    content = BASE.replace('name = "ours"\nmethod = "ssna"', 'name = "ours"\nmethod = "ssna"\nrecipe = "fast"')
    planned = {task.entry.name: task.settings for task in tasks(read(content))}
    assert (planned["ours"].loss.name, planned["ours"].training.batch_size) == ("in-batch-logq", 64)
    assert planned["popularity"].loss.name == "in-batch"
    with pytest.raises(SettingsError, match="no recipe 'fst'"):
        tasks(read(content.replace("fast", "fst")))


def test_a_dry_run_is_cut_short_and_says_so(read):
    assert {(task.settings.dry_run, task.settings.training.epochs) for task in tasks(read(), dry_run=True)} == {
        (True, 3)
    }


def test_two_keys_of_one_name_keep_their_sections_in_the_folder(read):
    content = BASE.replace(
        '"training.learning_rate" = [1e-3]', '"ensemble.ease.ridge" = [5], "ensemble.cease.ridge" = [7]'
    )
    task = next(task for task in tasks(read(content)) if task.entry.name == "ours")
    assert task.label == "method.layers=2,ensemble.ease.ridge=5,ensemble.cease.ridge=7,seed=0"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["popularity"], {("A", "popularity", None)}),
        (["large", "ours"], {("A", "ours", "large")}),
        (["A"], {("A", "ours", "small"), ("A", "ours", "large"), ("A", "popularity", None)}),
    ],
)
def test_only_what_is_named_is_planned(read, names, found):
    planned = tasks(read().only(names))
    assert {(task.place.name, task.entry.name, task.model) for task in planned} == found


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('method = "ssna"', 'method = "sna"', "unknown method 'sna'"),
        ('"method.layers" = [2, 3]', '"method.layer" = [2, 3]', "unknown setting layer; did you mean layers"),
        ('name = "popularity"', 'name = "ours"', "two entries are called ours"),
        ('name = "A"', 'name = "../A"', "a name becomes a folder"),
        ('title = "t"', 'titel = "t"', "grid.toml: title is missing; unknown setting titel$"),
        ('recipe = "paper"', 'recipe = "papr"', "no recipe 'papr'"),
        ("seeds = [0, 1]", "seeds = []", "seeds"),
        ('folder = "data/A"\n', "", r"grid.toml: data\.0\.folder is missing$"),
        ('models = ["small", "large"]', 'models = ["small", "small"]', "two models are called small"),
        (
            '"training.objective" = "autoregressive"',
            '"method.num_experts" = 4',
            r"grid.toml: \[settings\] holds settings of a method",
        ),
    ],
)
def test_a_wrong_grid_is_named_before_anything_runs(read, old, new, message):
    assert BASE.count(old) == 1
    with pytest.raises(SettingsError, match=message):
        tasks(read(BASE.replace(old, new)))


def test_a_folder_in_the_place_of_a_grid_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"is a folder; name a grid's \.toml file"):
        GridSpec.read(tmp_path)


def test_an_unknown_name_gets_those_there_are(read):
    with pytest.raises(SettingsError, match="has no 'B'; it has A, large, ours, popularity, small"):
        read().only(["B"])


PLANS = [path for path in sorted(GRID_FILES.rglob("*.toml")) if path.parent.name != "data"]  # there: for prepare


@pytest.mark.parametrize("path", PLANS, ids=lambda path: "/".join(path.parts[-2:]))
@pytest.mark.parametrize("dry_run", [False, True])
def test_every_grid_of_the_repository_can_be_planned(path, dry_run):
    planned = tasks(GridSpec.read(path), dry_run)
    folders = {task.folder for task in planned}
    assert len(folders) == len(planned) > 0


def test_the_papers_search_spaces_are_those_of_its_hyper_parameter_section():
    grids = {entry.name: entry.grid for entry in GridSpec.read(GRID_FILES / "paper" / "overall.toml").entries}
    assert grids["ssna"] == {"training.batch_size": [32, 64, 128, 256], "method.layers": [2, 3]}
    assert grids["tmlp"] == {"training.batch_size": [32, 64, 128, 256], "method.depth": [1, 2, 3]}
    assert grids["tmoe"] == {"training.batch_size": [32, 64, 128, 256]}
    assert grids["lora"] == grids["adalora"] == {"method.dropout": [0.1, 0.2, 0.3]}
    assert grids["full"] == {"method.layers": [2, 4, 6]}
