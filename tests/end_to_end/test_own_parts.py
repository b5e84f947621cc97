"""A package from outside plugs in by its entry points: the command line, grids and Python know its parts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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


ONE_AFTER_ANOTHER = """
import contextlib, io, json, sys
from command_line import ssna
said = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if words[0] == "-c":
            exec(words[1])
            code = 0
        else:
            code = ssna(*words)
    said.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(said))
"""


class Said(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    err: str


def run(site: Path, *commands: tuple[object, ...]) -> list[Said]:
    """Commands of ``ssna``, or ``("-c", code)``, in one process that finds what is in ``site``."""
    path = os.pathsep.join([str(site), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    words = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_ANOTHER, words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Said(*each) for each in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return installed(tmp_path_factory.mktemp("site"), entries_of_the_example())


def test_a_method_and_a_metric_of_a_package_work_on_the_command_line_and_in_python(site, tmp_path):
    data, out = small_data(tmp_path), tmp_path / "run"
    code = (
        f"import ssna; run = ssna.load_run({str(out)!r}); data = ssna.load_data({str(data)!r}); "
        "print(ssna.evaluate(run.recommender, data, k=20, metrics=['hit_in_first_half'])['exclude_seen'])"
    )
    trained, measured, plain, in_python = run(
        site,
        ("train", data, "-o", out, "--method", "trending", "--set", "method.latest=5"),
        ("evaluate", out, "-k", 20, "--metric", "hit_in_first_half", "--metric", "recall", "--json"),
        ("evaluate", out, "-k", 10, "--json"),
        ("-c", code),
    )
    assert trained.code == 0, trained.err
    found, recall = json.loads(measured.out), json.loads(plain.out)["exclude_seen"]["R@10"]
    assert found["method"] == "trending"
    assert found["exclude_seen"]["hit_in_first_half@20"] == recall
    assert f"{recall}" in in_python.out


def test_settings_of_such_a_method_are_checked(site, tmp_path):
    words = ("train", small_data(tmp_path), "-o", tmp_path / "run", "--method", "trending", "--set")
    misspelt, wrong = run(site, (*words, "method.latests=5"), (*words, "method.latest=0"))
    assert "unknown setting latests; did you mean latest?" in misspelt.err
    assert "latest = 0: it must be at least 1" in wrong.err


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('no such device')", "cannot be loaded (RuntimeError: no such device); mend or remove"),
        ("TRENDING = 3\nhit_in_first_half = 3", "is no such part but 3; mend or remove that package"),
    ],
)
def test_a_package_that_is_broken_is_named_and_harms_nothing_else(code, message, tmp_path):
    site = installed(tmp_path / "site", entries_of_the_example(), code)
    words = ("train", small_data(tmp_path), "-o", tmp_path / "run", "--quiet", "--method")
    failed, trained, metric = run(
        site,
        (*words, "trending"),
        (*words, "item-knn"),
        ("evaluate", tmp_path / "run", "--metric", "hit_in_first_half"),
    )
    assert failed.code == 1
    assert f"'trending' (ssna.methods of the package own-parts) {message}" in failed.err
    assert trained.code == 0
    assert f"'hit_in_first_half' (ssna.metrics of the package own-parts) {message}" in metric.err


def test_a_package_cannot_take_the_place_of_a_method_of_ssna(tmp_path):
    site = installed(tmp_path / "site", "[ssna.methods]\nease = own_parts:TRENDING\n")
    code = "from ssna.methods import METHODS; print(METHODS['ease'].settings.__name__)"
    (said,) = run(site, ("-c", code))
    assert said.out.strip() == "EaseSettings"


def test_a_metric_that_is_not_there_and_lists_that_are_too_short_are_errors_in_words(site, tmp_path):
    data = small_data(tmp_path, [f"thing {item}" for item in range(70)], lambda user, step: (user * 9 + step) % 70)
    words = ("evaluate", tmp_path / "run", "--metric")
    _, unknown, short = run(
        site,
        ("train", data, "-o", tmp_path / "run", "--method", "popularity", "--quiet"),
        (*words, "hits"),
        (*words, "mrr", "-k", 60),
    )
    assert "--metric hits: there is no such metric; there are recall" in unknown.err
    assert "-k 60: a run keeps lists of 50 items" in short.err
