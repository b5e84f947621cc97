"""The comparison of ``benchmarks/prepare.py`` is honest: the same job, or no figures."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("polars", reason="the extra bench is not installed")
pytest.importorskip("pandas", reason="the extra bench is not installed")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from prepare import command, main, measured, require_equal
from prepare_log import write_log

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_log_is_the_same_for_the_same_seed_and_another_for_another(tmp_path, kind):
    written = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        written.append([path.read_bytes() for path in write_log(tmp_path / name, 2_000, kind, seed)])
    assert written[0] == written[1]
    assert written[0] != written[2]


@pytest.mark.long
def test_all_three_give_the_same_data_set_and_the_figures_are_kept(tmp_path, monkeypatch):
    out = tmp_path / "found.json"
    arguments = ["--rows", "20000", "--rounds", "1", "--against", "polars", "--against", "pandas", "-o", str(out)]
    monkeypatch.setattr(sys, "argv", ["prepare.py", *arguments])
    main()
    found = json.loads(out.read_text())
    assert found["data"]["rows_read"] == 20_000
    assert found["ratio"]["polars"] == found["median"]["polars"]["seconds"] / found["median"]["ssna"]["seconds"]
    assert all(20 < cost["mebibytes"] < 4_000 for cost in found["median"].values())


def test_another_order_of_events_is_no_comparison(tmp_path):
    log, items = write_log(tmp_path, 5_000, "parquet", 0)
    for name in ("ssna", "pandas"):
        (tmp_path / name).mkdir()
        measured(command(name, log, items, tmp_path / name))
    require_equal(tmp_path / "ssna", tmp_path / "pandas")
    path = tmp_path / "pandas" / "train.parquet"
    table = pq.read_table(path)
    order = np.arange(len(table))
    order[[0, 1]] = order[[1, 0]]
    pq.write_table(table.take(order), path)
    with pytest.raises(SystemExit, match="other train events"):
        require_equal(tmp_path / "ssna", tmp_path / "pandas")
