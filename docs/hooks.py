"""Pages that are made while the site is built, so that none is tracked: tables and plots, and two files of the root."""

import hashlib
import shutil
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / ".cache" / "docs-results"  # tables take minutes, most of it the bootstrap of tests over users
MADE_OF = (
    "benchmarks/report.py",
    "benchmarks/kept.py",
    "benchmarks/published.py",
    "benchmarks/published.toml",
    "benchmarks/results/runs",
    "src/ssna/report",
    "src/ssna/evaluation",
)
FROM_ROOT = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the results under ``results/``, an index of them, and the pages that stand in the repository's root."""
    folder = results()
    made = sorted(path.relative_to(folder) for path in folder.rglob("*.*"))
    for path in made:
        files.append(File.generated(config, f"results/{path.as_posix()}", abs_src_path=str(folder / path)))
    files.append(File.generated(config, "results/tables.md", content=index(made)))
    for name, source in FROM_ROOT.items():
        content = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=content))
    return files


def results() -> Path:
    """A folder with the tables and plots of the kept runs: built anew if the runs or the code changed."""
    folder = RESULTS / fingerprint()
    if not folder.exists():
        sys.path.insert(0, str(ROOT / "benchmarks"))
        from report import build

        shutil.rmtree(RESULTS, ignore_errors=True)
        unfinished = RESULTS / "unfinished"
        unfinished.mkdir(parents=True)
        build(unfinished)
        unfinished.rename(folder)
    return folder


def fingerprint() -> str:
    """A digest of everything that tables and plots are made of."""
    digest = hashlib.sha256()
    for name in MADE_OF:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix != ".pyc":
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def index(made: list[Path]) -> str:
    """A page that links every table and shows every plot, group by group."""
    lines = [
        "# All tables and plots",
        "",
        "Built from the kept runs with this site (`benchmarks/report.py`). A group's name says which language model",
        "and which comparison it is; [the overview](index.md#the-kept-runs) says how each was made.",
    ]
    for group in sorted({path.parent.as_posix() for path in made}):
        lines += ["", f"## {group}", ""]
        pages = [path for path in made if path.parent.as_posix() == group]
        lines += [f"- [{path.stem}]({path.as_posix()})" for path in pages if path.suffix == ".md"]
        lines += ["", *(f"![{group}: {path.stem}]({path.as_posix()})" for path in pages if path.suffix == ".svg")]
    return "\n".join(lines) + "\n"
