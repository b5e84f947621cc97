import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from some_recommenders import ITEMS

from ssna import scoring
from ssna.core.errors import ArtifactError
from ssna.recommender import Recommender, artifact

pytestmark = pytest.mark.slow

# on the disk


@pytest.fixture
def saved(recommender, tmp_path):
    recommender.save(tmp_path / "model")
    return tmp_path / "model"


def error_of_loading(folder) -> str | None:
    try:
        Recommender.load(folder)
    except ArtifactError as error:
        return str(error)
    return None


def one_line_error(folder) -> str:
    message = error_of_loading(folder)
    assert message is not None, "it loads"
    assert "\n" not in message
    return message


def test_a_saved_recommender_gives_equal_answers(any_recommender, tmp_path):
    any_recommender.save(tmp_path / "model")
    loaded = Recommender.load(tmp_path / "model")
    histories = [["i1", "i2", "i3"], ["i9"], [], ["x"]]
    assert loaded.recommend(histories, k=ITEMS) == any_recommender.recommend(histories, k=ITEMS)
    assert loaded.similar_items("i4") == any_recommender.similar_items("i4")


def test_an_artifact_of_another_format_says_which_one_is_read_and_what_to_do(saved):
    manifest = json.loads((saved / artifact.MANIFEST).read_text()) | {"format": 1}
    (saved / artifact.MANIFEST).write_text(json.dumps(manifest))
    assert one_line_error(saved) == f"{saved} has format 1, this ssna reads 3; train again"


def test_a_run_folder_loads_as_the_model_in_it(fixed, tmp_path):
    fixed.save(tmp_path / "run" / "model")
    assert Recommender.load(tmp_path / "run").recommend([["a"]]) == fixed.recommend([["a"]])


def test_saving_replaces_an_older_model(fixed, saved):
    fixed.save(saved)
    assert Recommender.load(saved).items.external == fixed.items.external


def test_nothing_in_a_saved_model_is_pickled(saved):
    assert {path.suffix for path in saved.iterdir()} == {".json", ".safetensors", ".parquet"}


FILES = [artifact.MANIFEST, artifact.TENSORS, artifact.ITEMS]


@pytest.fixture(scope="module")
def whole(recommender, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "model"
    recommender.save(folder)
    return folder


@settings(max_examples=60)
@given(file=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), filler=st.sampled_from([b"", b"\0" * 64]))
def test_a_file_cut_off_anywhere_or_filled_with_zeros_behind_is_an_artifact_error(whole, file, where, filler):
    content = (whole / file).read_bytes()
    cut = min(int(where * len(content)), len(content.rstrip()) - 1)  # a line end less is still the same JSON
    try:
        (whole / file).write_bytes(content[:cut] + filler)
        assert str(whole) in one_line_error(whole)
    finally:
        (whole / file).write_bytes(content)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_an_artifact_error(saved, file):
    (saved / file).unlink()
    assert str(saved) in one_line_error(saved)


def flips(content: bytes, count: int, seed: int):
    """``content`` with one bit turned, at ``count`` places."""
    rng = np.random.default_rng(seed)
    for byte in rng.choice(len(content), size=min(count, len(content)), replace=False):
        yield content[:byte] + bytes([content[byte] ^ 1 << int(rng.integers(8))]) + content[byte + 1 :]


@pytest.mark.parametrize("file", [artifact.TENSORS, artifact.ITEMS])
def test_a_bit_turned_in_the_tensors_or_the_items_is_an_artifact_error(saved, file):
    for damaged in flips((saved / file).read_bytes(), 20, seed=0):
        (saved / file).write_bytes(damaged)
        one_line_error(saved)


def test_a_bit_turned_in_the_manifest_never_raises_anything_but_an_artifact_error(saved):
    for damaged in flips((saved / artifact.MANIFEST).read_bytes(), 300, seed=1):
        (saved / artifact.MANIFEST).write_bytes(damaged)
        assert "\n" not in (error_of_loading(saved) or "")


def test_a_number_changed_in_the_manifest_is_an_artifact_error(saved):
    manifest = json.loads((saved / artifact.MANIFEST).read_text())
    manifest["scorer"]["config"]["members"][0]["weight"] *= 0.5
    (saved / artifact.MANIFEST).write_text(json.dumps(manifest))
    one_line_error(saved)


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"format": artifact.FORMAT},
        {"format": artifact.FORMAT, "sha256": {}},
        {"format": artifact.FORMAT, "sha256": [], "scorer": {}},
        {"format": artifact.FORMAT, "sha256": {"../../secret": "0"}, "scorer": {}},
        {"format": artifact.FORMAT, "sha256": {}, "scorer": {"kind": "magic", "config": {}}, "encoding": None},
        {"format": artifact.FORMAT, "sha256": {}, "scorer": {"kind": [], "config": {}}, "encoding": None},
        {"format": artifact.FORMAT, "sha256": {}, "scorer": None, "encoding": None},
    ],
    ids=str,
)
def test_a_foreign_manifest_is_an_artifact_error(saved, manifest):
    (saved / artifact.MANIFEST).write_text(json.dumps(manifest))
    one_line_error(saved)


@pytest.mark.parametrize("change", [{"encoding": {"model": "x"}}, {"encoding": 5}, {"scorer": {"kind": "vector"}}])
def test_a_manifest_with_a_wrong_part_is_an_artifact_error(saved, change):
    manifest = json.loads((saved / artifact.MANIFEST).read_text()) | change
    (saved / artifact.MANIFEST).write_text(json.dumps(manifest))
    one_line_error(saved)


def sign(folder):
    """Make checksums right again: what is wrong then must be found by looking at it."""
    manifest = json.loads((folder / artifact.MANIFEST).read_text())
    del manifest["sha256"]
    files = {name: artifact._digest(folder / name) for name in FILES[1:]}
    manifest["sha256"] = {artifact.MANIFEST: artifact._checksum(manifest), **files}
    (folder / artifact.MANIFEST).write_text(json.dumps(manifest))


ROW = {"id": "i1", "text": "t", "count": 1}
ROWS = [{"id": f"i{row}", "text": "t", "count": 1} for row in range(ITEMS)]


@pytest.mark.parametrize(
    "rows",
    [ROWS[:-1], [*ROWS[1:], ROW], [*ROWS[1:], ROW | {"text": None}], [{"id": "i1"}] * ITEMS, [{"other": 1}]],
    ids=["one less", "an id twice", "no text", "columns missing", "other columns"],
)
def test_items_that_do_not_fit_the_scorer_are_an_artifact_error(saved, rows):
    pq.write_table(pa.Table.from_pylist(rows), saved / artifact.ITEMS)
    sign(saved)
    one_line_error(saved)


def test_a_manifest_nested_without_end_is_an_artifact_error(saved):
    (saved / artifact.MANIFEST).write_text("[" * 100_000)
    one_line_error(saved)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_was_saved_on_a_gpu_loads_on_the_cpu(fixed, tmp_path):
    fixed.scorer.counts = fixed.scorer.counts.cuda()
    fixed.save(tmp_path / "model")
    assert Recommender.load(tmp_path / "model").scorer.counts.device.type == "cpu"


def test_tensors_and_items_of_two_models_do_not_mix(saved, fixed, tmp_path):
    fixed.save(tmp_path / "other")
    (tmp_path / "other" / artifact.ITEMS).replace(saved / artifact.ITEMS)
    assert "not the file that was saved" in one_line_error(saved)


@pytest.mark.parametrize("make", ["nothing", "empty", "file", "stranger"])
def test_a_folder_that_is_no_model_is_an_artifact_error(tmp_path, make):
    folder = tmp_path / "model"
    if make in ("empty", "stranger"):
        folder.mkdir()
    if make == "file":
        folder.write_text("no folder")
    if make == "stranger":
        (folder / "model.json").write_text('{"format": "another program"}')
    one_line_error(folder)


def test_the_names_of_the_scorers_tensors_are_stable(recommenders):
    """Saved models depend on them: other names need another ``FORMAT``."""
    _, tensors = recommenders["text-knn"].scorer.state()
    assert set(tensors) == {"vectors", "text_projection.mean", "text_projection.projection"}
    assert set(recommenders["item-knn"].scorer.state()[1]) == {"values", "columns", "offsets"}
    assert set(recommenders["popularity"].scorer.state()[1]) == {"counts"}
    assert set(scoring.SCORERS) == {"popularity", "neighbour", "linear", "repeat-consumption", "vector", "ensemble"}
    assert scoring.RepeatConsumptionScorer(5, 3).state() == ({"rows": 5, "max_history": 3}, {})


def test_all_its_files_may_be_read_by_whoever_may_read_one(recommender, tmp_path):
    recommender.save(tmp_path / "saved")
    assert len({path.stat().st_mode for path in (tmp_path / "saved").iterdir()}) == 1
