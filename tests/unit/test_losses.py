import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ssna.nn import catalogue as chunked
from ssna.nn.catalogue import Catalogue
from ssna.nn.losses import LOSSES, Candidates, distillation


def candidates(**changes) -> Candidates:
    generator = torch.Generator().manual_seed(2)
    values = {
        "intents": torch.randn(4, 6, generator=generator),
        "vectors": torch.randn(7, 6, generator=generator),
        "targets": torch.tensor([0, 1, 2, 1]),
        "in_batch": 5,
        "in_targets": 3,
        "log_chance": torch.tensor([-1.0, 0.0, -1.5, -4.0, -3.0]),
    }
    made = {**values, **changes}
    vectors = made["vectors"]
    catalogue = Catalogue(lambda rows: vectors[rows - 1], len(vectors), made["targets"] + 1)
    return Candidates(**{"catalogue": catalogue, **made})


@pytest.mark.parametrize("name", LOSSES)
def test_the_length_of_vectors_does_not_matter(name):
    plain = candidates()
    longer = candidates(intents=plain.intents * 30, vectors=plain.vectors * 0.2)
    torch.testing.assert_close(LOSSES[name](longer, 0.1), LOSSES[name](plain, 0.1))


@pytest.mark.parametrize("name", LOSSES)
def test_intents_that_point_at_their_targets_cost_almost_nothing(name):
    plain = candidates()
    assert LOSSES[name](candidates(intents=plain.vectors[plain.targets]), 0.01).item() < 1e-3


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_of_half_precision_vectors_is_computed_in_full_precision(name):
    plain = candidates()
    half = candidates(intents=plain.intents.bfloat16(), vectors=plain.vectors.bfloat16())
    full = candidates(intents=half.intents.float(), vectors=half.vectors.float())
    assert torch.equal(LOSSES[name](half, 0.1), LOSSES[name](full, 0.1))


@pytest.mark.parametrize("name", LOSSES)
def test_under_autocast_only_the_product_loses_precision(name):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = LOSSES[name](candidates(), 0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, LOSSES[name](candidates(), 0.1), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("in-batch", [0, 1, 2]),
        ("in-batch-logq", [0, 1, 2, 5, 6]),
        ("batch-items", [0, 1, 2, 3, 4]),
        ("sampled", [*range(7)]),
        ("full", [*range(7)]),
    ],
)
def test_gradients_reach_the_candidates_and_no_other_vector(name, read):
    vectors = candidates().vectors.requires_grad_()
    LOSSES[name](candidates(vectors=vectors), 0.1).backward()
    assert vectors.grad.abs().sum(dim=1).nonzero().flatten().tolist() == read


def test_a_batch_of_one_target_repeated_has_no_negatives_and_no_loss():
    alone = candidates(targets=torch.zeros(4, dtype=torch.long), in_targets=1, in_batch=7, log_chance=torch.zeros(1))
    assert LOSSES["in-batch"](alone, 0.1).item() == LOSSES["in-batch-logq"](alone, 0.1).item() == 0


def plain_full(intents, vectors, targets, temperature):
    return F.cross_entropy(F.normalize(intents, dim=-1) @ F.normalize(vectors, dim=-1).T / temperature, targets)


@pytest.mark.parametrize("chunk", [1, 3, 7, 4096])
def test_the_full_softmax_in_chunks_is_the_plain_one_and_so_is_its_gradient(chunk, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", chunk)
    intents, vectors = (x.double().requires_grad_() for x in (candidates().intents, candidates().vectors))
    given = candidates(intents=intents, vectors=vectors)
    ours, plain = LOSSES["full"](given, 0.1), plain_full(intents, vectors, given.targets, 0.1)
    torch.testing.assert_close(ours.double(), plain, rtol=1e-5, atol=1e-6)
    (3 * ours).backward()
    wanted = torch.autograd.grad(3 * plain, [intents, vectors])
    torch.testing.assert_close([intents.grad, vectors.grad], list(wanted), rtol=1e-5, atol=1e-6)


def test_the_full_softmax_encodes_chunks_again_from_the_same_noise(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 2)
    seen = []

    def noisy(rows):
        vectors = weight[rows - 1] + torch.randn(len(rows), 6)
        seen.append(vectors.detach())
        return vectors

    weight = candidates().vectors.requires_grad_()
    given = candidates(catalogue=Catalogue(noisy, 7, candidates().targets + 1))
    loss = LOSSES["full"](given, 0.1)
    state = torch.get_rng_state()
    loss.backward()
    assert len(seen) == 8
    for forward, backward in zip(seen[:4], seen[4:], strict=True):
        assert torch.equal(forward, backward)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_full_softmax_holds_no_matrix_of_the_catalogue(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 10)
    largest = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            largest.extend(
                x.numel() for x in (out if isinstance(out, tuple | list) else [out]) if isinstance(x, Tensor)
            )
            return out

    scale = torch.ones(6, requires_grad=True)
    catalogue = Catalogue(lambda rows: torch.sin(rows[:, None] * torch.arange(1, 7)) * scale, 1000, torch.arange(1, 5))
    with Sizes():
        LOSSES["full"](candidates(catalogue=catalogue), 0.1).backward()
    assert scale.grad is not None
    assert max(largest) == 60  # a chunk's vectors, where those of all items are 6,000 values and their logits 4,000


def test_logq_divides_what_others_chose_and_draws_by_their_chances():
    given = candidates(users=torch.tensor([0, 1, 1, 2]))
    columns = [0, 1, 2, 5, 6]
    plain = F.normalize(given.intents, dim=-1) @ F.normalize(given.vectors[columns], dim=-1).T / 0.1
    logits = plain - given.log_inclusion_prob
    logits[1, 2] = logits[2, 1] = -torch.inf  # the other target of the same user
    for row, target in enumerate([0, 1, 2, 1]):
        logits[row, target] = plain[row, target]
    torch.testing.assert_close(LOSSES["in-batch-logq"](given, 0.1), F.cross_entropy(logits, given.targets))


def test_logq_is_the_full_softmax_where_a_step_is_sure_to_have_the_catalogue():
    sure = candidates(targets=torch.arange(4), in_targets=4, in_batch=4, log_chance=torch.zeros(7))
    torch.testing.assert_close(LOSSES["in-batch-logq"](sure, 0.1), LOSSES["full"](sure, 0.1))


@pytest.mark.parametrize("name", LOSSES)
def test_samples_that_weigh_alike_count_as_without_weights(name):
    plain, weighted = candidates(), candidates(weights=torch.full((4,), 0.25))
    torch.testing.assert_close(LOSSES[name](weighted, 0.1), LOSSES[name](plain, 0.1))


@pytest.mark.parametrize("name", LOSSES)
def test_a_sample_counts_by_its_weight(name):
    each = [LOSSES[name](candidates(weights=F.one_hot(torch.tensor(n), 4).float()), 0.1) for n in range(4)]
    mixed = LOSSES[name](candidates(weights=torch.tensor([1.0, 0.5, 0.0, 0.25])), 0.1)
    torch.testing.assert_close(mixed, (each[0] + each[1] / 2 + each[3] / 4) / 1.75)


TAUGHT = torch.tensor([[2.0, -1.0, 0.0, 3.0, -2.0], [0.5, -4.0, 0.1, 1.0, 0.0]])
ROW = torch.tensor([0, 0, 1, 1])
WEIGHTS = torch.tensor([1.0, 0.5, 1.0, 0.25])


def plain_distillation(made: Candidates, temperature: float) -> Tensor:
    """Sample by sample, without anything but sums."""
    losses = []
    vectors = torch.cat([made.vectors[:3], made.vectors[5:]])
    for intent, row, user in zip(made.intents, made.teacher_row, made.users, strict=True):
        cosines = torch.stack([F.cosine_similarity(intent, vector, dim=0) for vector in vectors])
        theirs = set(made.targets[made.users == user].tolist())
        logits = cosines / temperature - torch.stack(
            [made.log_inclusion_prob[column] * (column not in theirs) for column in range(5)]
        )
        together = (logits.detach() + made.teacher_logits[row]).exp()
        likely = logits - logits.exp().sum().log()
        losses.append(-(together / together.sum() * likely).sum())
    return (torch.stack(losses) * made.weights).sum() / made.weights.sum()


def test_distillation_is_cross_entropy_to_what_model_and_teacher_say_together():
    found = []
    for loss in (distillation, plain_distillation):
        made = candidates(taught=TAUGHT, row=ROW, weights=WEIGHTS, users=torch.tensor([0, 0, 1, 1]))
        made.intents.requires_grad_()
        made.vectors.requires_grad_()
        value = loss(made, 0.3)
        value.backward()
        found.append((value.detach(), made.intents.grad, made.vectors.grad))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)
    assert found[0][1].abs().max() > 0.01


def test_of_one_mind_with_its_teacher_a_model_does_not_move():
    made = candidates(taught=torch.zeros(2, 5), row=ROW)
    made.intents.requires_grad_()
    distillation(made, 0.3).backward()
    assert made.intents.grad.abs().max() < 1e-6
