"""Full tuning of the top layers, in every family of language models."""

import pytest
import torch
from text_models import SIZES
from tuned_models import (
    DEPTH,
    build,
    fit_seeded,
    learned,
    network_of,
    settings_of,
)

from ssna.core.errors import SettingsError
from ssna.methods.text_part import top_layers

pytestmark = pytest.mark.slow

TOP_TWO = {
    "bert": ("encoder.layer.1.", "encoder.layer.2."),
    "roberta": ("encoder.layer.1.", "encoder.layer.2."),
    "mpnet": ("encoder.layer.1.", "encoder.layer.2."),
    "distilbert": ("transformer.layer.1.", "transformer.layer.2."),
    "gpt2": ("h.1.", "h.2.", "ln_f."),
    "llama": ("layers.1.", "layers.2.", "norm."),
    "mistral": ("layers.1.", "layers.2.", "norm."),
    "t5": ("block.1.", "block.2.", "final_layer_norm."),
    "opt": ("decoder.layers.1.", "decoder.layers.2.", "decoder.final_layer_norm."),  # it stands before the layers
    "bart": ("layers.1.", "layers.2."),  # behind them stands the norm of the embeddings
    "mbart": ("layers.1.", "layers.2.", "layer_norm."),
    "deberta-v2": ("encoder.layer.1.", "encoder.layer.2."),  # ..., that of the relative positions
    "roberta-prelayernorm": ("encoder.layer.1.", "encoder.layer.2.", "LayerNorm."),  # all its parts are named norm
}


@pytest.mark.parametrize("architecture", SIZES)
def test_full_changes_the_top_two_layers_and_the_final_norm_and_nothing_else(architecture, world):
    encoder = build("full", world(architecture), layers=2)
    before = {name: p.detach().clone() for name, p in encoder.network.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in encoder.network.named_buffers()}
    fit_seeded(encoder, world().data, settings_of("full", "training.epochs=2", "training.learning_rate=1e-2"))
    changed = {name for name, p in encoder.network.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name in before if name.startswith(TOP_TWO[architecture])}
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in encoder.network.named_buffers())


@pytest.mark.parametrize("architecture", TOP_TWO)
def test_the_norms_behind_the_layers_are_found_wherever_they_are_declared(architecture):
    network = network_of(architecture)
    found = {part for parts in top_layers(network, 2, DEPTH, architecture) for part in parts}
    paths = {f"{path}." for path, part in network.named_modules() if part in found}
    assert paths == set(TOP_TWO[architecture])


def test_looking_for_the_norms_leaves_no_hooks():
    network = network_of("gpt2")
    top_layers(network, 2, DEPTH, "gpt2")
    assert not any(part._forward_hooks for part in network.modules())


def test_full_can_tune_all_layers_but_not_more(world):
    assert not any("wte" in name for name in learned(build("full", world("gpt2"), layers=DEPTH)))
    with pytest.raises(SettingsError, match=r"has 3 layers; method\.layers = 4"):
        build("full", world("gpt2"), layers=DEPTH + 1)


def test_a_network_without_one_list_of_its_layers_is_an_error_that_names_the_remedy():
    with pytest.raises(SettingsError, match=r"^some/xlm keeps its layers in no list of 3; train lora or ssna instead$"):
        top_layers(network_of("xlm"), 2, DEPTH, "some/xlm")
