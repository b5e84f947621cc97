"""What the encoder makes of one type of model, beside transformers itself, which reads one text at a time."""

import copy
import inspect
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from ssna.core.errors import SsnaError
from ssna.methods import METHODS, TrainedMethod
from ssna.text import ReadOptions
from ssna.text.encoder import TextEncoder
from ssna.text.encoding import Encoding
from sweep.tiny import WORDS, save_tiny

Verdict = Literal["right", "refused", "wrong", "traceback", "not built"]
TOLERANCE = 1e-4  # of a vector's length
TUNED = ("lora", "adalora", "full")
LONG = 52  # words; the tiny models have 64 positions


@dataclass(frozen=True)
class Result:
    """One type's row."""

    verdict: Verdict
    reason: str = ""
    """Of a refusal, of a failure; of a right one, what is worth knowing."""
    layers: int = 0
    poolings: tuple[str, ...] = ()
    """Those that give different texts different vectors."""
    batching: str = ""
    precision: tuple[str, ...] = ()

    def tree(self) -> dict[str, Any]:
        """For JSON, without what says nothing."""
        return {name: value for name, value in asdict(self).items() if value}


def texts() -> list[str]:
    """Two, three, nine, thirty and fifty-two words, all of the vocabulary among them."""
    lengths = (2, 3, 3, 9, 17, 30, LONG)
    places = [[(5 * row + 7 * n) % len(WORDS) for n in range(length)] for row, length in enumerate(lengths)]
    return [" ".join(WORDS[place] for place in row) for row in places]


def check(model_type: str) -> Result:
    """Build a type, encode with it, and compare."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        try:
            save_tiny(model_type, folder)
        except Exception as cause:
            return Result("not built", _line(cause))
        try:
            return _compared(folder)
        except SsnaError as refusal:
            lines = str(refusal).replace(str(folder), "MODEL").splitlines()
            return Result("refused" if len(lines) <= 2 else "wrong", "\n".join(lines))
        except Exception as cause:
            return Result("traceback", _line(cause))


def _compared(folder: Path) -> Result:
    encoder = find(folder)
    depth, _ = encoder.shape
    together = encoder.vectors(texts(), depth)
    alone = np.concatenate([encoder.vectors([text], depth) for text in texts()], axis=1)
    expected = reference(folder, depth, encoder.max_tokens)
    for what, vectors in (("batched", together), ("alone", alone)):
        error = np.linalg.norm(vectors - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
        if not error.max() <= TOLERANCE:
            layer = error.max(axis=1).argmax() + 1
            return Result("wrong", f"{what}: {error.max():.1e} of the vector's length in layer {layer}")
    return Result(
        "right",
        "",
        depth,
        ("mean", *(pooling for pooling in ("cls", "last") if _accepts(encoder, encoder.network, pooling=pooling))),
        encoder.batching,
        ("fp32", "bf16") if _accepts(encoder, dtype="bf16") else ("fp32",),
    )


def tuned(model_type: str) -> list[str]:
    """The methods of which a step of training reaches a type that is read right."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        save_tiny(model_type, folder)
        encoding = find(folder).encoding()
        return [method for method in TUNED if _learns(method, encoding)]


def find(folder: Path, **settings: Any) -> TextEncoder:
    """The product's encoder of a folder."""
    return TextEncoder.find(str(folder), ReadOptions(**{"dtype": "fp32", "device": "cpu", **settings}))


def _accepts(encoder: TextEncoder, network: torch.nn.Module | None = None, **settings: Any) -> bool:
    """Whether it encodes with other settings, and with a network that is there already, if there is one."""
    other = replace(encoder, **settings)
    if network is not None:
        vars(other)["network"] = network
    try:
        _ = other.vectors(texts()[:2], 1)
    except SsnaError:
        return False
    return True


def _learns(method: str, encoding: Encoding) -> bool:
    """Whether a step of training reaches the language model; other errors than a refusal are the sweep's."""
    chosen = METHODS[method]
    assert isinstance(chosen, TrainedMethod)
    data, cache = SimpleNamespace(texts=["", *texts()]), SimpleNamespace(encoding=encoding)
    settings = chosen.settings(name=method)
    try:
        encoder = chosen.build(settings, cast(Any, data), cast(Any, cache), 8).train()
        encoder.on_train_begin(100)
        (encoder(torch.tensor([3, 1, 5])).square().sum() + encoder.penalty()).backward()
        encoder.after_step(0)
    except SsnaError:
        return False
    return True


def reference(folder: Path, depth: int, most: int) -> np.ndarray:
    """``(depth, texts, d)``: mean of the tokens of each text, at most ``most``, read alone, by a model that has read
    nothing before."""
    tokenizer, loaded = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).float().eval()
    loaded.config.use_cache = False
    if loaded.config.is_encoder_decoder:
        loaded = loaded.get_encoder()
    takes = inspect.signature(loaded.forward).parameters
    vectors = []
    for text in texts():
        ids = torch.tensor([tokenizer(text, truncation=True, max_length=most)["input_ids"]])
        mask = {"attention_mask": torch.ones_like(ids)} if "attention_mask" in takes else {}
        model = copy.deepcopy(loaded)
        with torch.no_grad():
            read = getattr(model, "get_text_features", model)  # of those that compare texts with images or sound
            output = read(input_ids=ids, output_hidden_states=True, **mask)
        top = output.last_hidden_state if "last_hidden_state" in output else output.hidden_states[-1]
        layers = [*output.hidden_states[1:-1], top]
        vectors.append(torch.stack([layer[0].mean(dim=0) for layer in layers[-depth:]]))
    return torch.stack(vectors, dim=1).numpy()


def _line(cause: Exception) -> str:
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
