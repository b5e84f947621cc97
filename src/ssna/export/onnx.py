"""ONNX graphs of the user model and of the adapters, compared with torch as they are written."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssna.core.errors import ArtifactError
from ssna.export.graphs import item_model, user_model
from ssna.export.source import Source, require
from ssna.export.vectors import ITEMS, write_items

USER, ADAPTERS = "user.onnx", "adapters.onnx"
OPSET = 18
TOLERANCE = 1e-4


def to_onnx(source: Source, out: Path) -> list[str]:
    """``user.onnx``, ``items.parquet`` with its inputs, and ``adapters.onnx`` where the model can admit new items."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, "onnx")
    about: dict[str, Any] = {}
    with source.folder(out, "onnx", about) as folder:
        write_items(source, folder / ITEMS, inputs=True)
        about |= {"files": [ITEMS, USER], "user": _user(source, folder / USER)}
        if source.model.text_projection is not None:
            about["adapters"] = _adapters(source, folder / ADAPTERS)
            about["files"].append(ADAPTERS)
    differences = ", ".join(f"{name} {about[name]['difference']:.0e}" for name in ("user", "adapters") if name in about)
    return [f"{', '.join(about['files'])}; largest difference from torch: {differences}", *source.warnings]


def _user(source: Source, path: Path) -> dict[str, Any]:
    model, width = source.model, source.model.vectors.shape[1]
    module = user_model(model.sequence).eval()
    longest = model.max_history
    dimension = torch.export.Dim
    batch, length = dimension("batch"), dimension("length", max=longest)
    shapes = [{0: batch, 1: length} if longest > 1 else {0: batch}, {0: batch}]

    def some(rows: int, length: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(rows)
        chosen = torch.randint(1, len(model.vectors), (rows, length), generator=generator)
        lengths = torch.randint(0, length + 1, (rows,), generator=generator)
        behind = torch.arange(length) >= lengths[:, None]
        return model.vectors[chosen].masked_fill(behind[:, :, None], torch.nan), lengths

    _write(module, some(3, min(2, longest)), ["vectors", "lengths"], ["user_embedding"], shapes, path)
    examples = [some(rows, length) for rows, length in ((1, 1), (2, longest), (33, -(-longest // 2)))]
    return {
        "inputs": {
            "vectors": f"float32 (batch, length, {width}): column `input` of {ITEMS} for each item of a history, "
            f"oldest first, the latest {longest} at most; anything behind a history's end, which is not read",
            "lengths": "int64 (batch): items of each history, 0 for none",
        },
        "outputs": {"user_embedding": f"float32 (batch, {width}), unit length; zero for an empty history"},
        "scores": f"inner product of `user_embedding` with the column `vector` of {ITEMS}",
        "max_history": longest,
        "difference": _compared(module, path, examples),
    }


def _adapters(source: Source, path: Path) -> dict[str, Any]:
    model, encoding = source.model, source.recommender.encoding
    assert model.text_projection is not None
    assert encoding is not None, "what admits items by their texts has an encoding"
    module = item_model(model.text_projection).eval()

    def some(rows: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(rows)
        return (torch.randn(model.layers, rows, encoding.width, generator=generator),)

    _write(module, some(3), ["states"], ["vectors"], [{1: torch.export.Dim("items")}], path)
    kept = encoding.layers[::-1][: max(model.layers - encoding.extra, 0)]
    beside = [f"{source.name} ({source.layers})" for source in encoding.beside[::-1]]
    layers = ", ".join([*beside, *map(str, kept)])
    return {
        "inputs": {
            "states": f"float32 ({model.layers}, items, {encoding.width}): states of layers [{layers}], in this order, "
            "of the model under `encoding`, pooled as it says"
        },
        "outputs": {
            "vectors": f"float32 (items, {model.vectors.shape[1]}): as the column `input` of {ITEMS}; divide by its "
            "length for the column `vector`"
        },
        "encoding": encoding.tree(),
        "difference": _compared(module, path, [some(rows) for rows in (1, 2, 65)]),
    }


def _write(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    shapes: Sequence[dict[int, Any]],
    path: Path,
) -> None:
    with _quiet_exporter(), torch.no_grad():
        program = torch.onnx.export(
            module,
            example,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=tuple(shapes),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.save(path)


@torch.no_grad()
def _compared(module: nn.Module, path: Path, examples: Sequence[tuple[Tensor, ...]]) -> float:
    """The largest difference between torch and onnxruntime. Raises :class:`ArtifactError` if it is no rounding."""
    session = require("onnxruntime", "onnx").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names, differences = [one.name for one in session.get_inputs()], []
    for example in examples:
        found = session.run(None, dict(zip(names, (tensor.numpy() for tensor in example), strict=True)))[0]
        differences.append((module(*example) - torch.from_numpy(found)).abs().max())
    largest = torch.stack(differences).max().item()  # NaN where one is
    if not largest <= TOLERANCE:
        raise ArtifactError(f"{path.name} differs from torch by {largest:.1e}; another version of onnxruntime may not")
    return largest


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter tells of libraries that nobody needs here."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
