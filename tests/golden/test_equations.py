"""The modules against the paper's equations, written once more in loops (``naive.py``)."""

from dataclasses import replace

import naive
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssna.core.ragged import Ragged
from ssna.nn.adapter import LayerAdapters, MoEWhiteningAdapter
from ssna.nn.batch import Candidates, Targets
from ssna.nn.losses import LOSSES, LossInputs, cosine_logits
from ssna.nn.sasrec import RecencyMean, SASRec
from ssna.scoring import VectorScorer

WIDTH, DIM, EXPERTS, ITEMS = 6, 4, 3, 5


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        yield


def shaken(module: nn.Module) -> nn.Module:
    """Every parameter random and of the size of one, biases and norms too, so that no term can hide."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.7)
    return module.eval()


def parts_of(adapter: MoEWhiteningAdapter) -> tuple[list, list, list]:
    """``b_k``, ``W_k`` and ``B`` as the equations name them."""
    projections = adapter.projection.permute(1, 0, 2).tolist()
    return adapter.shift.tolist(), projections, adapter.route_mean.tolist()


def lists_of(module: nn.Module) -> dict[str, list]:
    return {name: tensor.tolist() for name, tensor in module.state_dict().items()}


def assert_equal(actual: Tensor, expected: list) -> None:
    torch.testing.assert_close(actual.detach(), torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_an_adapter_in_evaluation_is_equations_1_to_3_without_noise():
    adapter, h = shaken(MoEWhiteningAdapter(WIDTH, DIM, EXPERTS)), torch.randn(ITEMS, WIDTH)
    assert_equal(adapter(h), [naive.adapter(row, *parts_of(adapter)) for row in h.tolist()])


@pytest.mark.parametrize("integrate", ["gru", "mean", "weighted"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_adapters_and_their_integration_are_equations_1_to_4_top_layer_first(integrate, layers):
    module, h = shaken(LayerAdapters(layers, WIDTH, DIM, EXPERTS, integrate)), torch.randn(layers, ITEMS, WIDTH)
    expected = []
    for item in range(ITEMS):
        z = [naive.adapter(h[m, item].tolist(), *parts_of(module.adapters[m])) for m in range(layers)]
        if integrate == "gru":
            expected.append(naive.gru(lists_of(module.integrate.cell), z))
        elif integrate == "mean":
            expected.append(naive.mean(z))
        else:
            expected.append(naive.weighted(module.integrate.weights.tolist(), z))
    assert_equal(module(h), expected)


@pytest.fixture
def routing_logits():
    """20,000 routing logits of one item, drawn in training mode, and the logits' mean and deviation by Eq. 3."""
    adapter, h = shaken(MoEWhiteningAdapter(WIDTH, DIM, EXPERTS)).train(), torch.randn(WIDTH)
    logits = adapter.route(h.expand(20_000, WIDTH)).detach()
    mean = naive.row_times_matrix(h.tolist(), adapter.route_mean.tolist())
    deviation = [naive.softplus(x) for x in naive.row_times_matrix(h.tolist(), adapter.route_deviation.tolist())]
    return logits, torch.tensor(mean), torch.tensor(deviation)


def test_routing_logits_have_the_mean_of_equation_3_in_training(routing_logits):
    logits, mean, deviation = routing_logits
    assert ((logits.mean(dim=0) - mean).abs() < 4 * deviation / 20_000**0.5).all()


def test_routing_logits_have_the_standard_deviation_of_equation_3_in_training(routing_logits):
    logits, _, deviation = routing_logits
    torch.testing.assert_close(logits.std(dim=0), deviation, rtol=0.03, atol=0)


def test_routing_noise_is_gaussian(routing_logits):
    logits, mean, deviation = routing_logits
    standard = ((logits - mean) / deviation).sort(dim=0).values
    quantiles = torch.tensor([0.01, 0.1, 0.5, 0.9, 0.99])
    expected = torch.special.ndtri(quantiles)[:, None].expand(-1, EXPERTS)
    torch.testing.assert_close(standard[(quantiles * 20_000).long()], expected, rtol=0, atol=0.1)


def test_routing_noise_is_independent_between_experts(routing_logits):
    logits, _, _ = routing_logits
    correlation = torch.corrcoef(logits.T) - torch.eye(EXPERTS)
    assert correlation.abs().max() < 0.03


def test_there_is_no_routing_noise_in_evaluation():
    adapter, h = shaken(MoEWhiteningAdapter(WIDTH, DIM, EXPERTS)), torch.randn(ITEMS, WIDTH)
    assert_equal(adapter.route(h), [naive.row_times_matrix(row, adapter.route_mean.tolist()) for row in h.tolist()])


def test_scores_are_the_cosines_of_equation_7():
    vectors = torch.cat([torch.zeros(1, DIM), torch.randn(ITEMS, DIM)])
    scorer = VectorScorer(vectors, RecencyMean(window=3, decay=0.5), max_history=9)
    scores = scorer.score(Ragged.from_rows([[2, 1, 5, 4]]))[0, 1:]
    user = naive.recency_mean(vectors[[2, 1, 5, 4]].tolist(), window=3, decay=0.5)
    assert_equal(scores, [naive.cosine(user, vector) for vector in vectors[1:].tolist()])


def test_logits_of_the_loss_are_cosines_over_the_temperature():
    users, items = torch.randn(3, DIM), torch.randn(ITEMS, DIM)
    expected = [[naive.cosine(u, v) / 0.07 for v in items.tolist()] for u in users.tolist()]
    assert_equal(cosine_logits(users, items, 0.07), expected)


def a_step(users: list[int] | None = None) -> LossInputs:
    """Six samples of four targets, which repeat; two inputs alone and one random negative."""
    index = torch.tensor([1, 0, 1, 2, 3, 1])
    targets = Targets(index + 1, index, torch.arange(6), None if users is None else torch.tensor(users))
    return LossInputs(torch.randn(6, DIM), torch.randn(7, DIM), targets, Candidates(torch.arange(1, 8), 4, 6))


def lists_of_step(step: LossInputs) -> tuple[list, list, list]:
    """User embeddings, item embeddings and the rows of targets among these, as ``naive`` takes them."""
    return step.user_embeddings.tolist(), step.item_embeddings.tolist(), step.targets.index.tolist()


@pytest.mark.parametrize("tau", [0.07, 1.0])
def test_the_in_batch_loss_is_equation_8_without_repeats_of_the_target(tau):
    step = a_step()
    assert LOSSES["in-batch"](step, tau).item() == pytest.approx(naive.in_batch(*lists_of_step(step), tau), rel=1e-5)


def test_other_targets_of_a_user_are_no_negatives_of_the_in_batch_loss():
    users = [3, 3, 5, 3, 4, 4]
    step = a_step(users)
    expected = naive.in_batch(*lists_of_step(step), 0.07, users)
    assert LOSSES["in-batch"](step, 0.07).item() == pytest.approx(expected, rel=1e-5)
    without_users = replace(step, targets=replace(step.targets, users=None))
    assert LOSSES["in-batch"](without_users, 0.07).item() != pytest.approx(expected, rel=1e-3)


def test_the_sampled_loss_has_every_other_item_of_the_step_and_the_random_negatives():
    step = a_step()
    expected = naive.sampled(*lists_of_step(step), 0.07)
    assert LOSSES["sampled"](step, 0.07).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("lengths", [[1], [7], [1, 7, 3, 2, 7]], ids=str)
@pytest.mark.parametrize(("num_layers", "num_heads"), [(1, 1), (2, 2), (2, 4)])
def test_packed_sasrec_is_each_sequence_read_alone_in_loops(lengths, num_layers, num_heads):
    dim, longest = 8, 7
    model = shaken(SASRec(dim, longest, num_layers, num_heads, ffn_dim=6, dropout=0.5))
    packed = Ragged.from_rows([range(length) for length in lengths])
    x = torch.randn(sum(lengths), dim)
    actual = model(x, torch.from_numpy(packed.position_of_value), torch.from_numpy(packed.offsets))
    expected = [
        row
        for sequence in torch.split(x, lengths)
        for row in naive.sasrec(lists_of(model), num_layers, num_heads, sequence.tolist())
    ]
    assert_equal(actual, expected)


def test_the_recency_mean_is_the_decayed_sum_of_the_latest_rows_at_every_position():
    x = torch.randn(9, DIM)
    packed = Ragged.from_rows([range(1), range(6), range(2)])
    actual = RecencyMean(window=3, decay=0.5)(
        x, torch.from_numpy(packed.position_of_value), torch.from_numpy(packed.offsets)
    )
    expected = [
        naive.recency_mean(sequence[: t + 1].tolist(), 3, 0.5)
        for sequence in torch.split(x, [1, 6, 2])
        for t in range(len(sequence))
    ]
    assert_equal(actual, expected)


def test_the_naive_gru_follows_torch():
    cell = shaken(nn.GRUCell(DIM, DIM))
    x, state = torch.randn(DIM), torch.randn(DIM)
    assert_equal(cell(x, state), naive.gru_step(lists_of(cell), x.tolist(), state.tolist()))


def test_the_naive_softplus_follows_torch():
    x = torch.linspace(-4, 4, 9)
    assert_equal(F.softplus(x), [naive.softplus(value) for value in x.tolist()])
