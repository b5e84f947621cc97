"""Where to compute."""

from functools import cache

import torch

from ssna.errors import SettingsError
from ssna.launch import launch


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one; of several processes, ``auto`` and ``cuda`` give each a GPU of its own.

    Raises:
        SettingsError: there is no such device.
    """
    found = "cuda" if torch.cuda.is_available() else "cpu"
    place = found if name == "auto" else name
    if place == "cuda" and launch().count > 1:
        place = f"cuda:{launch().local}"
    elif name == "auto":
        return torch.device(found)
    try:
        return torch.empty(0, device=place).device
    except (RuntimeError, AssertionError, ValueError):
        raise SettingsError(f"there is no device {place} here; {_remedy(name)}") from None


@cache
def multiplies_bf16() -> bool:
    """Whether this processor has instructions for products of bf16; without, they are slower than those of fp32."""
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def _remedy(name: str) -> str:
    return "start no more processes than there are GPUs" if launch().count > 1 else "`auto` takes what there is"
