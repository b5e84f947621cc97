"""A group of runs that several tables are made of."""

from pathlib import Path

import pytest
from some_runs import figures, group_of, make_run, of_grid

from ssna.report.groups import ResultGroup


@pytest.fixture
def group(tmp_path: Path) -> ResultGroup:
    """Three methods, one of them over two seeds."""
    make_run(tmp_path / "tmlp", method="tmlp", test=figures(0.1))
    make_run(tmp_path / "ssna-0", test=figures(0.3), **of_grid("ssna"))
    make_run(tmp_path / "ssna-1", seed=1, test=figures(0.4), **of_grid("ssna"))
    make_run(tmp_path / "popularity", method="popularity", model=None, epochs=0, test=figures(0.2))
    return group_of(tmp_path)
