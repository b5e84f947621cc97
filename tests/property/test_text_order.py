import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak import examples
from ssna.text import Encoding, encode
from ssna.text.encoder import Encoded, TextEncoder

pytestmark = pytest.mark.slow

ENCODING = Encoding(
    model="stub", revision="r", pooling="mean", max_tokens=9, layers=(1, 2), depth=2, width=3, dtype="fp32"
)


def vector_of(text: str) -> np.ndarray:
    """(2, 3) whole numbers that 16 bits hold exactly."""
    return np.frombuffer(hashlib.sha256(text.encode()).digest()[:6], np.uint8).reshape(2, 3).astype(np.float32)


@dataclass(frozen=True)
class Stub:
    """An encoder without a model: the vectors are the text's hash, in batches of its choosing."""

    batch: int
    known_batching: str | None = None
    batching = "padded"
    max_tokens = 9

    def load(self):
        pass

    @property
    def model(self):
        return SimpleNamespace(revision=ENCODING.revision, tokenizer=SimpleNamespace(all_special_ids=[0]))

    def encoding(self, layers, shape=None):
        return ENCODING

    def going_on(self, encoding):
        return self

    def encode(self, texts, layers):
        for start in range(0, len(texts), self.batch):
            rows = np.arange(start, min(start + self.batch, len(texts)))[::-1]
            vectors = np.stack([vector_of(texts[row]) for row in rows], axis=1)
            yield Encoded(rows, vectors, tokens=1, token_ids=[[len(texts[row])] for row in rows])


@settings(max_examples=examples(60), deadline=None)
@given(
    runs=st.lists(
        st.lists(st.sampled_from(["", "a", "A", "b", "ab", "a ", "é", "e\u0301", "\n", "c", "d"])), max_size=4
    ),
    batch=st.integers(1, 4),
)
def test_every_text_has_the_same_vectors_in_whatever_order_number_and_runs_it_comes(runs, batch):
    with TemporaryDirectory() as folder, mock.patch.object(TextEncoder, "find", return_value=Stub(batch)):
        known: set[str] = set()
        for texts in runs:
            cache, report = encode(["", *texts], out=Path(folder) / "cache", quiet=True)
            full = [text for text in texts if text]
            assert report.encoded == len(set(full) - known)
            assert report.encoded + report.reused == len(full)
            known |= set(full)
            expected = [vector_of(text) if text else np.zeros((2, 3)) for text in ["", *texts]]
            np.testing.assert_array_equal(cache.top(2), np.stack(expected, axis=1)[::-1])
