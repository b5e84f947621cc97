import pytest
import torch

from ssna.nn.losses import LOSSES, Candidates


def candidates(**changes) -> Candidates:
    generator = torch.Generator().manual_seed(2)
    values = {
        "intents": torch.randn(4, 6, generator=generator),
        "vectors": torch.randn(7, 6, generator=generator),
        "targets": torch.tensor([0, 1, 2, 1]),
        "in_batch": 5,
    }
    return Candidates(**{**values, **changes})


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


@pytest.mark.parametrize(("name", "read"), [("in-batch", 3), ("batch-items", 5), ("sampled", 7)])
def test_gradients_reach_the_candidates_and_no_other_vector(name, read):
    vectors = candidates().vectors.requires_grad_()
    LOSSES[name](candidates(vectors=vectors), 0.1).backward()
    assert vectors.grad.abs().sum(dim=1).gt(0).tolist() == [row < read for row in range(7)]


def test_a_batch_of_one_target_repeated_has_no_negatives_and_no_loss():
    alone = candidates(targets=torch.tensor([3, 3, 3, 3]))
    assert LOSSES["in-batch"](alone, 0.1).item() == 0
