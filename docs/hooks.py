"""Pages that are made while the site is built, so that none is tracked: tables and plots, and two files of the root."""

import sys
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
FROM_ROOT = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the results under ``results/``, an index of them, and the pages that stand in the repository's root."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from report import build

    out = Path(_FOLDER.name)
    made = sorted(path.relative_to(out) for path in build(out))
    for path in made:
        files.append(File.generated(config, f"results/{path.as_posix()}", abs_src_path=str(out / path)))
    files.append(File.generated(config, "results/tables.md", content=index(made)))
    for name, source in FROM_ROOT.items():
        content = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=content))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """The pages are in the site; their source goes."""
    _FOLDER.cleanup()


def index(made: list[Path]) -> str:
    """A page that links every table and shows every plot, group by group."""
    lines = [
        "# All tables and plots",
        "",
        "Rebuilt from the kept runs whenever this site is built (`benchmarks/report.py`). A group's name says which",
        "language model and which comparison it is; [the overview](index.md) says how each was made.",
    ]
    for group in sorted({path.parent.as_posix() for path in made}):
        lines += ["", f"## {group}", ""]
        pages = [path for path in made if path.parent.as_posix() == group]
        lines += [f"- [{path.stem}]({path.as_posix()})" for path in pages if path.suffix == ".md"]
        lines += ["", *(f"![{group}: {path.stem}]({path.as_posix()})" for path in pages if path.suffix == ".svg")]
    return "\n".join(lines) + "\n"


_FOLDER = tempfile.TemporaryDirectory(prefix="ssna-docs-")
