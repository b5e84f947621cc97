"""A package from outside plugs in by its entry points: the command line, grids and Python know its parts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import small_data

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parents[2] / "examples" / "own-parts"
GRID = """
title = "Trending"
seeds = [0]
[[data]]
name = "data"
[[entry]]
name = "trending"
method = "trending"
"""


def installed(folder: Path, entries: str, code: str = "") -> Path:
    """The example as ``pip`` leaves it: modules, and metadata beside."""
    (folder / "own_parts-1.0.dist-info").mkdir(parents=True)
    (folder / "own_parts-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: own-parts\nVersion: 1.0\n"
    )
    (folder / "own_parts-1.0.dist-info" / "entry_points.txt").write_text(entries)
    (folder / "own_parts.py").write_text(code or (EXAMPLE / "own_parts.py").read_text())
    return folder


def entries_of_the_example() -> str:
    import tomllib

    groups = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"]
    return "".join(
        f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in parts.items())
        for group, parts in groups.items()
    )


def run(site: Path, *words: object) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return installed(tmp_path_factory.mktemp("site"), entries_of_the_example())


def test_a_method_and_a_metric_of_a_package_work_on_the_command_line_and_in_python(site, tmp_path):
    data, out = small_data(tmp_path), tmp_path / "run"
    trained = run(site, "-m", "ssna", "train", data, "-o", out, "--method", "trending", "--set", "method.latest=5")
    assert trained.returncode == 0, trained.stderr
    measured = run(
        site, "-m", "ssna", "evaluate", out, "-k", 20, "--metric", "hit_in_first_half", "--metric", "recall", "--json"
    )
    found = json.loads(measured.stdout)
    assert found["method"] == "trending"
    plain = json.loads(run(site, "-m", "ssna", "evaluate", out, "-k", 10, "--json").stdout)
    assert found["exclude_seen"]["hit_in_first_half@20"] == plain["exclude_seen"]["R@10"]
    code = (
        f"import ssna; run = ssna.load_run({str(out)!r}); data = ssna.load_data({str(data)!r}); "
        "print(ssna.evaluate(run.recommender, data, k=20, metrics=['hit_in_first_half'])['exclude_seen'])"
    )
    assert f"{plain['exclude_seen']['R@10']}" in run(site, "-c", code).stdout


def test_settings_of_such_a_method_are_checked(site, tmp_path):
    data = small_data(tmp_path)
    words = ("-m", "ssna", "train", data, "-o", tmp_path / "run", "--method", "trending", "--set")
    assert "unknown setting latests; did you mean latest?" in run(site, *words, "method.latests=5").stderr
    assert "latest = 0: it must be at least 1" in run(site, *words, "method.latest=0").stderr


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('no such device')", "cannot be loaded (RuntimeError: no such device); mend or remove"),
        ("TRENDING = 3\nhit_in_first_half = 3", "is no such part but 3; mend or remove that package"),
    ],
)
def test_a_package_that_is_broken_is_named_and_harms_nothing_else(code, message, tmp_path):
    site = installed(tmp_path / "site", entries_of_the_example(), code)
    data = small_data(tmp_path)
    words = ("-m", "ssna", "train", data, "-o", tmp_path / "run", "--quiet", "--method")
    failed = run(site, *words, "trending")
    assert failed.returncode == 1
    assert f"'trending' (ssna.methods of the package own-parts) {message}" in failed.stderr
    assert run(site, *words, "item-knn").returncode == 0
    metric = run(site, "-m", "ssna", "evaluate", tmp_path / "run", "--metric", "hit_in_first_half")
    assert f"'hit_in_first_half' (ssna.metrics of the package own-parts) {message}" in metric.stderr


def test_a_package_cannot_take_the_place_of_a_method_of_ssna(tmp_path):
    site = installed(tmp_path / "site", "[ssna.methods]\nease = own_parts:TRENDING\n")
    code = "from ssna.methods import METHODS; print(METHODS['ease'].settings.__name__)"
    assert run(site, "-c", code).stdout.strip() == "EaseSettings"


def test_a_metric_that_is_not_there_and_lists_that_are_too_short_are_errors_in_words(site, tmp_path):
    data = small_data(tmp_path, [f"thing {item}" for item in range(70)], lambda user, step: (user * 9 + step) % 70)
    run(site, "-m", "ssna", "train", data, "-o", tmp_path / "run", "--method", "popularity", "--quiet")
    words = ("-m", "ssna", "evaluate", tmp_path / "run", "--metric")
    assert "--metric hits: there is no such metric; there are recall" in run(site, *words, "hits").stderr
    assert "-k 60: a run keeps lists of 50 items" in run(site, *words, "mrr", "-k", 60).stderr
