"""Build every table and plot from the kept runs: ``python benchmarks/report.py -o DIR``.

For every group of benchmarks/results/runs, tables as Markdown and plots as SVG go to DIR/GROUP. Beside those of
published.py's group stands our side of the figures that others published.
"""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import published
from kept import read_group

from ssna.core.errors import ArtifactError
from ssna.core.files import write_file
from ssna.report import PLOTS, TABLES, ResultGroup, draw, find, render, result_groups, tables

RUNS = Path(__file__).parent / "results" / "runs"


@dataclass(frozen=True)
class Page:
    """What a group of runs is for.

    Attributes:
        table: the only table that is built, or None for all.
        together_with: groups that are read with it.
        of: the entry whose improvement is shown.
    """

    table: str | None = None
    together_with: tuple[str, ...] = ()
    of: str | None = None


PAGES = {
    "minilm-integration": Page("integration", ("minilm-overall",)),
    "minilm-layers": Page("layers", ("minilm-overall",)),
    "minilm-transfer": Page(of="zero-shot"),
    "minilm-best": Page(together_with=("minilm-overall", "minilm-best-configurations"), of="best"),
    "minilm-distilled": Page(of="best"),
    "minilm-undistilled": Page(of="best"),
    published.GROUP: Page(of="best"),
}


def build(out: Path) -> list[Path]:
    """Write ``out/GROUP/*.md`` and ``out/GROUP/*.svg`` for every kept group; the paths written."""
    with TemporaryDirectory() as unpacked:
        runs = Path(unpacked)
        groups = sorted(path.stem for path in RUNS.glob("*.json"))
        for group in groups:
            unpack(RUNS / group, runs / group)
        beside = out / published.GROUP / "published.md"
        beside.parent.mkdir(parents=True, exist_ok=True)
        write_file(beside, published.written(runs / published.GROUP))
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            return [beside, *(path for written in pool.map(partial(_page, runs, out), groups) for path in written)]


def unpack(group: Path, folder: Path) -> None:
    """The runs of a kept group as run folders below ``folder``; none where the group is not kept."""
    if group.with_name(f"{group.name}.json").exists():
        for path, run in read_group(group).items():
            run.unpack(folder / path)


def _page(runs: Path, out: Path, group: str) -> list[Path]:
    page, target = PAGES.get(group, Page()), out / group
    found = result_groups(find([runs / group, *(runs / name for name in page.together_with)]))
    target.mkdir(parents=True, exist_ok=True)
    makers: dict[Path, Callable[[Path], None]] = {
        **{target / f"{name}.md": partial(_table, name, found, page.of) for name in TABLES},
        **{target / f"{name}.svg": partial(_plot, name, found) for name in PLOTS},
    }
    written = []
    for path, make in makers.items():
        if page.table in (None, path.stem):
            with suppress(ArtifactError):  # these runs hold nothing for it
                make(path)
                written.append(path)
    return written


def _table(name: str, found: Sequence[ResultGroup], of: str | None, path: Path) -> None:
    write_file(path, render(tables(name, found, of, paper=True), "md"))


def _plot(name: str, found: Sequence[ResultGroup], path: Path) -> None:
    draw(PLOTS[name](found), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    written = build(parser.parse_args().out)
    print("\n".join(map(str, written)))


if __name__ == "__main__":
    main()
