import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ssna.nn import catalogue as chunked
from ssna.nn.batch import Candidates, Targets, TeacherLogits
from ssna.nn.catalogue import Catalogue
from ssna.nn.losses import LOSSES, LossInputs, distillation


def loss_inputs(
    *,
    user_embeddings: Tensor | None = None,
    item_embeddings: Tensor | None = None,
    index: Tensor | None = None,
    users: Tensor | None = None,
    weights: Tensor | None = None,
    num_targets: int = 3,
    num_in_batch: int = 5,
    log_inclusion_prob: Tensor | None = None,
    teacher: TeacherLogits | None = None,
    catalogue: Catalogue | None = None,
) -> LossInputs:
    """Four samples of three targets, two other inputs and two negatives, which are the whole catalogue."""
    generator = torch.Generator().manual_seed(2)
    random_users = torch.randn(4, 6, generator=generator)
    random_items = torch.randn(7, 6, generator=generator)
    embeddings = random_items if item_embeddings is None else item_embeddings
    index = torch.tensor([0, 1, 2, 1]) if index is None else index
    log_prob = torch.tensor([-1.0, 0.0, -1.5, -4.0, -3.0]) if log_inclusion_prob is None else log_inclusion_prob
    whole = Catalogue(lambda rows: embeddings[rows - 1], len(embeddings), index + 1)
    return LossInputs(
        random_users if user_embeddings is None else user_embeddings,
        embeddings,
        Targets(index + 1, index, torch.arange(len(index)), users, weights),
        Candidates(torch.arange(1, 8), num_targets, num_in_batch, log_prob, 7),
        teacher,
        whole if catalogue is None else catalogue,
    )


@pytest.mark.parametrize("name", LOSSES)
def test_the_length_of_embeddings_does_not_matter(name):
    plain = loss_inputs()
    longer = loss_inputs(user_embeddings=plain.user_embeddings * 30, item_embeddings=plain.item_embeddings * 0.2)
    torch.testing.assert_close(LOSSES[name](longer, 0.1), LOSSES[name](plain, 0.1))


@pytest.mark.parametrize("name", LOSSES)
def test_users_whose_embeddings_point_at_their_targets_cost_almost_nothing(name):
    plain = loss_inputs()
    assert LOSSES[name](loss_inputs(user_embeddings=plain.item_embeddings[plain.targets.index]), 0.01).item() < 1e-3


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_of_half_precision_embeddings_is_computed_in_full_precision(name):
    plain = loss_inputs()
    half = loss_inputs(
        user_embeddings=plain.user_embeddings.bfloat16(), item_embeddings=plain.item_embeddings.bfloat16()
    )
    full = loss_inputs(user_embeddings=half.user_embeddings.float(), item_embeddings=half.item_embeddings.float())
    assert torch.equal(LOSSES[name](half, 0.1), LOSSES[name](full, 0.1))


@pytest.mark.parametrize("name", LOSSES)
def test_under_autocast_only_the_product_loses_precision(name):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = LOSSES[name](loss_inputs(), 0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, LOSSES[name](loss_inputs(), 0.1), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("in-batch", [0, 1, 2]),
        ("in-batch-logq", [0, 1, 2, 5, 6]),
        ("sampled", [*range(7)]),
        ("full", [*range(7)]),
    ],
)
def test_gradients_reach_the_candidates_of_a_loss_and_no_other_item(name, read):
    items = loss_inputs().item_embeddings.requires_grad_()
    LOSSES[name](loss_inputs(item_embeddings=items), 0.1).backward()
    assert items.grad.abs().sum(dim=1).nonzero().flatten().tolist() == read


def test_a_batch_of_one_target_repeated_has_no_negatives_and_no_loss():
    alone = loss_inputs(
        index=torch.zeros(4, dtype=torch.long), num_targets=1, num_in_batch=7, log_inclusion_prob=torch.zeros(1)
    )
    assert LOSSES["in-batch"](alone, 0.1).item() == LOSSES["in-batch-logq"](alone, 0.1).item() == 0


def plain_full(users, items, labels, temperature):
    return F.cross_entropy(F.normalize(users, dim=-1) @ F.normalize(items, dim=-1).T / temperature, labels)


@pytest.mark.parametrize("chunk", [1, 3, 7, 4096])
def test_the_full_softmax_in_chunks_is_the_plain_one_and_so_is_its_gradient(chunk, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", chunk)
    plain_inputs = loss_inputs()
    users, items = plain_inputs.user_embeddings.double(), plain_inputs.item_embeddings.double()
    given = loss_inputs(user_embeddings=users.requires_grad_(), item_embeddings=items.requires_grad_())
    ours, plain = LOSSES["full"](given, 0.1), plain_full(users, items, given.targets.index, 0.1)
    torch.testing.assert_close(ours.double(), plain, rtol=1e-5, atol=1e-6)
    (3 * ours).backward()
    wanted = torch.autograd.grad(3 * plain, [users, items])
    torch.testing.assert_close([users.grad, items.grad], list(wanted), rtol=1e-5, atol=1e-6)


def test_the_full_softmax_encodes_chunks_again_from_the_same_noise(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 2)
    seen = []

    def noisy(rows):
        vectors = weight[rows - 1] + torch.randn(len(rows), 6)
        seen.append(vectors.detach())
        return vectors

    weight = loss_inputs().item_embeddings.requires_grad_()
    given = loss_inputs(catalogue=Catalogue(noisy, 7, loss_inputs().targets.index + 1))
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
        LOSSES["full"](loss_inputs(catalogue=catalogue), 0.1).backward()
    assert scale.grad is not None
    assert max(largest) == 60  # a chunk's vectors, where those of all items are 6,000 values and their logits 4,000


def test_logq_divides_targets_of_others_and_negatives_by_their_inclusion_probability():
    given = loss_inputs(users=torch.tensor([0, 1, 1, 2]))
    columns = [0, 1, 2, 5, 6]
    plain = F.normalize(given.user_embeddings, dim=-1) @ F.normalize(given.item_embeddings[columns], dim=-1).T / 0.1
    logits = plain - given.candidates.log_inclusion_prob
    logits[1, 2] = logits[2, 1] = -torch.inf  # the other target of the same user
    for row, target in enumerate([0, 1, 2, 1]):
        logits[row, target] = plain[row, target]
    torch.testing.assert_close(LOSSES["in-batch-logq"](given, 0.1), F.cross_entropy(logits, given.targets.index))


def test_logq_is_the_full_softmax_where_every_step_includes_the_catalogue():
    sure = loss_inputs(index=torch.arange(4), num_targets=4, num_in_batch=4, log_inclusion_prob=torch.zeros(7))
    torch.testing.assert_close(LOSSES["in-batch-logq"](sure, 0.1), LOSSES["full"](sure, 0.1))


@pytest.mark.parametrize("name", LOSSES)
def test_equal_weights_of_samples_change_nothing(name):
    plain, weighted = loss_inputs(), loss_inputs(weights=torch.full((4,), 0.25))
    torch.testing.assert_close(LOSSES[name](weighted, 0.1), LOSSES[name](plain, 0.1))


@pytest.mark.parametrize("name", LOSSES)
def test_a_sample_counts_by_its_weight(name):
    each = [LOSSES[name](loss_inputs(weights=F.one_hot(torch.tensor(n), 4).float()), 0.1) for n in range(4)]
    mixed = LOSSES[name](loss_inputs(weights=torch.tensor([1.0, 0.5, 0.0, 0.25])), 0.1)
    torch.testing.assert_close(mixed, (each[0] + each[1] / 2 + each[3] / 4) / 1.75)


TEACHER_LOGITS = torch.tensor([[2.0, -1.0, 0.0, 3.0, -2.0], [0.5, -4.0, 0.1, 1.0, 0.0]])
TEACHER_ROW = torch.tensor([0, 0, 1, 1])
WEIGHTS = torch.tensor([1.0, 0.5, 1.0, 0.25])


def plain_distillation(made: LossInputs, temperature: float) -> Tensor:
    """Sample by sample, without anything but sums."""
    losses = []
    items = torch.cat([made.item_embeddings[:3], made.item_embeddings[5:]])
    for embedding, row, user in zip(made.user_embeddings, made.teacher.row, made.targets.users, strict=True):
        cosines = torch.stack([F.cosine_similarity(embedding, item, dim=0) for item in items])
        theirs = set(made.targets.index[made.targets.users == user].tolist())
        logits = cosines / temperature - torch.stack(
            [made.candidates.log_inclusion_prob[column] * (column not in theirs) for column in range(5)]
        )
        together = (logits.detach() + made.teacher.logits[row]).exp()
        likely = logits - logits.exp().sum().log()
        losses.append(-(together / together.sum() * likely).sum())
    return (torch.stack(losses) * made.targets.weights).sum() / made.targets.weights.sum()


def test_distillation_is_cross_entropy_to_model_and_teacher_together():
    found = []
    for loss in (distillation, plain_distillation):
        made = loss_inputs(
            teacher=TeacherLogits(TEACHER_LOGITS, TEACHER_ROW), weights=WEIGHTS, users=torch.tensor([0, 0, 1, 1])
        )
        made.user_embeddings.requires_grad_()
        made.item_embeddings.requires_grad_()
        value = loss(made, 0.3)
        value.backward()
        found.append((value.detach(), made.user_embeddings.grad, made.item_embeddings.grad))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)
    assert found[0][1].abs().max() > 0.01


def test_distillation_from_a_teacher_without_an_opinion_has_no_gradient():
    made = loss_inputs(teacher=TeacherLogits(torch.zeros(2, 5), TEACHER_ROW))
    made.user_embeddings.requires_grad_()
    distillation(made, 0.3).backward()
    assert made.user_embeddings.grad.abs().max() < 1e-6
