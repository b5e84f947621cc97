"""The probe, asked about readers that do what some models do."""

from itertools import count

import pytest
import torch

from ssna.core.errors import EncoderError
from ssna.text.network import in_fp32, layer_states, unchanged
from ssna.text.probe import ProbeTexts, probe

TEXTS = ProbeTexts.of([0, 9, 2], {0, 1, 2}, range(3, 60), 20)


def reader(*, padding=0.0, batch=0.0, draw=False, blind=False, first_alone=False):
    """Vectors of two layers: the mean of the ids, and their order; what padding, neighbours or chance add to them."""
    draws = count()

    def vector(ids, width, texts):
        middle = 0.0 if blind or first_alone else ids[1] * ids[2] / 10
        noise = float(next(draws)) if draw else 0.0
        return [ids[0] + 1.0, middle + padding * (width - len(ids)) + batch * (texts - 1) + noise]

    def read(batch_of_ids):
        width, texts = max(map(len, batch_of_ids)), len(batch_of_ids)
        rows = torch.tensor([vector(ids[1:], width, texts) for ids in batch_of_ids])
        last = torch.tensor([[0.0, 0.0 if blind else float(sum(ids))] for ids in batch_of_ids])
        return torch.stack([rows, rows]), torch.stack([rows, last], dim=1).expand(2, -1, -1, -1)

    return read


def test_the_texts_are_two_short_ones_that_differ_in_the_middle_and_one_of_the_longest_length():
    assert TEXTS.short[:2] == TEXTS.other[:2]
    assert TEXTS.short[3:] == TEXTS.other[3:]
    assert TEXTS.short[2] != TEXTS.other[2]
    assert {text[0] for text in (TEXTS.short, TEXTS.long)} == {0}
    assert {text[-1] for text in (TEXTS.short, TEXTS.long)} == {2}
    assert (len(TEXTS.short), len(TEXTS.long)) == (5, 20)


def test_a_text_of_half_the_length_shows_what_neither_a_short_nor_the_longest_one_does():
    """A model that keeps the best tokens of those it sees: all of a short text, and of the longest without padding."""

    def read(batch):
        pooled, ends = reader()(batch)
        wrong = [0.1 if 8 < len(ids) < max(map(len, batch)) else 0.0 for ids in batch]
        return pooled + torch.tensor(wrong)[:, None], ends

    assert probe(TEXTS, read, "it", "mean").batching == "length"


@pytest.mark.parametrize("most", [3, 4, 5])
def test_the_texts_are_no_longer_than_the_model_reads(most):
    texts = ProbeTexts.of([0, 9, 2], {0, 1, 2}, [3, 4], most)
    assert max(map(len, (texts.short, texts.other, texts.long))) <= most


@pytest.mark.parametrize(
    ("faults", "batching"),
    [({}, "padded"), ({"padding": 0.1}, "length"), ({"batch": 0.1}, "text"), ({"padding": 1e-5}, "padded")],
)
def test_texts_share_a_batch_only_where_that_changes_no_vector(faults, batching):
    found = probe(TEXTS, reader(**faults), "it", "mean")
    assert (found.batching, found.depth, found.width) == (batching, 2, 2)


def test_a_model_that_reads_one_text_at_a_time_only_gets_one():
    def alone(batch):
        if len(batch) > 1:
            raise RuntimeError("stack expects each tensor to be equal size")
        return reader()(batch)

    assert probe(TEXTS, alone, "it", "mean").batching == "text"


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"draw": True}, "another vector at every call"),
        ({"blind": True}, "do not see each other"),
        ({"first_alone": True}, "one vector with pooling = 'cls'"),
    ],
)
def test_vectors_that_are_not_to_be_relied_on_are_refused_in_two_lines(faults, words):
    with pytest.raises(EncoderError, match=words) as caught:
        probe(TEXTS, reader(**faults), "it", "cls")
    assert len(str(caught.value).splitlines()) == 2


class Restless(torch.nn.Module):
    """Replaces a part of itself and a buffer at every pass, as BigBird and adaptive positions do."""

    def __init__(self):
        super().__init__()
        self.part, self.kind = torch.nn.Linear(2, 2), "sparse"
        self.register_buffer("positions", torch.zeros(2))

    def forward(self):
        self.part, self.kind, self.positions = torch.nn.Linear(2, 2), "full", torch.ones(2)
        self.seen = True


def test_a_pass_leaves_the_model_as_it_was():
    model = Restless()
    part = model.part
    with unchanged(model):
        model()
        assert model.kind == "full"
    assert (model.part, model.kind, model.positions.tolist()) == (part, "sparse", [0.0, 0.0])
    assert model.seen


def test_32_bits_for_the_probe_change_no_weight_and_no_type():
    model = torch.nn.BatchNorm1d(8).bfloat16()
    model.weight.data.normal_()
    model.running_var = model.running_var.float()  # as models keep their positions
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with in_fp32(model):
        assert model.weight.dtype == torch.float32
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


class Shows(torch.nn.Module):
    def __init__(self, states, top):
        super().__init__()
        self.states, self.top = states, top

    def forward(self, input_ids, output_hidden_states):
        class Output:
            hidden_states, last_hidden_state = self.states, self.top

        return Output


def test_the_top_layer_is_what_the_model_says_it_is():
    states, top = [torch.zeros(1, 2, 3), torch.ones(1, 2, 3), 2 * torch.ones(1, 2, 3)], torch.full((1, 2, 3), 7.0)
    ids = torch.zeros(1, 2, dtype=torch.long)
    layers = layer_states(Shows(states, top), ids, ids)
    assert [layer[0, 0, 0].item() for layer in layers] == [1.0, 7.0]
    assert layer_states(Shows(states, None), ids, ids)[-1] is states[-1]
