"""Commands and snippets of README and docs are run as they are written, on a made shop and on MovieLens-100K.

A fence below ``<!-- not run: network -->`` (or ``gpu``, ``daemon``, ``hours``) is parsed alone. ``sh`` and ``python``
fences of a page run in their order, in one folder that has ``shop/`` and ``demo/``, as after ``make demo``.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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


def commands(path: Path) -> list[Snippet]:
    """What of a page is run."""
    return [s for s in snippets(path) if s.language in ("sh", "python") and s.reason is None]


def repeats(path: Path, other: Path) -> bool:
    """Whether ``other`` begins with all that ``path`` runs."""
    mine, others = ([s.code for s in commands(page)] for page in (path, other))
    return path != other and mine == others[: len(mine)]


RUN = [path for path in PAGES if commands(path) and not any(repeats(path, page) for page in PAGES)]
GUIDE = [path for path in RUN if path.parent.name == "guide"]


def environment() -> dict[str, str]:
    """``ssna`` and ``python`` are those that test; nothing is fetched."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def run_all(path: Path, prepared: Path, tmp_path: Path) -> None:
    """The snippets of a page, in a copy of ``prepared``."""
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    (folder / "tests").symlink_to(ROOT / "tests")
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    (folder / "grids").symlink_to(ROOT / "grids")
    env = environment() | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    for snippet in commands(path):
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
