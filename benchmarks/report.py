"""Rebuild every committed table and plot from the committed runs: `make report`.

For every folder of benchmarks/results/runs, tables as Markdown and plots as SVG go to benchmarks/results/NAME.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssna.errors import ArtifactError
from ssna.files import write_file
from ssna.report import PLOTS, TABLES, Bench, benches, draw, find, render, tables

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Page:
    """What a folder of runs is for: one table or all; what is read with it; and whose improvement is shown."""

    table: str | None = None
    beside: tuple[str, ...] = ()
    of: str | None = None


PAGES = {
    "minilm-integration": Page("integration", ("minilm-overall",)),
    "minilm-layers": Page("layers", ("minilm-overall",)),
    "minilm-transfer": Page(of="zero-shot"),
    "minilm-best": Page(beside=("minilm-overall", "minilm-winners"), of="best"),
    "minilm-taught": Page(of="best"),
    "minilm-untaught": Page(of="best"),
}


def main() -> None:
    for runs in sorted(path for path in (RESULTS / "runs").iterdir() if path.is_dir()):
        page = PAGES.get(runs.name, Page())
        found = benches(find([runs, *(runs.parent / name for name in page.beside)]))
        target = RESULTS / runs.name
        target.mkdir(exist_ok=True)
        for old in target.iterdir():
            old.unlink()
        written = [*_tables(found, target, page), *_plots(found, target, page)]
        print(f"{target.relative_to(RESULTS.parent)}: {', '.join(written)}")


def _tables(found: Sequence[Bench], target: Path, page: Page) -> list[str]:
    written = []
    for name in TABLES:
        if page.table not in (None, name):
            continue
        try:
            content = render(tables(name, found, page.of, paper=True), "md")
        except ArtifactError:  # these runs hold nothing for it
            continue
        write_file(target / f"{name}.md", content)
        written.append(f"{name}.md")
    return written


def _plots(found: Sequence[Bench], target: Path, page: Page) -> list[str]:
    written = []
    for name, plot in PLOTS.items():
        if page.table not in (None, name):
            continue
        try:
            draw(plot(found), target / f"{name}.svg")
        except ArtifactError:
            continue
        written.append(f"{name}.svg")
    return written


if __name__ == "__main__":
    main()
