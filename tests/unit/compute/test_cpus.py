import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ssna.compute import cpus as module
from ssna.compute.cpus import cpu_count, free_cpus


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Files of control groups, on a machine of 16 processors."""
    monkeypatch.setattr(module, "CGROUPS", tmp_path)
    monkeypatch.setattr(module, "OWN", tmp_path / "own")
    monkeypatch.setattr(module, "STATISTICS", tmp_path / "stat")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))

    def make(own: str, **files: str) -> None:
        (tmp_path / "own").write_text(own)
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("cpu_max", "cpu.max").replace(
                "cpu_stat", "cpu.stat"
            ).replace("cfs", "cpu.cfs")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return make


@pytest.mark.parametrize(
    ("content", "count"), [("200000 100000\n", 2), ("150000 100000\n", 2), ("1000 100000\n", 1), ("max 100000\n", 16)]
)
def test_a_container_s_quota_counts_rounded_up(group, content, count):
    group("0::/\n", cpu_max=content)
    assert cpu_count() == count


def test_the_smallest_quota_of_all_groups_above_counts(group):
    group("0::/system.slice/ssna.service\n", system__cpu_max="x", **{
        "system.slice__ssna.service__cpu_max": "max 100000", "system.slice__cpu_max": "300000 100000",
    })  # fmt: skip
    assert cpu_count() == 3


def test_a_quota_of_the_first_version_counts(group):
    group("4:cpu,cpuacct:/docker\n2:memory:/\n", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000", **{
        "cpu__docker__cfs_quota_us": "400000", "cpu__docker__cfs_period_us": "100000",
    })  # fmt: skip
    assert cpu_count() == 4


def test_where_nothing_can_be_read_the_processors_count_that_the_process_may_run_on(group, monkeypatch):
    monkeypatch.setattr(module, "OWN", Path("/nowhere"))
    assert cpu_count() == 16
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cpu_count() == os.cpu_count()


def test_a_damaged_file_is_none(group):
    group("0::/\n", cpu_max="much")
    assert cpu_count() == 16


@pytest.fixture
def passing(group, tmp_path, monkeypatch):
    """Two processors for a second in which some files change."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3})

    def make(stat: list[str], **files: str) -> None:
        before, after = stat
        group("0::/\n", stat=before)

        def sleep(_: float) -> None:
            (tmp_path / "stat").write_text(after)
            for name, content in files.items():
                (tmp_path / name.replace("_", ".")).write_text(content)

        clock = iter([5.0, 6.0])
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: next(clock)))

    return make


def ticks(**cpus: str) -> str:
    return "\n".join([f"{name} {values}" for name, values in cpus.items()]) + "\nintr 5 0 0\n"


START = "100 10 50 1000 20 0 0 7 3 0"
IDLE, BUSY, NICED = "100 10 50 1090 30 0 0 7 3 0", "180 10 70 1000 20 0 0 7 3 0", "100 110 50 1000 20 0 0 7 3 0"
STOLEN, HALF = "100 10 50 1000 20 0 0 107 3 0", "150 10 50 1051 20 0 0 7 3 0"
GUESTS = "100 10 50 1100 20 0 0 7 3 100"  # a hypervisor's: counted as user time already


@pytest.mark.parametrize(
    ("one", "three", "free"),
    [
        (IDLE, IDLE, 2), (IDLE, BUSY, 1), (BUSY, BUSY, 1), (NICED, NICED, 1), (STOLEN, STOLEN, 1), (HALF, IDLE, 2),
        (HALF, HALF, 1), (GUESTS, GUESTS, 2), (START, START, 2),
    ],
)  # fmt: skip
def test_free_is_a_processor_of_ours_that_rests(passing, one, three, free):
    passing([ticks(cpu=START, cpu0=START, cpu1=START, cpu3=START), ticks(cpu=BUSY, cpu0=BUSY, cpu1=one, cpu3=three)])
    assert free_cpus() == free


@pytest.mark.parametrize("stat", ["", "cpu1 much\n", "cpu1 1 2\ncpu3 1 2\n", ticks(cpu1=START)])
def test_a_system_that_does_not_say_what_is_used_uses_nothing(passing, stat):
    passing([stat, stat])
    assert free_cpus() == 2


def test_what_others_use_of_a_container_s_quota_is_not_free(passing, group, monkeypatch):
    all_idle = [ticks(**{f"cpu{number}": values for number in range(16)}) for values in (START, IDLE)]
    passing(all_idle, cpu_stat="usage_usec 8000000\nuser_usec 1\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    group("0::/\n", cpu_max="400000 100000\n", cpu_stat="usage_usec 5000000\nuser_usec 1\n")
    assert (cpu_count(), free_cpus()) == (4, 1)


def test_a_quota_of_the_first_version_is_used_by_others_too(passing, group, tmp_path, monkeypatch):
    idle = [ticks(cpu1=START, cpu3=START), ticks(cpu1=IDLE, cpu3=IDLE)]
    passing(idle)
    group("4:cpu,cpuacct:/\n", cpu__cfs_quota_us="200000", cpu__cfs_period_us="100000", **{"cpu__cpuacct.usage": "1"})
    later = tmp_path / "cpu" / "cpuacct.usage"
    clock = SimpleNamespace(sleep=lambda _: later.write_text("1000000001"), monotonic=iter([5.0, 6.0]).__next__)
    monkeypatch.setattr(module, "time", clock)
    assert free_cpus() == 1
