import pytest
import torch

from ssna.device import choose_device
from ssna.errors import SettingsError


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_a_named_error(device):
    with pytest.raises(SettingsError, match=f"no device {device} here"):
        choose_device(device)


def test_a_device_that_is_there_is_chosen():
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(there, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto").type == expected
