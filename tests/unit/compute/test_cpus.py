import os
from pathlib import Path

import pytest

from ssna.compute import cpus as module
from ssna.compute.cpus import cpu_count


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Files of control groups, on a machine of 16 processors."""
    monkeypatch.setattr(module, "CGROUPS", tmp_path)
    monkeypatch.setattr(module, "OWN", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))

    def make(own: str, **files: str) -> None:
        (tmp_path / "own").write_text(own)
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("cpu_max", "cpu.max").replace("cfs", "cpu.cfs")
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
