import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import peers
import threads
from peers import Figures, Row

PAIRS = [(Path("one/data"), Path("one/cache"))]
SCRIPT = """
import json, sys
from pathlib import Path
Path("runs").open("a").write("x")
if "fail" in sys.argv: sys.exit(3)
Path(sys.argv[sys.argv.index("-o") + 1]).write_text(json.dumps({"figure": float(sys.argv[1])}))
"""


@pytest.fixture
def row(tmp_path, monkeypatch):
    """A row whose script notes that it runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(peers, "commit", lambda: "abc")
    (tmp_path / "script.py").write_text(SCRIPT)
    return Row(
        "a row, of 1", "script.py", ("5",), lambda found: Figures(found["figure"], 2.0, found["figure"] / 2, "s")
    )


def runs() -> int:
    return len(Path("runs").read_text())


@pytest.mark.fork
def test_a_row_that_was_measured_is_not_measured_again_until_its_command_or_the_code_changes(
    row, tmp_path, monkeypatch
):
    assert peers.run_row(row, tmp_path, tmp_path) == Figures(5.0, 2.0, 2.5, "s")
    assert peers.run_row(row, tmp_path, tmp_path) == Figures(5.0, 2.0, 2.5, "s")
    assert runs() == 1
    assert peers.run_row(replace(row, arguments=("6",)), tmp_path, tmp_path) == Figures(6.0, 2.0, 3.0, "s")
    assert runs() == 2
    monkeypatch.setattr(peers, "commit", lambda: "def")
    assert peers.run_row(replace(row, arguments=("6",)), tmp_path, tmp_path) is not None
    assert runs() == 3


@pytest.mark.fork
def test_a_row_that_fails_is_told_and_run_again(row, tmp_path, capsys):
    broken = replace(row, arguments=("5", "fail"))
    assert peers.run_row(broken, tmp_path, tmp_path) is None
    assert "script.py failed with exit status 3: a row, of 1" in capsys.readouterr().err
    assert peers.run_row(broken, tmp_path, tmp_path) is None
    assert runs() == 2


def test_the_table_has_both_figures_and_the_ratio_of_every_row():
    shown = peers.lines({"fast row": Figures(12_345.6, 100.0, 123.456, "users/s"), "row": None}).splitlines()
    assert [line.split() for line in shown] == [
        ["what", "ssna", "peer", "ratio"], ["fast", "row", "12,346", "100", "users/s", "123.46"], ["row", "failed"],
    ]  # fmt: skip


def test_ratios_are_above_1_where_ssna_is_ahead():
    ranking = {"sizes": [{"users_a_second": {"top": [3.0, 4.0, 9.0], "faiss": [2.0] * 3}, "ratio": {"faiss": 2.0}}]}
    assert peers.of_ranking(ranking) == Figures(4.0, 2.0, 2.0, "users/s")
    prepared = {"median": {"ssna": {"seconds": 2.0}, "polars": {"seconds": 3.0}}, "ratio": {"polars": 1.5}}
    assert peers.of_prepare(prepared) == Figures(2.0, 3.0, 1.5, "s")
    read = {"tokens_a_second": {"ours": [6.0], "theirs": [4.0]}, "ratio": 1.5}
    assert peers.of_encode(read) == Figures(6.0, 4.0, 1.5, "tokens/s")
    loaded = {"seconds": {"unset": [8.0], "1": [6.0], "2": [9.0]}, "best": "1", "ratio": 0.75}
    assert peers.of_threads(loaded) == Figures(8.0, 6.0, 0.75, "s")


@pytest.mark.parametrize("full", [False, True])
def test_every_row_has_a_name_of_its_own_and_a_script_that_is_there(full):
    found = peers.rows(PAIRS, full)
    assert len({row.name for row in found}) == len(found)
    assert all((peers.HERE / row.script).exists() for row in found)
    assert {row.script for row in found} == {"rank.py", "prepare.py", "encode.py", "threads.py"}


@pytest.mark.parametrize(("folders", "said"), [(["data"], "no cache"), (["a/data", "x", "b/data", "y"], "two data")])
def test_data_and_caches_come_by_turns_and_under_names_of_their_own(folders, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["peers.py", *folders])
    with pytest.raises(SystemExit):
        peers.main()
    assert said in capsys.readouterr().err


def test_threads_are_tried_from_one_to_all_processors():
    assert [threads.numbers(count) for count in (1, 2, 6, 8)] == [
        ["1"], ["1", "2"], ["1", "2", "4", "6"], ["1", "2", "4", "8"],
    ]  # fmt: skip


def test_the_variable_is_unset_where_ssna_chooses(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in threads.variables(threads.UNSET)
    assert threads.variables("2")["OMP_NUM_THREADS"] == "2"


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "arguments"),
    [("rank.py", ("--items", "2000", "--users", "64", "--rounds", "1")),
     ("prepare.py", ("--rows", "2000", "--against", "polars", "--rounds", "1"))],
)  # fmt: skip
def test_what_the_scripts_keep_is_what_the_table_reads(script, arguments, tmp_path):
    pytest.importorskip("faiss")
    row = next(row for row in peers.rows(PAIRS, False) if row.script == script)
    found = peers.run_row(replace(row, arguments=arguments), tmp_path)
    assert found is not None
    assert min(found.ours, found.theirs, found.ratio) > 0
