import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ssna.methods.ids import Ids
from ssna.nn import catalogue as chunked
from ssna.nn.batch import Candidates, Targets
from ssna.nn.catalogue import Catalogue
from ssna.nn.embedding import ItemEmbedding
from ssna.nn.losses import LOSSES, LossInputs

pytestmark = pytest.mark.slow

DIM = 8


def loss_inputs(users: Tensor, embeddings: Tensor, encoder: Ids, items: int, targets: Tensor) -> LossInputs:
    """Samples of distinct ``targets``, against the whole catalogue."""
    index = torch.arange(len(targets))
    candidates = Candidates(targets, len(targets), len(targets))
    catalogue = Catalogue(encoder, items, targets)
    return LossInputs(users, embeddings, Targets(targets, index, index), candidates, None, catalogue)


def both() -> tuple[nn.Embedding, ItemEmbedding]:
    torch.manual_seed(0)
    plain, ours = nn.Embedding(12, DIM), ItemEmbedding(12, DIM)
    ours.load_state_dict(plain.state_dict())
    return plain, ours


def test_vectors_and_accumulated_gradients_are_those_of_torchs_embedding():
    plain, ours = both()
    for items in (torch.tensor([3, 1, 3]), torch.tensor([7, 3])):
        for module in (plain, ours):
            (module(items).square().sum() + module(items).sum()).backward()
    assert torch.equal(plain(torch.arange(12)), ours(torch.arange(12)))
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad)


class Large(TorchDispatchMode):
    """Keeps every storage of at least so many values that is made, and the largest of the others."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.values, self.kept, self.below = values, {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for x in out if isinstance(out, tuple | list) else [out]:
            if isinstance(x, Tensor):
                size = x.untyped_storage().nbytes() // x.element_size()
                if size >= self.values:
                    self.kept[x.untyped_storage().data_ptr()] = x
                else:
                    self.below = max(self.below, size)
        return out


@pytest.mark.parametrize("items", [400, 4000])
def test_a_step_over_the_whole_catalogue_holds_one_gradient_of_its_size_and_else_what_a_chunk_needs(items, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 16)
    torch.manual_seed(0)
    encoder, targets = Ids(items, DIM), torch.tensor([5, 9, 300])
    users = torch.randn(3, DIM, requires_grad=True)
    with Large(items) as made:
        LOSSES["full"](loss_inputs(users, encoder(targets), encoder, items, targets), 0.1).backward()
    storages = set(made.kept) - {encoder.vectors.weight.untyped_storage().data_ptr()}
    assert storages == {encoder.vectors.weight.grad.untyped_storage().data_ptr()}
    assert made.below <= 16 * DIM


def test_the_gradient_over_the_whole_catalogue_is_that_of_the_plain_softmax(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 16)
    torch.manual_seed(0)
    encoder, targets, users = Ids(50, DIM), torch.tensor([5, 9, 30]), torch.randn(3, DIM)
    LOSSES["full"](loss_inputs(users, encoder(targets), encoder, 50, targets), 0.1).backward()
    weight = encoder.vectors.weight.detach().requires_grad_()
    logits = F.normalize(users, dim=-1) @ F.normalize(weight[1:], dim=-1).T / 0.1
    F.cross_entropy(logits, targets - 1).backward()
    torch.testing.assert_close(encoder.vectors.weight.grad, weight.grad, rtol=1e-4, atol=1e-6)
