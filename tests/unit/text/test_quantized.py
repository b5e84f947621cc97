"""Texts read in 8-bit integers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from text_models import save_tiny_model, some_texts
from torch import nn

from ssna.core.errors import CacheError, EncoderError
from ssna.text import LayerCache, ReadOptions, embed, encode
from ssna.text import quantized as quantized_module
from ssna.text.encoder import TextEncoder
from ssna.text.precision import choose_dtype
from ssna.text.quantized import quantized

pytest.importorskip("nncf")
pytestmark = pytest.mark.slow

TEXTS = some_texts(12)


@pytest.fixture(scope="module", autouse=True)
def cache_home(tmp_path_factory):
    """Where the quantized model is kept, for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("bert") / "model"))


@pytest.fixture(scope="module")
def integers(model):
    return find(model, "int8")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "cache"


def find(model, dtype):
    return TextEncoder.find(model, ReadOptions(dtype=dtype, device="cpu", max_tokens=20))


def encode_quietly(texts, model, out, dtype="auto"):
    return encode(texts, model, out, ReadOptions(dtype=dtype, device="cpu", max_tokens=20), quiet=True)


def relative_distance(one, two):
    return np.linalg.norm(one - two, axis=-1) / np.linalg.norm(two, axis=-1)


def test_every_layer_is_near_to_that_of_32_bits_but_not_the_same(model, integers):
    away = relative_distance(integers.vectors(TEXTS, 3), find(model, "fp32").vectors(TEXTS, 3))
    assert (away > 1e-4).mean() > 0.9
    assert away.mean() < 0.1


def test_a_vector_does_not_depend_on_the_rest_of_its_batch(integers):
    alone = np.concatenate([integers.vectors([text], 3) for text in TEXTS], axis=1)
    assert relative_distance(integers.vectors(TEXTS, 3), alone).mean() < 1e-3


@pytest.mark.parametrize(("first", "second"), [("int8", "fp32"), ("fp32", "int8")])
def test_a_cache_holds_no_other_precision_than_that_it_began_in(model, out, first, second):
    encode_quietly(TEXTS[:4], model, out, first)
    with pytest.raises(CacheError, match=rf"made with dtype {first} \(asked: {second}\)"):
        encode_quietly(TEXTS, model, out, second)
    assert (LayerCache.open(out, ["", *TEXTS[:4]]).rows >= 0).sum() == 4


def test_new_texts_are_read_as_the_cache_began(model, out, integers):
    encode_quietly(TEXTS[:4], model, out, "int8")
    cache, report = encode_quietly(TEXTS, model, out)
    assert (cache.encoding.dtype, report.encoded) == ("int8", 8)
    expected = integers.vectors(TEXTS, 3)[::-1]
    assert relative_distance(cache.top(3), expected).mean() < 2e-3  # 16 bits are kept
    assert relative_distance(embed(TEXTS, cache.encoding, device="auto"), expected).mean() < 1e-3


def test_another_precision_is_another_identity(model, integers):
    assert integers.encoding().fingerprint != find(model, "fp32").encoding().fingerprint


def test_nobody_gets_it_unasked(model, out, monkeypatch):
    capable = dict.fromkeys(("amx_int8", "avx512_vnni", "avx_vnni"), True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable)
    assert choose_dtype("auto", torch.device("cpu")) == "fp32"
    assert encode_quietly(TEXTS, model, out)[0].encoding.dtype == "fp32"


def test_a_gpu_is_refused():
    with pytest.raises(
        EncoderError, match=r"int8 is computed on the processor, not on cuda\nencode with device = 'cpu'"
    ):
        choose_dtype("int8", torch.device("cuda"))


def test_what_lacks_is_named_with_its_remedy(model, monkeypatch, out):
    monkeypatch.setattr(quantized_module, "PACKAGES", ("no_such_package",))
    with pytest.raises(EncoderError, match=r"no_such_package, which is not installed\npip install 'ssna\[int8\]'"):
        encode_quietly(TEXTS, model, out, "int8")
    assert not out.exists()


def test_a_model_is_quantized_once(model, integers, monkeypatch):
    expected = integers.vectors(TEXTS, 3)
    monkeypatch.setattr(quantized_module, "_quantize", None)
    np.testing.assert_array_equal(find(model, "int8").vectors(TEXTS, 3), expected)


def test_a_cache_directory_that_takes_nothing_is_a_named_error(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with pytest.raises(EncoderError, match=r"there is no place for the quantized model: .*\n.*XDG_CACHE_HOME"):
        _ = find(model, "int8").quantized


class Branching(nn.Module):
    """Reads texts of more than four tokens otherwise, which a trace of a short one does not see."""

    def __init__(self):
        super().__init__()
        self.table, self.map = nn.Embedding(10, 8), nn.Linear(8, 8)

    def forward(self, input_ids, attention_mask, output_hidden_states):
        states = self.table(input_ids)
        return SimpleNamespace(hidden_states=(states, self.map(states if input_ids.shape[1] > 4 else -states)))


def test_a_model_that_is_another_function_once_traced_is_refused():
    with pytest.raises(EncoderError, match=r"^branching is another function.*\nencode with dtype = 'fp32'$"):
        quantized(Branching(), "branching", "1", [[1, 2, 3, 4, 5, 6], [3, 4, 5], [3, 4]])


def test_a_model_that_loses_too_much_is_refused(model, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(quantized_module, "NEAR", 1e-3)
    with pytest.raises(EncoderError, match=r"a vector is \d+% of its length away from that in fp32\n.*fp32"):
        _ = find(model, "int8").quantized
    assert not list(tmp_path.glob("ssna/int8/*"))


class Failing(Branching):
    def forward(self, input_ids, attention_mask, output_hidden_states):
        raise ValueError("no trace of this\nat all")


def test_a_model_that_cannot_be_traced_is_refused_in_two_lines():
    with pytest.raises(EncoderError, match=r"^failing cannot be quantized .*\nencode with dtype = 'fp32'$"):
        quantized(Failing(), "failing", "1", [[1, 2, 3], [3, 4]])
