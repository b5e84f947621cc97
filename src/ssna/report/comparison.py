"""Runs side by side, in Python: tables as frames, plots as figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ssna.core.arguments import checked
from ssna.core.errors import SettingsError, there_are
from ssna.core.frames import Tabular
from ssna.report import formats
from ssna.report.groups import ResultGroup, find, result_groups
from ssna.report.plots import PLOTS
from ssna.report.table import Table
from ssna.runs import Run

_LINES = 20


@dataclass(frozen=True, eq=False, repr=False)
class Tables(Tabular):
    """Tables of one kind, one for each data set and language model."""

    tables: tuple[Table, ...]

    def to_arrow(self) -> pa.Table:
        """Full precision, and columns that say which table a row is of.

        Of tables whose rows are of different kinds, as methods and bins of items are, those like the first. ``tables``
        has all of them.
        """
        kind = self.tables[0].head[0]
        alike = [pa.table(formats.columns(table)) for table in self.tables if table.head[0] == kind]
        return pa.concat_tables(alike, promote_options="permissive")

    def __str__(self) -> str:
        return formats.render(self.tables, "text")

    def __repr__(self) -> str:
        lines = str(self).splitlines()
        more = f"\n… {len(lines):,} lines; print() shows them all" if len(lines) > _LINES else ""
        return "\n".join(lines[:_LINES]) + more

    def _repr_html_(self) -> str:
        return formats.render(self.tables, "html")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Finished runs that may be compared."""

    groups: tuple[ResultGroup, ...]

    @checked
    def table(self, name: str = "accuracy", of: str | None = None, paper: bool = False) -> Tables:
        """One of the tables of ``ssna compare``.

        Args:
            name: ``accuracy``, ``improvement``, ``runtime``, ``memory``, ``integration``, ``layers``,
                ``best-settings``, ``cold``, ``new-items`` or ``history``.
            of: for ``improvement``: the method that the others are compared with; ssna unless given.
            paper: add the paper's figures, marked as theirs.

        Raises:
            SettingsError: there is no such table. ArtifactError: the runs have nothing for it.
        """
        from ssna.report import TABLES, tables

        if name not in TABLES:
            raise SettingsError(f"there is no table {name!r}; {there_are(TABLES, name)}")
        return Tables(tuple(tables(name, self.groups, of, paper)))

    @checked
    def plot(self, name: str = "accuracy") -> Any:
        """A plot of ``ssna compare`` as a figure of matplotlib, which a notebook shows.

        Raises:
            SettingsError: there is no such plot. ArtifactError: the runs have nothing for it.
        """
        if name not in PLOTS:
            raise SettingsError(f"there is no plot {name!r}; {there_are(PLOTS, name)}")
        return PLOTS[name](self.groups)

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def compare(runs: Run | str | Path | Sequence[Run | str | Path]) -> Comparison:
    """Finished runs side by side, for each data set and language model; runs of other seeds are one method.

    Args:
        runs: what ``train`` returned, with ``out``, or folders: of runs, or that hold runs at any depth.

    Raises:
        SettingsError: one is neither, or was not kept. ArtifactError: a folder holds no run, or a damaged one.
    """
    given = [runs] if isinstance(runs, Run | str | Path) else runs
    if not isinstance(given, Sequence) or not all(isinstance(run, Run | str | Path) for run in given) or not given:
        raise SettingsError("compare takes a list of runs, or of their folders: compare([run, 'runs/cease'])")
    return Comparison(tuple(result_groups(find([_folder(run) for run in given]))))


def _folder(run: Run | str | Path) -> Path:
    if not isinstance(run, Run):
        return Path(run)
    if run.folder is None:
        raise SettingsError(f"{run!r} was not kept, and a comparison reads folders; train it with out='FOLDER'")
    return run.folder
