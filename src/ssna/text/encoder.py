"""Texts to vectors: one forward pass of a frozen language model gives every layer's vector of every text."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssna.compute.device import choose_device
from ssna.core.errors import EncoderError, option
from ssna.text.batches import TOKENS_PER_BATCH, batches_by_length, padded
from ssna.text.calibration import calibration
from ssna.text.encoding import Batching, Encoding, Layers, Pooling, Precision
from ssna.text.loading import quiet
from ssna.text.models import LanguageModel, find
from ssna.text.network import in_fp32, layer_states, unchanged
from ssna.text.options import ReadOptions
from ssna.text.pooling import pool
from ssna.text.precision import TORCH_DTYPES, choose_dtype
from ssna.text.probe import Probe, ProbeTexts, probe
from ssna.text.quantized import QuantizedNetwork, quantized
from ssna.text.refusals import forward_errors_named
from ssna.text.sentence import SentenceSettings, own_pooling, through

Floats = NDArray[np.float32]

DEFAULT_MAX_TOKENS = 512
WINDOW = 16_384  # texts tokenized at a time: bounds memory, and is long enough to sort well


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
    known_batching: Batching | None = None
    """What a cache has kept of the model's answer; None asks it at the first text."""
    prompt: str | None = None
    head: str | None = None
    """Of the folder's sentence settings, where they are followed."""

    def __post_init__(self) -> None:
        special = self.model.tokenizer.num_special_tokens_to_add()
        if not special < self.max_tokens <= self.model.token_limit:
            raise EncoderError(
                f"{self.model.name} reads {special + 1} to {self.model.token_limit} tokens, "
                f"special tokens included; {option('max_tokens', self.max_tokens)} is outside"
            )

    @classmethod
    def find(cls, model: str, options: ReadOptions | None = None, revision: str | None = None) -> "TextEncoder":
        """Find a model by name and revision (see :func:`ssna.text.models.find`).

        Args:
            options: how it reads texts; there is no cache that would go on.

        Raises:
            EncoderError: no such model or device, or ``max_tokens`` out of the model's range.
        """
        options = options or ReadOptions()
        found = find(model, revision, options.adapter_base)
        place = choose_device("cpu" if (options.device, options.dtype) == ("auto", "int8") else options.device)
        said = found.sentence or SentenceSettings()
        own_limit = min(found.token_limit, said.max_tokens or DEFAULT_MAX_TOKENS)
        return cls(
            found,
            options.pooling or own_pooling(found.name, found.sentence),
            own_limit if options.max_tokens is None else options.max_tokens,
            place,
            choose_dtype(options.dtype, place),
            prompt=said.prompt or None,
            head=said.head,
        )

    @classmethod
    def like(cls, encoding: Encoding, device: str = "auto") -> "TextEncoder":
        """The encoder that made a cache's vectors. Raises :class:`EncoderError` if the model has changed since."""
        assert encoding.pooling is not None, "what reads texts pools their tokens"
        options = ReadOptions(device=device).going_on(encoding, encoding.model)
        return cls.find(encoding.model, options, encoding.revision).going_on(encoding)

    def going_on(self, encoding: Encoding) -> "TextEncoder":
        """This encoder, as a cache of the same model was begun. Raises :class:`EncoderError` if its folder has changed
        since."""
        if encoding.head not in (None, self.head):
            raise EncoderError(
                f"{self.model.name} has other Dense modules than when the vectors were made\n"
                "put the old ones back, or encode and train again with these"
            )
        return replace(self, prompt=encoding.prompt, head=encoding.head)

    @property
    def remark(self) -> str:
        """How texts are read otherwise than the folder of sentence-transformers says; empty where as it says."""
        said = self.model.sentence
        if said is None:
            return ""
        differences = said.differences(self.pooling, self.max_tokens, self.prompt, self.head)
        return f"{self.model.name}: otherwise than its folder says, {'; '.join(differences)}" if differences else ""

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
            prompt=self.prompt,
            head=self.head,
            adapter_base=self.model.adapter_base,
        )

    @cached_property
    def network(self) -> nn.Module:
        """The weights, on their device. Raises :class:`EncoderError` when they cannot be loaded."""
        return self.model.weights(self.device, TORCH_DTYPES[self.dtype])

    @cached_property
    def quantized(self) -> QuantizedNetwork:
        """The network in integers. Raises :class:`EncoderError` where it cannot be had."""
        texts = calibration(self.model.tokenizer, self.tokenize, self.model.ordinary_tokens)
        return quantized(self.network, self.model.name, self.model.revision, texts)

    def load(self) -> None:
        """Load what computes, now. Raises :class:`EncoderError` as that does."""
        _ = self.quantized if self.dtype == "int8" else self.network

    @cached_property
    def cls_at(self) -> int:
        """Where the tokenizer puts its classification token: 0, or -1 at the end (XLNet). 0 where it has none."""
        cls = self.model.tokenizer.cls_token_id
        return -1 if cls is not None and self.tokenize(["a"])[0][-1:] == [cls] else 0

    @cached_property
    def probe(self) -> Probe:
        """What the model itself showed, asked in fp32 and left as it was.

        Raises:
            EncoderError: it does not read text, or its vectors are not to be relied on.
        """
        with quiet(), self._forward_errors_named():
            try:
                with in_fp32(self.network):
                    found = probe(self.probe_texts, self._read_ends, self.model.name, self.pooling)
            except torch.OutOfMemoryError:  # it fits in 16 bits alone; texts of one length need no padding
                found = probe(self.probe_texts, self._read_ends, self.model.name, self.pooling)
                found = replace(found, batching="length")
            if self.max_tokens > self.model.selected_tokens:  # equal scores are broken by the shape of the batch
                found = replace(found, batching="text")
            if self.dtype != "fp32":  # whether it can, before anything is written
                self._read([self.probe_texts.short])
        return found

    @cached_property
    def batching(self) -> Batching:
        """Which texts share a batch; a cache has kept it."""
        return self.known_batching or self.probe.batching

    @property
    def shape(self) -> tuple[int, int]:
        """(depth, width) of the model."""
        return self.probe.depth, self.probe.width

    @cached_property
    def probe_texts(self) -> ProbeTexts:
        """What the model is asked with."""
        ordinary = self.model.ordinary_tokens
        template = self.tokenize([self.model.tokenizer.decode(ordinary[-3:])])[0]
        return ProbeTexts.of(template, set(self.model.tokenizer.all_special_ids), ordinary, self.max_tokens)

    def _read_ends(self, batch: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        ids, mask = self._padded(batch)
        states = self._states(ids, mask)
        ends = [torch.stack([pool(state, mask, end) for end in ("cls", "last")], dim=1) for state in states]
        return self._pooled(states, mask), torch.stack(ends).cpu()

    def encode(self, texts: Sequence[str], layers: int) -> Iterator[Encoded]:
        """Every text's vectors of the top ``layers`` layers, batch by batch, longest texts first.

        Raises:
            EncoderError: no memory for a single text, or values that are not finite.
        """
        by_length = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        for start in range(0, len(by_length), WINDOW):
            rows = by_length[start : start + WINDOW]
            tokens = self.tokenize([texts[row] for row in rows])
            lengths, budget = [len(ids) for ids in tokens], TOKENS_PER_BATCH.get(self.device.type, 4_096)
            for batch in batches_by_length(lengths, budget, self.batching):
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
                [self._as_read(text) for text in texts],
                truncation=True,
                max_length=max_tokens or self.max_tokens,
                padding=False,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]
        return [tokens or [self.model.padding_id] for tokens in ids]  # a text of unknown characters may have none

    def _as_read(self, text: str) -> str:
        said = self.model.sentence
        text = f"{self.prompt or ''}{text}".encode(errors="replace").decode()  # half surrogate pairs break tokenizers
        return text.lower() if said is not None and said.lower and self.head else text

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
        with self._forward_errors_named():
            states, mask = self._read(batch)
        return self._pooled(states[-layers:], mask).numpy()

    def _read(self, batch: Sequence[list[int]]) -> tuple[tuple[Tensor, ...], Tensor]:
        """In the precision that was asked for."""
        ids, mask = self._padded(batch)
        return self.quantized(ids, mask.long()) if self.dtype == "int8" else self._states(ids, mask), mask

    def _pooled(self, states: Sequence[Tensor], mask: Tensor) -> Tensor:
        """(layers, b, d), on the CPU."""
        pooled = torch.stack([pool(state, mask, self.pooling, self.cls_at) for state in states]).cpu()
        if self.head and self.model.sentence is not None:
            pooled = torch.cat([pooled[:-1], through(self.model.sentence.dense, pooled[-1])[None]])
        return pooled

    def _padded(self, batch: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        ids, mask = padded(batch, self.model.padding_id)
        return ids.to(self.device), mask.to(self.device)

    def _states(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        with torch.inference_mode(), unchanged(self.network):
            return layer_states(self.network, ids, mask.long())

    def _forward_errors_named(self) -> AbstractContextManager[None]:
        return forward_errors_named(self.model.name, self.network, self.model.text_config, self.dtype)
