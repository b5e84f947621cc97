"""Linear maps in 8-bit integers: a language model that NNCF has quantized and OpenVINO computes.

The range of each map's input is fixed beforehand, by texts that come with ssna: a text's vector depends on no others.
"""

import hashlib
import importlib.util
import io
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import torch
from torch import Tensor, nn

from ssna.core.errors import EncoderError, SsnaError, option
from ssna.core.files import new_folder
from ssna.text.cache import cache_root
from ssna.text.loading import quiet
from ssna.text.network import layer_states

PACKAGES: Final = ("openvino", "nncf")
FILE: Final = "model.xml"
NEAR: Final = 0.5
"""Of a vector's length, in the mean: what integers may lose. MiniLM loses .1; texts that share a word are .8 apart."""
FAITHFUL: Final = 1e-3
"""Of a vector's length: what OpenVINO may compute otherwise in fp32; a trace that misses a branch is far beyond."""

Tokens = list[int]


class QuantizedNetwork:
    """A network in integers; call it as :func:`ssna.text.network.layer_states` is called."""

    def __init__(self, path: Path) -> None:
        import openvino

        self._request = _compiled(openvino.Core().read_model(path))

    def __call__(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Each layer's (b, T, d), lowest first, valid until the next call."""
        return _states(self._request, ids, mask)


def quantized(network: nn.Module, name: str, identity: str, texts: Sequence[Tokens]) -> QuantizedNetwork:
    """``network`` in integers. It is quantized once, and lies in the user's cache directory from then on.

    Args:
        network: in fp32, on the CPU; it stays as it is.
        name: for messages.
        identity: of the model, as :attr:`ssna.text.Encoding.revision`, and of how it reads ``texts``.
        texts: token ids that give the range of each map's input, the longest first.

    Raises:
        EncoderError: the packages lack, or OpenVINO does not compute what the network does.
    """
    if lacking := [package for package in PACKAGES if importlib.util.find_spec(package) is None]:
        raise EncoderError(
            f"int8 needs the Python package {lacking[0]}, which is not installed\npip install 'ssna[int8]'"
        )
    parts = [identity, repr(texts), *(f"{package} {version(package)}" for package in PACKAGES)]
    folder = cache_root() / "int8" / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    if not (folder / FILE).is_file():
        with _failures_named(name):
            model = _quantize(network, name, texts)
            _keep(model, folder)
    with _failures_named(name):
        return QuantizedNetwork(folder / FILE)


def _keep(model: Any, folder: Path) -> None:
    import openvino

    try:
        with new_folder(folder, FILE) as aside:
            openvino.save_model(model, aside / FILE, compress_to_fp16=False)
    except (SsnaError, OSError, RuntimeError) as cause:
        said = str(cause).splitlines()[0].split("; ")[0]
        raise EncoderError(
            f"there is no place for the quantized model: {said}\nset XDG_CACHE_HOME to a folder that takes it"
        ) from None


class _Layers(nn.Module):
    """For the trace."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        return layer_states(self.network, ids, mask)


def _quantize(network: nn.Module, name: str, texts: Sequence[Tokens]) -> Any:
    model = _converted(network, texts[-1])
    some = (texts[0], texts[len(texts) // 2], texts[-1])
    if not all(each <= FAITHFUL for each in _distances(network, model, some)):
        raise EncoderError(
            f"{name} is another function once OpenVINO has traced it\nencode with {option('dtype', 'fp32')}"
        )
    nncf = _nncf()
    batches = [[each.numpy() for each in _alone(text)] for text in texts]
    with redirect_stdout(io.StringIO()):  # bars
        kind = nncf.ModelType.TRANSFORMER
        model = nncf.quantize(model, nncf.Dataset(batches), model_type=kind, subset_size=len(batches))
    lost = fmean(_distances(network, model, some))
    if not lost < NEAR:
        raise EncoderError(
            f"{name} cannot be read in int8: a vector is {lost:.0%} of its length away from that in fp32\n"
            f"encode with {option('dtype', 'fp32')}"
        )
    return model


def _converted(network: nn.Module, text: Tokens) -> Any:
    from openvino.frontend import FrontEndManager  # not openvino.convert_model, which tells its makers of each call
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    ids, mask = _alone(text)
    with quiet(), torch.no_grad():
        example = (ids.repeat(2, 1), mask.repeat(2, 1))
        trace = TorchScriptPythonDecoder(_Layers(network), example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(trace))


def _distances(network: nn.Module, model: Any, texts: Sequence[Tokens]) -> list[float]:
    """How far the mean of each layer's states of each text is from the network's, in lengths of the latter."""
    request, found = _compiled(model), []
    for text in texts:
        with torch.no_grad():
            expected = layer_states(network, *_alone(text))
        for own, one in zip(_states(request, *_alone(text)), expected, strict=True):
            away, length = (torch.linalg.norm(each.mean(dim=1)) for each in (own - one, one))
            found.append(float(away / length))
    return found


def _alone(text: Tokens) -> tuple[Tensor, Tensor]:
    ids = torch.tensor([text])
    return ids, torch.ones_like(ids)


def _compiled(model: Any) -> Any:
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",  # of all that is no integer, whatever the processor has
    }
    return openvino.Core().compile_model(model, "CPU", settings).create_infer_request()


def _states(request: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
    request.infer([ids.numpy(), mask.numpy()], share_inputs=True)
    return tuple(torch.from_numpy(each.data) for each in request.output_tensors)


def _nncf() -> Any:
    """The package, which would tell its makers of each call."""
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        import nncf
    finally:
        if before is None:
            del os.environ["NNCF_CI"]
        else:
            os.environ["NNCF_CI"] = before
    nncf.set_log_level(logging.ERROR)
    return nncf


@contextmanager
def _failures_named(name: str) -> Iterator[None]:
    try:
        yield
    except EncoderError:
        raise
    except Exception as cause:
        said = next(iter(str(cause).strip().splitlines()), "")[:200]
        raise EncoderError(
            f"{name} cannot be quantized ({type(cause).__name__}: {said})\nencode with {option('dtype', 'fp32')}"
        ) from None
