"""What is said of models that fail at a text: true, in two lines, with what to give instead."""

from types import SimpleNamespace

import pytest
import torch

from ssna.core.errors import EncoderError
from ssna.text.refusals import UnusableStatesError, forward_errors_named

REMEDY = "\ngive a text encoder or a text decoder"


class Sees(torch.nn.Module):
    def forward(self, input_ids=None, pixel_values=None):
        return pixel_values.shape


class Needs(torch.nn.Module):
    def forward(self, input_ids, pixel_values, action_embeds): ...


class Looks(torch.nn.Module):
    def forward(self, pixel_values=None, **kwargs):
        raise ValueError("You have to specify pixel_values")


class Speaks(torch.nn.Module):
    def forward(self, input_tensor, mask=None): ...


class Compares(torch.nn.Module):
    def forward(self, vision_features=None, text_features=None, **kwargs):
        return vision_features.shape


def said(network, failure=None, kind="", dtype="fp32"):
    def run():
        if failure is not None:
            raise failure
        network(input_ids=1)

    with pytest.raises(EncoderError) as caught, forward_errors_named("it", network, text_config(kind), dtype):
        run()
    assert len(str(caught.value).splitlines()) == 2
    return str(caught.value)


def text_config(kind):
    return SimpleNamespace(model_type=kind)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Sees(), "it reads a text only together with images"),
        (Needs(), "it reads a text only together with images"),
        (Compares(), "it reads a text only together with images"),
        (Looks(), "it reads images, not the tokens of a text"),
        (Speaks(), "it takes input_tensor, not the tokens of a text"),
    ],
)
def test_what_a_model_reads_beside_or_instead_of_a_text_is_said(network, words):
    assert said(network) == words + REMEDY


def test_of_several_the_input_that_the_error_names_is_said():
    lacking = TypeError("forward() missing 1 required positional argument: 'action_embeds'")
    assert said(Needs(), lacking) == "it reads a text only together with the actions of a robot" + REMEDY


def test_the_type_that_reads_the_text_in_it_is_named_where_it_is_a_model_by_itself():
    assert said(Sees(), kind="opt").endswith("\ngive a model of text alone, such as one of the type opt")
    assert said(Sees(), kind="bridgetower_text_model").endswith(REMEDY)


def test_another_failure_of_a_model_that_may_see_is_not_laid_to_images():
    message = said(Sees(), RuntimeError("split_with_sizes expects\nother sizes"))
    assert message == "it fails at a plain text (RuntimeError: split_with_sizes expects other sizes)" + REMEDY


def test_16_bits_are_named_only_where_the_model_is_run_in_them():
    network = torch.nn.Linear(2, 2).bfloat16()
    assert said(network, RuntimeError("no kernel"), dtype="bf16").endswith("\nencode with dtype = 'fp32'")
    assert said(network.float(), RuntimeError("no kernel"), dtype="bf16").startswith("it fails at a plain text")


def test_tokens_outside_the_tables_and_layers_without_a_vector_a_token_have_their_own_words():
    assert "lies outside the model's tables\nthe tokenizer belongs to another model" in said(Sees(), IndexError())
    assert said(Sees(), UnusableStatesError("shows nothing")).startswith("it shows nothing\ngive a model whose layers")


def test_memory_and_named_errors_are_left_to_the_caller():
    for failure in (torch.OutOfMemoryError(), EncoderError("named")):
        with pytest.raises(type(failure)), forward_errors_named("it", Sees(), text_config(""), "fp32"):
            raise failure
