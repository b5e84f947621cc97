"""Texts to vectors: one forward pass of a frozen language model gives every layer's vector of every text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssna.compute.device import choose_device
from ssna.core.errors import EncoderError, option
from ssna.text.encoding import Dtype, Encoding, Layers, Pooling, Precision
from ssna.text.models import LanguageModel, find, quiet

Floats = NDArray[np.float32]

TORCH_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
DEFAULT_MAX_TOKENS = 512
WINDOW = 16_384  # texts tokenized at a time: bounds memory, and is long enough to sort well
TOKENS_PER_BATCH = {"cpu": 4_096, "cuda": 16_384}  # padded; more was not faster (MiniLM, 2 cores)


@dataclass(frozen=True, eq=False)
class Encoded:
    """One batch's result: ``vectors[:, i]`` (layers, d) belong to ``texts[rows[i]]``, of which ``token_ids[i]`` were
    read; ``tokens`` in all."""

    rows: NDArray[np.int64]
    vectors: Floats
    tokens: int
    token_ids: list[list[int]]


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A language model with everything that its vectors depend on; build it with :meth:`find` or :meth:`like`.

    The weights are read at the first text. Not for several threads at a time.
    """

    model: LanguageModel
    pooling: Pooling
    max_tokens: int
    device: torch.device
    dtype: Precision

    def __post_init__(self) -> None:
        special = self.model.tokenizer.num_special_tokens_to_add()
        if not special < self.max_tokens <= self.model.token_limit:
            raise EncoderError(
                f"{self.model.name} reads {special + 1} to {self.model.token_limit} tokens, "
                f"special tokens included; {option('max_tokens', self.max_tokens)} is outside"
            )

    @classmethod
    def find(
        cls,
        model: str,
        *,
        pooling: Pooling = "mean",
        max_tokens: int | None = None,
        device: str = "auto",
        dtype: Dtype = "auto",
        revision: str | None = None,
    ) -> "TextEncoder":
        """Find a model by name (see :func:`ssna.text.models.find`).

        Args:
            max_tokens: None takes the model's own limit, at most 512.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
            dtype: ``auto`` takes 16 bits where the hardware computes faster with them, else ``fp32``.

        Raises:
            EncoderError: no such model or device, or ``max_tokens`` out of the model's range.
        """
        found = find(model, revision)
        place = choose_device(device)
        tokens = min(found.token_limit, DEFAULT_MAX_TOKENS) if max_tokens is None else max_tokens
        return cls(found, pooling, tokens, place, choose_dtype(dtype, place))

    @classmethod
    def like(cls, encoding: Encoding, device: str = "auto") -> "TextEncoder":
        """The encoder that made a cache's vectors. Raises :class:`EncoderError` if the model has changed since."""
        assert encoding.pooling is not None, "what reads texts pools their tokens"
        return cls.find(
            encoding.model,
            pooling=encoding.pooling,
            max_tokens=encoding.max_tokens,
            device=device,
            dtype=encoding.dtype,
            revision=encoding.revision,
        )

    def encoding(self, layers: Layers = "all", shape: tuple[int, int] | None = None) -> Encoding:
        """What the top ``layers`` layers' vectors depend on.

        Args:
            shape: (depth, width) where they are known; without them the model is loaded and asked.

        Raises:
            EncoderError: the model has fewer layers, or cannot be loaded.
        """
        depth, width = shape or self.shape
        kept = depth if layers == "all" else layers
        if not 1 <= kept <= depth:
            raise EncoderError(
                f"{self.model.name} has {depth} layers; {option('layers', layers)} must be `all` or 1 to {depth}"
            )
        return Encoding(
            model=self.model.name,
            revision=self.model.revision,
            pooling=self.pooling,
            max_tokens=self.max_tokens,
            layers=tuple(range(depth - kept + 1, depth + 1)),
            depth=depth,
            width=width,
            dtype=self.dtype,
        )

    @cached_property
    def network(self) -> nn.Module:
        """The weights, on their device. Raises :class:`EncoderError` when they cannot be loaded."""
        return self.model.weights(self.device, TORCH_DTYPES[self.dtype])

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(depth, width) of the model, as a one-token text shows them."""
        ids = torch.full((1, 1), self.model.padding_id)
        network = self.network
        try:
            with quiet():
                states = self._states(network, ids, torch.ones_like(ids))
            shapes = {tuple(state.shape) for state in states}
        except Exception as cause:  # vision models, models with inputs of their own, ...: each fails in its own way
            raise EncoderError(
                f"{self.model.name} does not read plain text ({type(cause).__name__}: {str(cause)[:200]})\n"
                "give a text encoder or a text decoder"
            ) from None
        if len(shapes) != 1 or next(iter(shapes))[:2] != (1, 1):
            raise EncoderError(f"{self.model.name} has layers of unlike shapes {sorted(shapes)}; give another model")
        return len(states), states[0].shape[-1]

    def encode(self, texts: Sequence[str], layers: int) -> Iterator[Encoded]:
        """Every text's vectors of the top ``layers`` layers, batch by batch, longest texts first.

        Raises:
            EncoderError: no memory for a single text, or values that are not finite.
        """
        by_length = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        for start in range(0, len(by_length), WINDOW):
            rows = by_length[start : start + WINDOW]
            tokens = self.tokenize([texts[row] for row in rows])
            for batch in batches_by_length([len(ids) for ids in tokens], TOKENS_PER_BATCH.get(self.device.type, 4_096)):
                vectors = self._vectors([tokens[i] for i in batch], layers)
                if not np.isfinite(vectors).all():
                    raise EncoderError(
                        f"{self.model.name} computes values that are not finite in {self.dtype}\n"
                        f"encode with {option('dtype', 'fp32')}; if that fails too, the weights are damaged"
                    )
                read = [tokens[i] for i in batch]
                yield Encoded(np.array(rows)[batch], vectors, sum(map(len, read)), read)

    def vectors(self, texts: Sequence[str], layers: int) -> Floats:
        """(layers, n, d): :meth:`encode`'s batches in the order of ``texts``; an empty text's vectors are zero."""
        result = np.zeros((layers, len(texts), self.shape[1]), dtype=np.float32)
        full = [row for row, text in enumerate(texts) if text]
        for batch in self.encode([texts[row] for row in full], layers):
            result[:, np.array(full)[batch.rows]] = batch.vectors
        return result

    def tokenize(self, texts: list[str], max_tokens: int | None = None) -> list[list[int]]:
        """Token ids of each text, special tokens included, cut to ``max_tokens``, by default those of the encoder; at
        least one a text."""
        with quiet():
            ids = self.model.tokenizer(
                [text.encode(errors="replace").decode() for text in texts],  # half surrogate pairs break tokenizers
                truncation=True,
                max_length=max_tokens or self.max_tokens,
                padding=False,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]
        return [tokens or [self.model.padding_id] for tokens in ids]  # a text of unknown characters may have none

    def _vectors(self, batch: list[list[int]], layers: int) -> Floats:
        try:
            return self._forward(batch, layers)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise EncoderError(
                    f"{self.model.name}: {self.device} has no memory for one text of {len(batch[0])} tokens\n"
                    f"lower {option('max_tokens')}, or encode with {option('device', 'cpu')}"
                ) from None
        half = len(batch) // 2
        return np.concatenate([self._vectors(part, layers) for part in (batch[:half], batch[half:])], axis=1)

    def _forward(self, batch: list[list[int]], layers: int) -> Floats:
        padded = nn.utils.rnn.pad_sequence(
            [torch.tensor(ids) for ids in batch], batch_first=True, padding_value=self.model.padding_id
        )  # (b, T); on the right, so that positions count from the first real token in every model
        mask = torch.arange(padded.shape[1]) < torch.tensor([len(ids) for ids in batch])[:, None]  # (b, T)
        try:
            states = self._states(self.network, padded, mask.long())[-layers:]
        except IndexError:
            raise EncoderError(
                f"{self.model.name}: a token or a position lies outside the model's tables\n"
                f"the tokenizer belongs to another model, or {option('max_tokens')} is above what the model reads"
            ) from None
        mask = mask.to(self.device)
        return torch.stack([pool(state, mask, self.pooling) for state in states]).cpu().numpy()  # (layers, b, d)

    def _states(self, network: nn.Module, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Each layer's (b, T, d), lowest first; models with a final norm have applied it to the last one."""
        with torch.inference_mode():
            output = network(
                input_ids=ids.to(self.device), attention_mask=mask.to(self.device), output_hidden_states=True
            )
        return tuple(output.hidden_states[1:])  # before them, the embeddings


def pool(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector a text from its real tokens, in fp32.

    Args:
        states: (b, T, d), any precision.
        mask: (b, T) bool, true for real tokens; padding may stand on either side.

    Returns:
        (b, d): the first real token (``cls``), the last (``last``), or the mean of all (``mean``).
    """
    states = states.float()
    if pooling == "mean":
        return states.masked_fill(~mask.unsqueeze(-1), 0.0).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    steps = torch.arange(1, mask.shape[1] + 1, device=mask.device)  # (T,)
    chosen = (mask * (steps if pooling == "last" else steps.flip(0))).argmax(dim=1)  # (b,)
    return states[torch.arange(len(states), device=states.device), chosen]


def choose_dtype(dtype: Dtype, device: torch.device) -> Precision:
    """``auto`` is 16 bits on CUDA and on processors with AMX tiles, fp32 elsewhere.

    With AMX, bf16 weights read MiniLM 3 times as fast as fp32; without it (AVX512-BF16 alone) they were slower.
    """
    if dtype != "auto":
        return dtype
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16") else "fp32"


def batches_by_length(lengths: list[int], budget: int) -> Iterator[NDArray[np.int64]]:
    """Texts of like length together, longest first, at most ``budget`` tokens a batch with padding."""
    order = np.argsort(-np.array(lengths), kind="stable")
    start = 0
    while start < len(order):
        stop = start + max(1, budget // lengths[order[start]])
        yield order[start:stop]
        start = stop
