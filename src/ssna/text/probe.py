"""Is a vector the text's alone? A language model is asked itself, with a short and a long text, before any is kept.

Some models let padding change a text's vector, or the other texts of its batch; some give another one at every call, or
one to all texts. None of them says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ssna.core.errors import EncoderError, option
from ssna.text.encoding import Batching

SHORT, LONGEST = 3, 1_024  # tokens that are no special ones; a longer text would take long and show no more
TOLERANCE: Final = 1e-4  # of a vector's length; different batches differ by 1e-6 where nothing but rounding does
EQUAL: Final = 1e-6

Tokens = list[int]
Read = Callable[[Sequence[Tokens]], tuple[Tensor, Tensor]]
"""Token ids of a batch -> ``(layers, b, d)`` pooled, and ``(layers, b, 2, d)`` of each text's first and last token."""


@dataclass(frozen=True)
class Probe:
    """What a model showed.

    Attributes:
        batching: which texts may be read together without changing each other's vectors.
        depth: how many layers it has.
        width: numbers in a vector.
    """

    batching: Batching
    depth: int
    width: int


@dataclass(frozen=True)
class ProbeTexts:
    """Token ids: two short texts that differ in their middle alone, one of half the length, and a long one."""

    short: Tokens
    other: Tokens
    half: Tokens
    long: Tokens

    @classmethod
    def of(cls, template: Tokens, special: set[int], ordinary: Sequence[int], most: int) -> "ProbeTexts":
        """Texts of the ``ordinary`` tokens.

        Args:
            template: ids of any text, special ones around it included.
            special: ids of the special tokens.
            most: tokens of the longest text, special ones included.
        """
        head = next((n for n, token in enumerate(template) if token not in special), len(template))
        tail = next((n for n, token in enumerate(reversed(template)) if token not in special), 0)
        before, after = template[:head], template[len(template) - tail :] if head < len(template) else []
        spare = max(1, min(most, LONGEST) - len(before) - len(after))
        words = [ordinary[7919 * n % len(ordinary)] for n in range(spare + SHORT)]
        short = words[: min(SHORT, spare)]
        other = [*short[:1], *(words[-1:] if words[-1] != short[1] else words[:1]), *short[2:]] if spare > 1 else short
        half = words[1 : spare // 2 + 1] or short
        return cls(*([*before, *middle, *after] for middle in (short, other, half, words[:spare])))


def probe(texts: ProbeTexts, read: Read, name: str, pooling: str) -> Probe:
    """Ask a model, by ``read``, in fp32.

    Raises:
        EncoderError: its vectors are not to be relied on: two calls differ, tokens do not see each other, or different
            texts have one vector.
    """
    (alone, ends), (again, _) = read([texts.short]), read([texts.short])
    half, long = (read([text])[0] for text in (texts.half, texts.long))
    if not all(torch.isfinite(vectors).all() for vectors in (alone, half, long)):
        raise EncoderError(f"{name} computes values that are not finite, even in fp32; its weights are damaged")
    if differ(alone, again):
        raise EncoderError(
            f"{name} gives one text another vector at every call: it draws at random\ngive another model"
        )
    if texts.other != texts.short:
        other, other_ends = read([texts.other])
        if len(texts.short) > 2 and not differ(ends, other_ends, EQUAL):
            raise EncoderError(
                f"{name}: its tokens do not see each other, so its attention does not work here\ngive another model"
            )
        if not differ(alone, other, EQUAL):
            raise EncoderError(
                f"{name} gives different texts one vector with {option('pooling', pooling)}: "
                f"that token sees no other\ntake {option('pooling', 'mean')}, or {option('pooling', 'last')}"
            )
    return Probe(_batching(texts, read, {"short": alone, "half": half, "long": long}), len(alone), alone.shape[-1])


def _batching(texts: ProbeTexts, read: Read, alone: dict[str, Tensor]) -> Batching:
    """The widest rule under which the vectors stay as they are alone."""

    def agree(*names: str) -> bool:
        batch = [getattr(texts, name) for name in names]
        return _agree(read, batch, torch.cat([alone[name] for name in names], dim=1))

    if agree("long", "half", "short"):
        return "padded"
    return "length" if agree("short", "short") and agree("half", "half", "half") else "text"


def _agree(read: Read, batch: Sequence[Tokens], alone: Tensor) -> bool:
    """Whether a batch is read as its texts are alone; there are models that fail at any batch of several texts."""
    try:
        together, _ = read(batch)
    except (ValueError, RuntimeError) as cause:
        if isinstance(cause, torch.OutOfMemoryError):
            raise
        return False
    return not differ(together, alone)


def differ(one: Tensor, two: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Whether any of two stacks of vectors ``(..., d)`` are further apart than ``tolerance`` of their length."""
    return bool((torch.linalg.norm(one - two, dim=-1) > tolerance * torch.linalg.norm(one, dim=-1)).any())
