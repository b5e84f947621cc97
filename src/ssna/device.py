"""Where to compute."""

import torch

from ssna.errors import SettingsError


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one. Raises :class:`SettingsError` for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, ValueError):
        raise SettingsError(f"there is no device {name} here; `auto` takes what there is") from None
