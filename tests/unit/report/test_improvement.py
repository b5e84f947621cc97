"""Improvement: of whom, over whom, over data sets and over users, and with which test."""

from math import log2
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from some_runs import POLICIES, make_run

from ssna.core.errors import ArtifactError
from ssna.evaluation.significance import holm, paired_t
from ssna.report import find, improvement, result_groups
from ssna.report.cells import METRICS
from ssna.report.table import Figure, Table
from ssna.runs.record import RANKS

USERS = 12
KNOWN = {"history": [3] * USERS, "events": list(range(USERS))}


def a_run(folder: Path, ranks: list[int] | None = None, scores: float = 0.1, **changes: Any) -> None:
    test = {policy: dict.fromkeys(METRICS, scores) for policy in POLICIES}
    make_run(folder, **{"ranks": ranks or [1] * USERS, "test": test} | KNOWN | changes)


def improved(folder: Path, of: str | None = None) -> list[Table]:
    return improvement(result_groups(find([folder])), of)


def over_data(folder: Path, own: list[float], theirs: list[float]) -> Table:
    for number, (ours, other) in enumerate(zip(own, theirs, strict=True)):
        for name, level in (("ssna", ours), ("tmlp", other)):
            a_run(folder / f"data-{number}" / name, scores=level, method=name, fingerprint=f"f{number}",
                  grid={"data": f"d{number}", "entry": name, "configuration": {}})  # fmt: skip
    return improved(folder)[0]


def test_the_improvement_is_the_mean_of_the_relative_gains(tmp_path: Path) -> None:
    table = over_data(tmp_path, [0.12, 0.3], [0.10, 0.2])
    assert table.head == ("model", "seen", "metric", "tmlp")
    assert [row[2] for row in table.rows] == list(METRICS) * 2
    assert [row[3].value for row in table.rows] == pytest.approx([(0.2 + 0.5) / 2] * 8)


@pytest.mark.parametrize(
    ("own", "marked"),
    # over .1 twice: t is mean / half the distance, on one degree of freedom; p = 1 - 2 / pi * atan(t): .156 and .126
    [([0.15, 0.13], False), ([0.16, 0.14], True), ([0.05, 0.07], False), ([0.04, 0.06], True)],
)
def test_a_star_is_the_paired_t_test_over_data_sets_at_85_percent(
    tmp_path: Path, own: list[float], marked: bool
) -> None:
    table = over_data(tmp_path, own, [0.1, 0.1])
    assert {row[3].mark for row in table.rows} == {"*" if marked else ""}


def test_one_data_set_has_no_test_over_data_sets_and_says_so(tmp_path: Path) -> None:
    table = over_data(tmp_path, [0.2], [0.1])
    assert table.rows[0][3] == Figure(1.0, "signed")
    assert "one data set, so no test over data sets" in "\n".join(table.notes)
    assert table.title == "Improvement of ssna, one data set"
    assert "averaged" not in "\n".join(table.notes)


def test_a_mean_over_data_sets_is_called_one(tmp_path: Path) -> None:
    table = over_data(tmp_path, [0.12, 0.3], [0.10, 0.2])
    assert table.title == "Improvement of ssna, mean over data sets"
    assert "averaged over data sets" in table.notes[0]


@pytest.mark.parametrize(("of", "words"), [(None, "a run of ssna"), ("b", "b")])
def test_data_without_the_reference_are_named_as_not_shown(tmp_path: Path, of: str | None, words: str) -> None:
    for name in ("b", "tmlp"):
        a_run(tmp_path / name, method="ssna" if name == "b" else name)
    for name in ("tmlp", "tmoe"):
        a_run(tmp_path / "time" / name, method=name, fingerprint="beef", data={"split": "time"})
    table = improved(tmp_path, of)[0]
    assert f"Not shown, without {words}: scientific, split by time, distilbert-base-uncased." in table.notes


def test_rows_of_two_splits_are_told_apart(tmp_path: Path) -> None:
    for split in ("leave-one-out", "time"):
        for name in ("ssna", "tmlp"):
            a_run(tmp_path / split / name, method=name, fingerprint=split, data={"split": split},
                  grid={"data": split, "entry": name, "configuration": {}})  # fmt: skip
    names = dict.fromkeys(row[0] for row in improved(tmp_path)[0].rows)
    assert [*names] == ["distilbert-base-uncased, last item of every user", "distilbert-base-uncased, split by time"]


def test_a_baseline_that_finds_nothing_leaves_no_ratio(tmp_path: Path) -> None:
    assert over_data(tmp_path, [0.2], [0.0]).rows[0][3] is None


def rows_of(table: Table, over: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {(row[1], row[2]): row[3:] for row in table.rows if row[0] == over}


def test_the_difference_a_user_is_hand_computed(tmp_path: Path) -> None:
    a_run(tmp_path / "ssna", [1] * 6 + [3] * 6)
    a_run(tmp_path / "tmlp", [1] * 6 + [20] * 6, method="tmlp")
    _, table = improved(tmp_path)
    found = {measure: cells[0].value for measure, cells in rows_of(table, "tmlp").items()}
    for seen in ("seen excluded", "seen included"):
        assert found[seen, "R@10"] == pytest.approx(0.5)
        assert found[seen, "N@10"] == pytest.approx(0.5 / log2(4))
        assert found[seen, "R@50"] == pytest.approx(0.0)
        assert found[seen, "N@50"] == pytest.approx(0.5 * (1 / log2(4) - 1 / log2(21)))


def test_seeds_are_averaged_for_each_user(tmp_path: Path) -> None:
    grid = {"data": "d", "entry": "ssna", "configuration": {}}
    a_run(tmp_path / "ssna-0", [1] * USERS, seed=0, grid=grid)
    a_run(tmp_path / "ssna-1", [40] * USERS, seed=1, grid=grid)
    a_run(tmp_path / "tmlp", [40] * USERS, method="tmlp")
    _, table = improved(tmp_path)
    assert rows_of(table, "tmlp")["seen excluded", "R@10"][0].value == pytest.approx(0.5)


def test_p_values_are_holm_corrected_over_the_whole_table(tmp_path: Path) -> None:
    own = [1] * USERS
    others = {"tmlp": [1] * 2 + [20] * 10, "tmoe": [1] * 10 + [40] * 2}
    a_run(tmp_path / "ssna", own)
    for name, ranks in others.items():
        a_run(tmp_path / name, ranks, method=name)
    _, table = improved(tmp_path)

    def gain(metric: str, rank: int) -> float:
        k = int(metric[2:])
        return 0.0 if rank == 1 else 1.0 - (rank <= k) * (1.0 if metric[0] == "R" else 1 / log2(1 + rank))

    raw = [
        paired_t([gain(metric, rank) for rank in ranks])
        for ranks in others.values()
        for _ in POLICIES
        for metric in METRICS
    ]
    assert [row[-1].value for row in table.rows] == pytest.approx(holm(raw))
    assert [bool(row[3].mark) for row in table.rows] == [p < 0.05 for p in holm(raw)]
    assert {bool(row[3].mark) for row in table.rows} == {True, False}
    assert "the family is the 16 tests of this table (2 methods, 4 metrics, 2 policies)" in "\n".join(table.notes)


def test_the_interval_surrounds_the_difference_and_is_the_same_every_time(tmp_path: Path) -> None:
    a_run(tmp_path / "ssna", [1] * 8 + [50] * 4)
    a_run(tmp_path / "tmlp", [1] * 4 + [50] * 8, method="tmlp")
    first, second = improved(tmp_path)[1], improved(tmp_path)[1]
    assert first == second
    difference, low, high, _ = rows_of(first, "tmlp")["seen excluded", "R@10"]
    assert 0 < low.value < difference.value < high.value < 1


def test_the_reference_is_named_ssna_or_is_of_the_method_or_is_named_by_of(tmp_path: Path) -> None:
    a_run(tmp_path / "a", method="tmlp")
    a_run(tmp_path / "b")
    a_run(tmp_path / "c")
    assert improved(tmp_path)[0].title.startswith("Improvement of b,")
    assert improved(tmp_path, of="c")[0].title.startswith("Improvement of c,")
    a_run(tmp_path / "ssna", method="tmlp")
    assert improved(tmp_path)[0].title.startswith("Improvement of ssna,")


@pytest.mark.parametrize("of", [None, "lora"])
def test_without_a_reference_the_remedy_is_named(tmp_path: Path, of: str | None) -> None:
    a_run(tmp_path / "tmlp", method="tmlp")
    with pytest.raises(ArtifactError, match="--of NAME, one of tmlp"):
        improved(tmp_path, of)


@pytest.mark.parametrize("known", [{"ranks": [1] * 11, "history": [3] * 11, "events": [0] * 11}, {"events": [5] * 12}])
def test_runs_that_rank_other_users_are_not_paired(tmp_path: Path, known: dict[str, Any]) -> None:
    a_run(tmp_path / "ssna")
    a_run(tmp_path / "tmlp", method="tmlp", **known)
    with pytest.raises(ArtifactError, match="ranks other users than"):
        improved(tmp_path)


def test_ranks_without_a_column_are_damaged(tmp_path: Path) -> None:
    a_run(tmp_path / "ssna")
    a_run(tmp_path / "tmlp", method="tmlp")
    file = tmp_path / "tmlp" / RANKS
    pq.write_table(pq.read_table(file).drop_columns("rank_include_seen"), file)
    with pytest.raises(ArtifactError, match="damaged"):
        improved(tmp_path)


def test_improvement_reads_no_more_than_records_and_ranks(tmp_path: Path) -> None:
    a_run(tmp_path / "ssna")
    a_run(tmp_path / "tmlp", method="tmlp")
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {"record.json", RANKS}
    assert len(improved(tmp_path)) == 2
