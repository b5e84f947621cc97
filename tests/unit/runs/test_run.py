"""A run, its folder and its record."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import SMALL, settings_of

from ssna.core.errors import ArtifactError, SettingsError
from ssna.data.dataset import Dataset
from ssna.recommender import Recommender
from ssna.runs import Run, RunRecord, encode, train
from ssna.runs.recipes import override
from ssna.training import RunSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(random_data: Callable[..., Dataset]) -> Dataset:
    return random_data(seed=2)


def test_a_run_folder_gives_the_run_back(data, new_name):
    folder = new_name()
    run = train(data, method="ids", settings=SMALL, out=folder, quiet=True)
    loaded = type(run).load(folder)
    assert loaded.record == run.record
    for split, evaluation in run.evaluations.items():
        for policy in evaluation.ranks:
            np.testing.assert_array_equal(loaded.evaluations[split].ranks[policy], evaluation.ranks[policy])
            np.testing.assert_array_equal(loaded.evaluations[split].lists[policy], evaluation.lists[policy])
        np.testing.assert_array_equal(loaded.evaluations[split].targets, evaluation.targets)
    history = [["i1", "i2"]]
    assert loaded.recommender.recommend(history) == run.recommender.recommend(history)


@pytest.mark.parametrize("file", ["record.json", "ranks.parquet", "model/model.json"])
@pytest.mark.parametrize("kept", [None, 0.0, 0.5])
def test_a_run_folder_with_a_missing_or_truncated_file_is_an_artifact_error_in_one_line(data, new_name, file, kept):
    folder = new_name()
    train(data, method="popularity", out=folder, quiet=True)
    content = (folder / file).read_bytes()
    (folder / file).unlink()
    if kept is not None:
        (folder / file).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ArtifactError, match=r"[\w.]+") as caught:
        Run.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{}", '{"method": "ids"}', '{"unknown": 1}'])
def test_a_record_of_another_program_is_an_artifact_error(data, new_name, content):
    folder = new_name()
    train(data, method="popularity", out=folder, quiet=True)
    (folder / "record.json").write_text(content)
    with pytest.raises(ArtifactError, match="is no record of this version"):
        Run.load(folder)


def test_the_settings_of_a_run_folder_train_the_same_run_again(data, new_name):
    folder = new_name()
    run = train(data, method="ids", settings=SMALL, seed=4, out=folder, quiet=True)
    repeated = train(data, config=folder / "settings.toml", quiet=True)
    assert (repeated.record.settings, repeated.record.test) == (run.record.settings, run.record.test)


def test_a_run_folder_has_its_promised_files(data, new_name):
    folder = new_name()
    train(data, method="ids", settings=SMALL, out=folder, quiet=True)
    assert {"settings.toml", "record.json", "ranks.parquet", "model"} <= {path.name for path in folder.iterdir()}


def test_a_failed_run_leaves_no_folder(data, new_name):
    folder = new_name()
    with pytest.raises(SettingsError):
        train(data, method="ssna", out=folder, quiet=True)
    assert not folder.exists()


def test_overriding_a_setting_changes_the_record(data):
    run = train(data, method="ids", settings=[*SMALL, "seed=7"], quiet=True)
    assert run.record.settings == RunSettings.parse(override(settings_of().tree(), ["seed=7"])).tree()


@pytest.mark.parametrize("path", ["data", Path("data")])
def test_paths_in_the_place_of_data_or_cache_are_an_error_in_words(data, path):
    takes = "takes what prepare (or load_data) returns as data, not the path 'data'"
    with pytest.raises(SettingsError, match=re.escape(f"train {takes}")):
        train(path, "cache")
    with pytest.raises(SettingsError, match=re.escape(f"encode {takes}")):
        encode(path, model="minilm")
    with pytest.raises(SettingsError, match=r"^train takes what encode returns as cache, not the path 'data'$"):
        train(data, path)


def test_a_data_set_in_the_place_of_the_cache_is_an_error_in_words(data):
    with pytest.raises(SettingsError, match=r"^train takes what encode returns as cache, not a Dataset$"):
        train(data, data, recipe="fast")


def test_a_cache_pooled_in_another_way_than_the_recipe_asks_for_is_refused(data, make_cache, random_states):
    with pytest.raises(SettingsError) as caught:
        train(data, make_cache(data, random_states(), pooling="cls"), "best", quiet=True)
    said = "the settings ask for mean vectors, the cache holds cls: "
    assert str(caught.value) == (
        f"{said}encode the texts with ssna.encode(data, pooling='mean') and give what it returns as cache=, "
        "or settings = 'text.pooling=cls'"
    )
    assert caught.value.for_command_line == (
        f"{said}run `ssna encode DATA -o ANOTHER --pooling mean` and give --cache ANOTHER, or --set text.pooling=cls"
    )


def test_a_method_that_reads_text_says_so_without_a_cache(data):
    with pytest.raises(SettingsError) as caught:
        train(data, method="ssna", quiet=True)
    said = "the method ssna reads item texts: "
    assert str(caught.value) == f"{said}encode the texts with ssna.encode(data) and give what it returns as cache="
    assert caught.value.for_command_line == f"{said}run `ssna encode DATA -o CACHE` first and give --cache CACHE"


def test_a_folder_of_runs_in_the_place_of_a_run_is_told_its_runs(data, new_name):
    folder = new_name()
    for name in ("b", "a"):
        train(data, method="popularity", out=folder / "grid" / name, quiet=True)
    runs = f"name a run below it: {folder / 'grid' / 'a'}, {folder / 'grid' / 'b'}"
    for read, file in ((RunRecord.read, "record.json"), (Recommender.load, "model.json")):
        with pytest.raises(ArtifactError) as caught:
            read(folder)
        assert str(caught.value) == f"{folder} is no folder that `ssna train` made (there is no {file}); {runs}"


def test_a_blend_without_a_member_that_reads_texts_needs_no_cache(data):
    run = train(data, method="blend", settings=['method.members=["ease", "item-knn"]'], quiet=True)
    assert run.record.cache is None
    with pytest.raises(SettingsError, match="reads item texts"):
        train(data, method="blend", settings=['method.members=["ease", "text-knn"]'], quiet=True)


@pytest.fixture(scope="module")
def record(data, tmp_path_factory):
    """That of a finished run, as JSON."""
    folder = tmp_path_factory.mktemp("run")
    train(data, method="popularity", out=folder, quiet=True)
    return json.loads((folder / "record.json").read_text())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: record.update(join=None), "unexpected keyword argument 'join'"),
        (lambda record: record.pop("ensemble"), "missing 1 required positional argument: 'ensemble'"),
        (lambda record: record["settings"].update(batches={}), "unknown setting batches"),
        (lambda record: record["settings"]["loss"].update(samples=3), "unknown setting loss.samples"),
        (lambda record: record["settings"]["method"].update(name="magic"), "unknown method 'magic'"),
        (lambda record: record["settings"]["training"].update(epochs=-1), "training.epochs = -1"),
    ],
)
def test_a_record_of_unknown_keys_or_settings_is_one_clear_line(record, tmp_path, change, reason):
    changed = json.loads(json.dumps(record))
    RunRecord.read(write(tmp_path, changed))
    change(changed)
    with pytest.raises(ArtifactError) as caught:
        RunRecord.read(write(tmp_path, changed))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'record.json'} is no record of this version (")
    assert message.endswith("; train again")
    assert reason in message
    assert "\n" not in message


def write(folder: Path, record: dict[str, Any]) -> Path:
    (folder / "record.json").write_text(json.dumps(record))
    return folder
