import os
import sys
from pathlib import Path

import pytest
import torch

from ssna.compute import device
from ssna.compute.device import choose_device, free_memory
from ssna.compute.launch import Launch, launch
from ssna.core.errors import SettingsError

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_a_named_error(name):
    with pytest.raises(SettingsError, match=f"no device {name} here"):
        choose_device(name)


def test_a_device_that_is_there_is_chosen():
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(there, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto").type == expected


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_of_several_processes_each_asks_for_the_gpu_of_its_place_on_the_machine(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device, "launch", lambda: Launch(rank=105, world_size=200, local_rank=97))
    with pytest.raises(SettingsError, match="no device cuda:97 here; start no more processes than there are GPUs"):
        choose_device(name)


def test_only_torchrun_says_that_there_are_several_processes(monkeypatch):
    for variable, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert launch() == Launch(0, 1, 0)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert launch() == Launch(3, 4, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere half of all memory stands in")
def test_free_memory_is_what_the_system_says_is_available():
    lines = Path("/proc/meminfo").read_text().splitlines()
    total = next(int(line.split()[1]) for line in lines if line.startswith("MemTotal")) * 1024
    assert 2**26 < free_memory(CPU) <= total


def test_several_processes_share_what_is_free(monkeypatch):
    alone = free_memory(CPU)
    monkeypatch.setattr(device, "launch", lambda: Launch(rank=1, world_size=4, local_rank=1))
    assert free_memory(CPU) < alone / 2


def test_where_the_system_says_nothing_half_of_its_memory_is_free(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "")
    assert free_memory(CPU) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def test_for_a_gpu_it_is_what_that_one_has_with_what_torch_keeps_unless_the_machine_has_less(monkeypatch):
    of_second = {torch.device("cuda:1"): 12345}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda which: (of_second[which], 99999))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda which: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda which: 100)
    assert free_memory(torch.device("cuda:1")) == 12345 + 600
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "MemAvailable: 2 kB")
    assert free_memory(torch.device("cuda:1")) == 2048
