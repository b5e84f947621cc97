"""What a language model computes in."""

import torch

from ssna.core.errors import EncoderError, option
from ssna.text.encoding import Dtype, Precision

TORCH_DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.float32,  # from which it is quantized
}


def choose_dtype(dtype: Dtype, device: torch.device) -> Precision:
    """``auto`` is 16 bits on CUDA and on processors with AMX tiles, fp32 elsewhere; int8 has to be asked for.

    With AMX, bf16 weights read MiniLM 3 times as fast as fp32; without it (AVX512-BF16 alone) they were slower.
    """
    if dtype == "int8" and device.type != "cpu":
        raise EncoderError(
            f"int8 is computed on the processor, not on {device}\n"
            f"encode with {option('device', 'cpu')}, or with {option('dtype', 'bf16')}"
        )
    if dtype != "auto":
        return dtype
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16") else "fp32"
