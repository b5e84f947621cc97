"""LoRA, AdaLoRA and full tuning against their definitions, on tiny random language models of every family."""

import pytest
import torch
from text_models import POSITIONS, SIZES, one_at_a_time, save_tiny_model
from transformers import AutoModel
from tuned_models import (
    ADAPTED,
    DEPTH,
    DIM,
    ITEMS,
    TUNED,
    WIDTH,
    World,
    build,
    learned,
    network_of,
    shaken,
)

from ssna.core.errors import EncoderError, SettingsError
from ssna.methods.text_part import attention_maps
from ssna.text import ReadOptions, encode

pytestmark = pytest.mark.slow

FAMILIES = {
    "bert": ["query", "value"],
    "roberta": ["query", "value"],
    "electra": ["query", "value"],
    "distilbert": ["q_lin", "v_lin"],
    "mpnet": ["q", "v"],
    "t5": ["q", "v"],
    "llama": ["q_proj", "v_proj"],
    "mistral": ["q_proj", "v_proj"],
    "opt": ["q_proj", "v_proj"],
    "bart": ["q_proj", "v_proj"],
    "deberta-v2": ["query_proj", "value_proj"],
    "modernbert": ["Wqkv"],
    "phi3": ["qkv_proj"],
    "gpt_neox": ["query_key_value"],
    "gpt2": ["c_attn"],
}


def projection(width: int, dim: int) -> int:
    return width * dim + dim


@pytest.mark.parametrize("rank", [1, 5])
@pytest.mark.parametrize("architecture", SIZES)
def test_lora_trains_rank_times_both_widths_of_every_adapted_map(architecture, rank, world):
    encoder = build("lora", world(architecture), rank=rank)
    expected = sum(rank * (d_in + d_out) for d_in, d_out in ADAPTED[architecture])
    assert sum(p.numel() for p in learned(encoder).values()) == expected + projection(WIDTH, DIM)


@pytest.mark.parametrize("architecture", SIZES)
def test_adalora_trains_a_singular_value_a_direction_beside(architecture, world):
    encoder = build("adalora", world(architecture), rank=2, initial_rank=5)
    expected = sum(5 * (d_in + d_out + 1) for d_in, d_out in ADAPTED[architecture])
    assert sum(p.numel() for p in learned(encoder).values()) == expected + projection(WIDTH, DIM)


FIRST_SEES_NO_OTHER = ("gpt2", "llama", "mistral")  # with their tokenizers, which put one token before every text


@pytest.mark.parametrize(
    ("architecture", "pooling"),
    [
        (architecture, pooling)
        for architecture in SIZES
        for pooling in ("cls", "mean", "last")
        if (pooling, architecture) not in [("cls", each) for each in FIRST_SEES_NO_OTHER]
    ],
)
@pytest.mark.parametrize("method", TUNED)
def test_untrained_vectors_are_the_frozen_top_layer_projected(method, architecture, pooling, world):
    """Of the texts read one at a time, and of the cache as far as its 16 bits go."""
    here = world(architecture, pooling)
    encoder = build(method, here).eval()
    alone = one_at_a_time(here.model, list(here.data.texts[1:]), POSITIONS)[pooling][-1]
    for states, tolerance in ((alone, 1e-5), (here.cache.top(1)[0, 1:], 2e-3)):
        expected = encoder.project(torch.from_numpy(states))
        torch.testing.assert_close(encoder.item_embeddings(ITEMS)[1:], expected, rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize("architecture", ["bert", "gpt2", "mistral"])
@pytest.mark.parametrize(
    ("method", "settings", "scale"),
    [("lora", {"rank": 3, "alpha": 6.5}, 6.5 / 3), ("adalora", {"rank": 2, "initial_rank": 4, "alpha": 3}, 3 / 4)],
)
def test_the_update_is_the_scaled_product_of_its_factors(method, settings, scale, architecture, world, tmp_path):
    """Added to the weights of the saved model by hand, it gives the same vectors, text by text."""
    here = world(architecture)
    encoder = shaken(build(method, here, **settings)).eval()
    weights = dict(encoder.network.named_parameters())
    model = AutoModel.from_pretrained(here.model)
    for path, part in model.named_modules():
        if path.rsplit(".", 1)[-1] in {"query", "value", "q_proj", "v_proj", "c_attn"}:
            a, b, e = (weights.get(f"base_model.model.{path}.lora_{letter}.default") for letter in "ABE")
            if method == "lora":
                a, b = (weights[f"base_model.model.{path}.lora_{letter}.default.weight"] for letter in "AB")
            delta = scale * b @ (a if e is None else e * a)
            part.weight.data += delta.T if architecture == "gpt2" else delta
    model.save_pretrained(tmp_path)
    for file in here.model.glob("token*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    states = one_at_a_time(tmp_path, list(here.data.texts[1:]), POSITIONS)["mean"][-1]
    torch.testing.assert_close(
        encoder.item_embeddings(ITEMS)[1:], encoder.project(torch.from_numpy(states)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_dropout_acts_on_the_update_in_training_only(method, world):
    items = torch.arange(1, ITEMS + 1)
    without, with_it = (shaken(build(method, world(), dropout=p)) for p in (0.0, 0.5))
    with_it.project.load_state_dict(without.project.state_dict())
    torch.testing.assert_close(without.train()(items), without.eval()(items))
    torch.testing.assert_close(with_it.eval()(items), without(items))
    assert not torch.allclose(with_it.train()(items), without(items), atol=1e-2)


@pytest.mark.parametrize("method", TUNED)
def test_a_language_model_that_changed_since_the_cache_was_made_is_refused(method, data, tmp_path):
    with torch.random.fork_rng(devices=[]):
        model = save_tiny_model(tmp_path / "model")
        cache, _ = encode(
            data.texts, str(model), tmp_path / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True
        )
        save_tiny_model(tmp_path / "model", seed=1)
    with pytest.raises(EncoderError, match="has changed"):
        build(method, World(model, data, cache))


@pytest.mark.parametrize("architecture", FAMILIES)
def test_the_maps_to_query_and_value_are_found_in_every_family(architecture):
    assert attention_maps(network_of(architecture), architecture) == FAMILIES[architecture]


@pytest.mark.parametrize("architecture", FAMILIES)
def test_the_names_of_the_maps_stand_once_in_every_layer(architecture):
    paths = [path for path, _ in network_of(architecture).named_modules()]
    for name in FAMILIES[architecture]:
        assert sum(path.rsplit(".", 1)[-1] == name for path in paths) == DEPTH


def test_a_network_without_known_maps_is_an_error_that_names_the_remedy():
    with pytest.raises(SettingsError, match=r"^some/xlnet has no query and value maps .*train ssna or full instead$"):
        attention_maps(network_of("xlnet"), "some/xlnet")
