"""Spark answers histories as one machine does, whoever is killed meanwhile."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ssna
from spark_settings import QUICK

from ssna.batch import recommend_all
from ssna.batch import run as module
from ssna.core.errors import DataError, SettingsError, SsnaError
from ssna.core.rules import Rules
from ssna.data.attributes import Attributes
from ssna.recommender import Recommender
from ssna.scoring import Ensemble, FrequencyWeights, Member

pytestmark = pytest.mark.spark
pyspark = pytest.importorskip("pyspark", reason="the extra spark is not installed")
ITEMS, PART = 30, 40


def write_histories(path: Path, count: int, wrong: int | None = None) -> Path:
    """Known and unknown items, empty and missing histories; the one at ``wrong`` has a blank id."""
    rng = np.random.default_rng(0)
    histories = [
        None if row % 10 == 9 else [f"i{item}" for item in rng.integers(1, ITEMS + 4, rng.integers(0, 7))]
        for row in range(count)
    ]
    if wrong is not None:
        histories[wrong] = [" "]
    schema = pa.schema({"user": pa.int64(), "history": pa.list_(pa.string())})
    pq.write_table(pa.table({"user": range(count), "history": histories}, schema), path, row_group_size=10_001)
    return path


def require_same(found: pa.Table, expected: pa.Table) -> None:
    """Scores that are no ties are of the same items."""
    for name in ("user", "known", "error"):
        assert found[name].to_pylist() == expected[name].to_pylist()
    for name in ("items", "scores"):
        assert found[name].combine_chunks().offsets.equals(expected[name].combine_chunks().offsets)
    scores = [table["scores"].combine_chunks().flatten().to_numpy() for table in (found, expected)]
    assert np.allclose(*scores, rtol=0, atol=1e-5)
    items = [np.array(table["items"].combine_chunks().flatten().to_pylist()) for table in (found, expected)]
    differ = items[0] != items[1]
    near = np.abs(np.diff(scores[1], append=np.inf)) < 1e-5
    assert not (differ & ~near & ~np.roll(near, 1)).any()
    assert differ.sum() <= 0.01 * len(differ)


@pytest.fixture(scope="module")
def shop(run_folders, tmp_path_factory) -> Path:
    """A model whose items have attributes, of which five are new."""
    plain = Recommender.load(run_folders["ssna"])
    weights = FrequencyWeights.equal(1, np.concatenate([plain.counts[:-5], np.zeros(5, dtype=np.int64)]))
    scorer = Ensemble([Member(plain.scorer, 1.0, 1.0)], weights)
    columns = {"price": [1.5 * n for n in range(ITEMS)], "brand": [("Acme", "Brevik")[n % 2] for n in range(ITEMS)]}
    folder = tmp_path_factory.mktemp("shop") / "model"
    replace(plain, scorer=scorer, attributes=Attributes(pa.table(columns))).save(folder)
    return folder


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, "PART", PART)


@pytest.mark.parametrize("out", ["folder", "one.parquet"])
@pytest.mark.parametrize("rows", [230, 0])
def test_spark_writes_what_one_machine_writes(session, run_folders, tmp_path, small, out, rows):
    users = write_histories(tmp_path / "users.parquet", rows, wrong=117 if rows else None)
    (tmp_path / "local").mkdir()
    reports = [
        recommend_all(run_folders["ssna"], users, tmp_path / part / out, 4, new_items=0.0, quiet=True, **options)
        for part, options in (("local", {}), ("spark", {"engine": "spark"}))
    ]
    found, expected = (pq.read_table(tmp_path / part / out) for part in ("spark", "local"))
    require_same(found, expected)
    assert found.schema == expected.schema
    counts = [(each.histories, each.reused, each.unanswerable, each.errors) for each in reports]
    assert counts[0] == counts[1]
    assert counts[1][3] == (1 if rows else 0)


@pytest.mark.parametrize(
    "rules",
    [
        {"where": "price < 20 and not brand = Acme"},
        {"boost": [{"factor": 9, "where": "brand = Acme"}, {"factor": 0.5, "where": {"<": ["price", 8]}}]},
        {"at_least": {"items": 3, "where": "price > 30"}},
        {"diversity": 0.7},
        {
            "where": "price < 35", "boost": [{"factor": 9, "where": "brand = Acme"}],
            "at_least": {"items": 2, "where": "price < 6"}, "diversity": 0.3,
        },
    ],
)  # fmt: skip
@pytest.mark.parametrize("new_items", [0.0, 1.5])
def test_rules_mean_the_same_on_spark(session, shop, tmp_path, small, rules, new_items):
    users, found = write_histories(tmp_path / "users.parquet", 100, wrong=17), {}
    options = {"new_items": new_items, "quiet": True}
    for name, more in (("plain", {}), ("local", {"rules": rules}), ("spark", {"rules": rules, "engine": "spark"})):
        given = {**more, "rules": Rules.of(**more["rules"])} if more else {}
        recommend_all(shop, users, tmp_path / name, 4, **options, **given)
        found[name] = pq.read_table(tmp_path / name)
    require_same(found["spark"], found["local"])
    assert found["local"]["items"].to_pylist() != found["plain"]["items"].to_pylist()


def test_rules_that_do_not_fit_are_told_as_by_one_machine(session, shop, run_folders, tmp_path):
    users = write_histories(tmp_path / "users.parquet", 5)
    for run, rules, said in (
        (shop, {"where": "prise < 3"}, r"^where\.<: no attribute is called .prise.; there are price, brand"),
        (run_folders["ssna"], {"where": "price < 3"}, "^where: the model's items have no attributes"),
        (run_folders["item-knn"], {"diversity": 0.5}, "has neighbours or counts, no vectors, so diversity must be 0"),
    ):
        for engine in ("local", "spark"):
            with pytest.raises(SsnaError, match=said):
                recommend_all(run, users, tmp_path / "out", rules=Rules.of(**rules), quiet=True, engine=engine)


def test_either_engine_goes_on_where_the_other_one_stopped(session, run_folders, tmp_path, small):
    users, out = write_histories(tmp_path / "users.parquet", 230), tmp_path / "out"
    recommend_all(run_folders["ssna"], users, out, 4, quiet=True)
    before = pq.read_table(out)
    for engine, lost in (("spark", 2), ("local", 3)):
        (out / f"part-0000{lost}.parquet").unlink()
        report = recommend_all(run_folders["ssna"], users, out, 4, quiet=True, engine=engine)
        assert (report.histories, report.reused) == (PART, 230 - PART)
        require_same(pq.read_table(out), before)
    assert recommend_all(run_folders["ssna"], users, out, 4, quiet=True, engine="spark").histories == 0


def test_a_history_that_cannot_be_read_is_named_where_that_is_asked_for(session, run_folders, tmp_path, small):
    users = write_histories(tmp_path / "users.parquet", 230, wrong=117)
    with pytest.raises(DataError, match=r"^history 118 cannot be answered; history.0: .* leave strict out$"):
        recommend_all(run_folders["ssna"], users, tmp_path / "out", 4, strict=True, quiet=True, engine="spark")
    assert {path.name for path in (tmp_path / "out").glob("part-*")} == {
        f"part-0000{n}.parquet" for n in (0, 1, 3, 4, 5)
    }


def test_a_file_that_an_executor_cannot_see_is_named_with_the_remedy(session, run_folders, tmp_path, monkeypatch):
    users = write_histories(tmp_path / "users.parquet", 50)
    opened = module.HistoryFiles.open

    def moved(path: Path) -> module.HistoryFiles:
        found = opened(path)
        found.identity()
        path.rename(tmp_path / "elsewhere.parquet")
        return found

    monkeypatch.setattr(module.HistoryFiles, "open", moved)
    monkeypatch.setattr(module.HistoryFiles, "identity", lambda _: [])
    with pytest.raises(DataError, match=r"on an executor: .*users.parquet.* all machines must see the same"):
        recommend_all(run_folders["ssna"], users, tmp_path / "out", 4, quiet=True, engine="spark")


def test_an_executor_with_another_ssna_is_named(session, run_folders, tmp_path, monkeypatch):
    monkeypatch.setattr("ssna.batch.spark.VERSION", "9.9")  # here, and in no executor
    users = write_histories(tmp_path / "users.parquet", 50)
    with pytest.raises(DataError, match=r"an executor has ssna .*, and not 9.9; install the same one"):
        recommend_all(run_folders["ssna"], users, tmp_path / "out", 4, quiet=True, engine="spark")


def test_engines_and_masters_that_do_not_fit_are_named(tmp_path, run_folders, capsys):
    users = write_histories(tmp_path / "users.parquet", 5)
    with pytest.raises(SettingsError, match="engine = 'sparc': there are local, spark; did you mean spark"):
        recommend_all(run_folders["ssna"], users, tmp_path / "out", engine="sparc")
    with pytest.raises(SettingsError, match="spark_master = 'local': it is for engine = 'spark'"):
        recommend_all(run_folders["ssna"], users, tmp_path / "out", spark_master="local")
    assert ssna("recommend", run_folders["ssna"], "--users", users, "--engine", "spark") == 1
    assert "belong to --format parquet" in capsys.readouterr().err


def test_the_command_takes_a_cluster(session, run_folders, tmp_path, capsys):
    users = write_histories(tmp_path / "users.parquet", 50, wrong=7)
    words = ("--users", users, "--format", "parquet", "-o", tmp_path / "out.parquet", "--engine", "spark")
    assert ssna("recommend", run_folders["ssna"], *words, "--spark-master", "local[2]") == 3
    assert "50 histories in" in capsys.readouterr().err
    assert pq.read_table(tmp_path / "out.parquet")["error"].null_count == 49


# a cluster


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def environment(**more: str) -> dict[str, str]:
    given = {"SPARK_LOCAL_IP": "127.0.0.1", "JDK_JAVA_OPTIONS": QUICK["spark.driver.extraJavaOptions"]}
    return {**os.environ, **given, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", **more}


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A standalone master and two workers of one core, on loopback: its address, and the workers."""
    start = [Path(pyspark.__file__).parent / "bin" / "spark-class"]
    port = str(free_port())
    address = f"spark://127.0.0.1:{port}"
    with ExitStack() as running:

        def begin(name: str, *words: str) -> subprocess.Popen:
            log = running.enter_context((folder / f"{name}.log").open("wb"))
            env = environment(SPARK_WORKER_DIR=str(folder / name), SPARK_DAEMON_MEMORY="256m")
            package = f"org.apache.spark.deploy.{words[0]}"
            process = subprocess.Popen([*start, package, *words[1:]], stdout=log, stderr=log, env=env)
            running.callback(process.wait)
            running.callback(process.terminate)
            return process

        begin("master", "master.Master", "--host", "127.0.0.1", "--port", port, "--webui-port", str(free_port()))
        wait_for(lambda: "started at" in (folder / "master.log").read_text())
        options = ("--host", "127.0.0.1", "--cores", "1", "--memory", "1g", "--webui-port")
        workers = [begin(f"worker-{n}", "worker.Worker", *options, str(free_port()), address) for n in range(2)]
        wait_for(lambda: (folder / "master.log").read_text().count("Registering worker") == 2)
        yield address, workers


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def executors(worker: subprocess.Popen) -> list[int]:
    """The processes of a worker that rank, or start those that do."""
    tasks = Path(f"/proc/{worker.pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [pid for pid in children if b"CoarseGrainedExecutorBackend" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java")
def test_a_cluster_of_two_workers_answers_as_one_machine_and_a_killed_executor_costs_time_alone(shop, tmp_path):
    count, run, out = 220_000, shop, tmp_path / "cluster"
    users = write_histories(tmp_path / "users.parquet", count)
    with cluster(tmp_path) as (address, workers):
        words = ["--users", users, "--format", "parquet", "-o", out, "--engine", "spark", "--spark-master", address]
        words += ["--where", "price < 30", "--boost", "2 brand = Acme", "--new-items", "0.5"]
        command = [sys.executable, "-m", "ssna", "recommend", run, *words]
        process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
        wait_for(lambda: any(out.glob("part-*")) or process.poll() is not None, 240)
        (killed, *_) = [pid for worker in workers for pid in executors(worker)]
        assert not all((out / f"part-0000{part}.parquet").exists() for part in range(4))
        os.kill(killed, signal.SIGKILL)
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said
        assert any("exitStatus 137" in (tmp_path / f"worker-{n}.log").read_text() for n in range(2))
    assert f"{count:,} histories in" in said
    assert not list(out.glob("*.aside")) + list(out.glob(".*.aside"))
    rules = Rules.of(where="price < 30", boost=[{"factor": 2, "where": "brand = Acme"}])
    recommend_all(run, users, tmp_path / "local", rules=rules, new_items=0.5, quiet=True)
    require_same(pq.read_table(out), pq.read_table(tmp_path / "local"))
