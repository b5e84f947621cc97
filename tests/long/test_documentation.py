"""Commands and snippets of README and docs are run as they are written, on a made shop and on MovieLens-100K.

A fence below ``<!-- not run: network -->`` (or ``gpu``, ``daemon``, ``hours``) is parsed alone. ``sh`` and ``python``
fences of a page run in their order, in one folder that has ``shop/`` and ``demo/``, as after ``make demo``.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import shop
import ssna
from ssna.data import save
from ssna.data.holdout import holdout_items
from ssna.runs import demo

ROOT = Path(__file__).parents[2]
WHEEL = ROOT / ".cache" / demo.WHEEL
REASONS = {"network", "gpu", "daemon", "hours"}
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>\w+) -->\n+)?(?P<indent> *)```(?P<language>\w*)[^\n]*\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECONDS = 600


@dataclass(frozen=True)
class Snippet:
    """A fence: its language, its code, the line where it begins, and why it is not run."""

    language: str
    code: str
    line: int
    reason: str | None


def snippets(path: Path) -> list[Snippet]:
    text = path.read_text(encoding="utf-8")
    return [
        Snippet(
            m["language"],
            re.sub(rf"(?m)^{m['indent']}", "", m["code"]),
            text.count("\n", 0, m.start()) + 1,
            m["reason"],
        )
        for m in FENCE.finditer(text)
    ]


RUN = [path for path in PAGES if any(s.language in ("sh", "python") and s.reason is None for s in snippets(path))]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A folder with ``shop/`` and, as ``make demo`` leaves it, ``demo/``; its models have learned for an epoch."""
    folder = tmp_path_factory.mktemp("documented")
    shop.write(folder / "shop", customers=700, products=240)
    if not WHEEL.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", WHEEL.parent, "recbole==1.2.1"],
            check=True,
        )
    raw = demo.unpack(WHEEL, folder / "demo")
    films = ssna.prepare(raw, format="recbole", out=folder / "demo" / "films", quiet=True)
    cache = ssna.encode(films, "minilm", folder / "demo" / "cache", quiet=True)
    data, _ = holdout_items(films, demo.HELD_OUT, np.random.default_rng(0))
    save(data, folder / "demo" / "data")
    short = ["training.epochs=1", "training.limit_train_batches=4"]
    for name, how in {"best": {"recipe": "best", "settings": short}, "cease": {"method": "cease"}}.items():
        ssna.train(data, cache, out=folder / "demo" / "runs" / name, name="data", quiet=True, **how)
    return folder


def environment() -> dict[str, str]:
    """``ssna`` and ``python`` are those that test; nothing is fetched."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


@pytest.mark.long
@pytest.mark.parametrize("path", RUN, ids=lambda path: str(path.relative_to(ROOT)))
def test_documented_commands_run_as_they_are_written(path, prepared, tmp_path):
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    (folder / "tests").symlink_to(ROOT / "tests")
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    (folder / "grids").symlink_to(ROOT / "grids")
    env = environment() | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    for snippet in snippets(path):
        if snippet.reason is not None or snippet.language not in ("sh", "python"):
            continue
        begin = ["bash", "-euo", "pipefail", "-c"] if snippet.language == "sh" else [sys.executable, "-c"]
        done = subprocess.run(
            [*begin, snippet.code],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
        where = f"{path.relative_to(ROOT)}:{snippet.line}"
        assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{snippet.code}\n{done.stderr[-3000:]}"


@pytest.mark.long
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_not_run_is_marked_and_can_be_parsed(path):
    for snippet in snippets(path):
        assert snippet.language, f"{path}:{snippet.line}: a fence without a language"
        assert snippet.reason in {None, *REASONS}, f"{path}:{snippet.line}: {snippet.reason}"
        if snippet.language == "python":
            ast.parse(snippet.code)
        elif snippet.language == "sh":
            subprocess.run(["bash", "-n", "-c", snippet.code], check=True, capture_output=True)
            for line in snippet.code.replace("\\\n", " ").splitlines():
                command = shlex.split(line, comments=True)
                if command and command[0] == "ssna":
                    require_known(command[1:], f"{path}:{snippet.line}")


def require_known(arguments: list[str], where: str) -> None:
    """The verb of a command, and every long option of it, are in its help."""
    from test_vocabulary import command_words

    verb, *rest = [word for word in arguments if word not in ("--version", "--help")] or [None]
    if verb is None:
        return
    known = command_words(verb)
    unknown = [word.split("=")[0] for word in rest if word.startswith("--") and word.split("=")[0] not in known]
    assert not unknown, f"{where}: ssna {verb} has no {unknown[0]}"


def test_fences_are_found():
    assert snippets(ROOT / "README.md")
    assert RUN
