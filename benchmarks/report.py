"""Rebuild every committed table and plot from the committed runs: `make report`.

For every folder of benchmarks/results/runs, tables as Markdown and plots as SVG go to benchmarks/results/NAME.
"""

from collections.abc import Sequence
from pathlib import Path

from ssna.errors import ArtifactError
from ssna.files import write_file
from ssna.report import PLOTS, TABLES, Bench, benches, draw, find, render, tables

RESULTS = Path(__file__).parent / "results"
ONE_TABLE = {  # folder of runs -> the one table they are for, and the runs that the method itself adds to it
    "minilm-integration": ("integration", "minilm-overall"),
    "minilm-layers": ("layers", "minilm-overall"),
}


def main() -> None:
    for runs in sorted(path for path in (RESULTS / "runs").iterdir() if path.is_dir()):
        only, *beside = ONE_TABLE.get(runs.name, (None,))
        found = benches(find([runs, *(runs.parent / name for name in beside)]))
        target = RESULTS / runs.name
        target.mkdir(exist_ok=True)
        for old in target.iterdir():
            old.unlink()
        written = [*_tables(found, target, only), *_plots(found, target, only)]
        print(f"{target.relative_to(RESULTS.parent)}: {', '.join(written)}")


def _tables(found: Sequence[Bench], target: Path, only: str | None) -> list[str]:
    written = []
    for name in TABLES:
        if only not in (None, name):
            continue
        try:
            content = render(tables(name, found, paper=True), "md")
        except ArtifactError:  # these runs hold nothing for it
            continue
        write_file(target / f"{name}.md", content)
        written.append(f"{name}.md")
    return written


def _plots(found: Sequence[Bench], target: Path, only: str | None) -> list[str]:
    written = []
    for name, plot in PLOTS.items():
        if only not in (None, name):
            continue
        try:
            draw(plot(found), target / f"{name}.svg")
        except ArtifactError:
            continue
        written.append(f"{name}.svg")
    return written


if __name__ == "__main__":
    main()
