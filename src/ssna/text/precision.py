"""What a language model computes in."""

import torch

from ssna.text.encoding import Dtype, Precision

TORCH_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_dtype(dtype: Dtype, device: torch.device) -> Precision:
    """``auto`` is 16 bits on CUDA and on processors with AMX tiles, fp32 elsewhere.

    With AMX, bf16 weights read MiniLM 3 times as fast as fp32; without it (AVX512-BF16 alone) they were slower.
    """
    if dtype != "auto":
        return dtype
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16") else "fp32"
