"""What is tuned lies in the part of a language model that reads text, and learns from it."""

import pytest
import torch
from torch import nn
from tuned_models import build, fit_seeded, settings_of

from ssna.core.errors import SettingsError
from ssna.methods import tuned
from ssna.methods.text_part import attention_maps, top_layers, top_state


class Tower(nn.Module):
    def __init__(self, names):
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleDict({name: nn.Linear(4, 4) for name in names}) for _ in range(2))
        self.norm = nn.LayerNorm(4)

    def forward(self, states):
        for layer in self.layers:
            for part in layer.values():
                states = part(states)
        return self.norm(states)


class TwoTowers(nn.Module):
    """An image's tower, whose parts come first, and a text's; a text passes its own alone."""

    def __init__(self, image=("query", "value"), text=("q_proj", "v_proj")):
        super().__init__()
        self.image, self.text, self.words = Tower(image), Tower(text), nn.Embedding(9, 4)

    def forward(self, input_ids, attention_mask=None, output_hidden_states=False):
        class Output:
            hidden_states = (self.text(self.words(input_ids)),)

        return Output


def test_maps_of_another_tower_are_not_taken():
    assert attention_maps(TwoTowers(), "it") == ["q_proj", "v_proj"]


def test_where_both_towers_have_maps_of_one_name_those_of_the_text_are_named_by_their_paths():
    maps = attention_maps(TwoTowers(text=("query", "value")), "it")
    assert maps == ["text.layers.0.query", "text.layers.0.value", "text.layers.1.query", "text.layers.1.value"]


def test_where_a_text_passes_no_map_of_a_known_name_the_methods_are_refused():
    with pytest.raises(SettingsError, match="no query and value maps"):
        attention_maps(TwoTowers(text=("this", "that")), "it")


def test_the_top_layers_are_those_of_the_text_where_both_towers_are_as_deep():
    network = TwoTowers()
    layers, norms = top_layers(network, 1, 2, "it")
    assert layers == [network.text.layers[1]]
    assert norms == [network.text.norm]


def test_a_layer_whose_own_call_passes_no_hook_is_found_by_its_parts():
    """SqueezeBERT calls ``layer.forward``."""

    class Direct(Tower):
        def forward(self, states):
            for layer in self.layers:
                states = layer["q_proj"](states)
            return self.norm(states)

    network = TwoTowers()
    network.text = Direct(("q_proj", "v_proj"))
    assert top_layers(network, 1, 2, "it") == ([network.text.layers[1]], [network.text.norm])


def test_a_model_that_names_no_last_state_gives_the_last_of_its_list():
    network, ids = TwoTowers(), torch.tensor([[1, 2]])
    assert torch.equal(top_state(network, ids, ids), network(ids).hidden_states[-1])


@pytest.mark.parametrize("method", ["lora", "adalora", "full"])
def test_a_run_in_which_nothing_of_the_model_gets_a_gradient_fails(method, world, monkeypatch):
    here = world()
    monkeypatch.setattr(tuned, "top_state", lambda *given: top_state(*given).detach())
    encoder = build(method, here)
    with pytest.raises(SettingsError, match="gets a gradient from a text"):
        fit_seeded(encoder, here.data, settings_of(method, "training.epochs=1"))


@pytest.mark.parametrize("method", ["lora", "adalora", "full"])
def test_texts_of_one_length_are_read_together_where_the_model_asks_for_it(method, world, monkeypatch):
    encoder, shapes = build(method, world()).eval(), []
    object.__setattr__(encoder.reading, "batching", "length")
    encoder.network.register_forward_pre_hook(
        lambda _, args, inputs: shapes.append(inputs["attention_mask"].bool().all().item()), with_kwargs=True
    )
    encoder(torch.arange(1, 13))
    assert all(shapes)
    assert len(shapes) > 1


def test_a_model_that_asks_for_more_than_texts_in_training_is_a_named_error():
    class Asking(torch.nn.Module):
        def forward(self, **_):
            raise ValueError("`token_type_ids` is required\nwhen training")

    with pytest.raises(SettingsError, match=r"Asking cannot be .* \(`token_type_ids` is required when training\)"):
        top_state(Asking(), torch.zeros(1, 2), torch.ones(1, 2))
