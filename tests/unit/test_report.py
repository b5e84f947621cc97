"""Tables: which figure is marked, and what stands under them."""

import csv
import io
from dataclasses import replace

import pytest

from ssna.errors import ArtifactError
from ssna.experiments import RunRecord
from ssna.report import accuracy, as_csv, as_markdown, as_text

METRICS = ("R@10", "N@10", "R@50", "N@50")


def record(level: float, fingerprint: str = "f00d") -> RunRecord:
    figures = {policy: dict.fromkeys(METRICS, level) for policy in ("exclude_seen", "include_seen")}
    return RunRecord(
        method="ssna", settings={}, seed=0, fingerprint=fingerprint, cache=None, epochs=[], best_epoch=None, join=None,
        trainable_parameters=0, seconds=1.0, peak_memory_bytes=1, users=1234, items=567, valid=figures, test=figures,
        versions={}, commit=None,
    )  # fmt: skip


@pytest.fixture
def table():
    return accuracy({"low": record(0.1), "high": record(0.3), "middle": record(0.2), "middle too": record(0.2)})


def test_markdown_has_the_best_bold_and_every_second_underlined(table) -> None:
    lines = as_markdown(table).splitlines()
    assert lines[2] == "| low |" + " 0.1000 |" * 8
    assert lines[3] == "| high |" + " **0.3000** |" * 8
    assert lines[4] == "| middle |" + " <u>0.2000</u> |" * 8
    assert lines[5] == "| middle too |" + " <u>0.2000</u> |" * 8


def test_text_marks_the_best_and_the_second(table) -> None:
    rows = {line[:10].strip(): line for line in as_text(table).splitlines()[2:6]}
    assert rows["high"].count(".3000*") == 8
    assert rows["middle"].count(".2000+") == 8
    assert rows["low"].count(".1000 ") == 8


def test_every_table_for_people_names_data_users_items_and_both_policies(table) -> None:
    for written in (as_markdown(table), " ".join(as_text(table).split())):
        assert "f00d" in written
        assert "1,234 users" in written
        assert "567 items" in written
        assert "seen excluded" in written.lower()
        assert "seen included" in written.lower()


def test_csv_keeps_full_precision() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(accuracy({"a": record(1 / 3)})))))
    assert rows[0][:3] == ["method", "R@10 exclude_seen", "N@10 exclude_seen"]
    assert float(rows[1][1]) == 1 / 3


def test_runs_on_different_data_are_not_compared() -> None:
    with pytest.raises(ArtifactError, match="2 data sets"):
        accuracy({"a": record(0.1), "b": replace(record(0.2), fingerprint="beef")})
