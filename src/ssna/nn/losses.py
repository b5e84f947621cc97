"""Cross-entropy over cosines, Eq. 8, for several choices of the items a target competes with.

Eq. 8 as printed lacks its minus logarithm and leaves the positive out of the denominator; both are put back (see
docs/decisions). A candidate that is the target itself, standing for another sample, never counts as its negative.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ssna.nn.batch import Candidates, Targets, TeacherLogits
from ssna.nn.catalogue import Catalogue, log_normalizers
from ssna.nn.padding import pad_rows


@dataclass(frozen=True)
class LossInputs:
    """What a loss is computed from: embeddings, and the parts of the batch that say what these are.

    Attributes:
        user_embeddings: ``(p, D)`` outputs of the sequence model after each own sample's input.
        item_embeddings: ``(U, D)`` of the step's candidates.
        targets: ``P`` samples, of which p are this process's own.
        candidates: ``U`` items.
        teacher: for distillation, else None.
        catalogue: all items, to be encoded in chunks, and where in it the targets are.
    """

    user_embeddings: Tensor
    item_embeddings: Tensor
    targets: Targets
    candidates: Candidates
    teacher: TeacherLogits | None = None
    catalogue: Catalogue | None = None

    @property
    def candidate_embeddings(self) -> Tensor:
        """``(num_targets + S, D)`` of the items that inclusion probabilities and the teacher speak of."""
        return self.candidates.contrasted(self.item_embeddings)

    @property
    def same_user_positives(self) -> Tensor:
        """``(p, num_targets + S)`` True where one of ``candidate_embeddings`` is a target of a sample's user."""
        index, candidates = self.targets.index, self.candidates
        columns = len(self.item_embeddings) - candidates.num_in_batch + candidates.num_targets
        users = torch.arange(len(index), device=index.device) if self.targets.users is None else self.targets.users
        positives = torch.zeros(len(index) * columns, dtype=torch.bool, device=index.device)
        by_user = positives.index_fill_(0, users * columns + index, True).view(len(index), -1)
        return by_user[users[self.targets.own]]

    @property
    def labels(self) -> Tensor:
        """``(p,)`` each own sample's target as a row of ``item_embeddings``."""
        return self.targets.index[self.targets.own]

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over one's own samples: ``logits (p, C)``, ``labels (p,)``."""
        if self.targets.weights is None:
            return F.cross_entropy(logits, labels)
        return self.mean(F.cross_entropy(logits, labels, reduction="none"))

    def mean(self, losses: Tensor) -> Tensor:
        """Of ``losses (p,)``, weighted as the samples are."""
        if self.targets.weights is None:
            return losses.mean()
        weights = self.targets.weights[self.targets.own]
        return (losses * weights).sum() / weights.sum()


def cosine_logits(users: Tensor, items: Tensor, temperature: float) -> Tensor:
    """Eq. 7 over the temperature: ``(P, D)``, ``(C, D)`` -> ``(P, C)``, in fp32 but for the product under autocast."""
    rows, columns = (pad_rows(F.normalize(x.float(), dim=-1)) for x in (users, items))
    return (rows @ columns.T)[: len(users), : len(items)].float() / temperature


def in_batch(inputs: LossInputs, temperature: float) -> Tensor:
    """Eq. 8: a sample competes with "the ground-truth next items from all other users in the same batch".

    What else the same user chose is no negative, and neither is a repeat of the target.
    """
    targets, own = inputs.targets, inputs.targets.own
    chosen = inputs.item_embeddings.index_select(0, targets.index)
    logits = cosine_logits(inputs.user_embeddings, chosen, temperature)  # (p, P)
    excluded = targets.index[own, None] == targets.index[None, :]
    if targets.users is not None:
        excluded |= targets.users[own, None] == targets.users[None, :]
    if inputs.candidates.padding_items is not None:
        excluded |= targets.items == 0  # padding samples
    labels = torch.arange(len(targets), device=logits.device)[own]
    excluded.scatter_(1, labels[:, None], False)
    return inputs.cross_entropy(logits.masked_fill(excluded, -torch.inf), labels)


def in_batch_logq(inputs: LossInputs, temperature: float) -> Tensor:
    """An estimate of :func:`full` without one's own other targets: a sample competes with the step's distinct targets
    of other users, and with the random negatives.

    Each logit, but that of the sample's own target, loses the logarithm of the probability that a step has the item.
    The sum in the denominator is then on average that over the catalogue; without random negatives, over all that is
    ever a target (Horvitz and Thompson, 1952; the logQ correction of Yi et al., 2019, for items that a step has or has
    not). Random negatives bring items that are seldom a target (Yang et al., 2020).
    """
    log_prob = inputs.candidates.log_inclusion_prob
    assert log_prob is not None, "batches of training carry the probabilities"
    logits = cosine_logits(inputs.user_embeddings, inputs.candidate_embeddings, temperature)  # (p, num_targets + S)
    labels = inputs.labels
    positives = logits.gather(1, labels[:, None])
    logits = (logits - log_prob).masked_fill_(inputs.same_user_positives, -torch.inf)
    return inputs.cross_entropy(logits.scatter_(1, labels[:, None], positives), labels)


def sampled(inputs: LossInputs, temperature: float) -> Tensor:
    """A sample competes with every distinct item of the step, inputs as well as targets, each once; and with the random
    negatives, none of which is in the batch."""
    logits = cosine_logits(inputs.user_embeddings, inputs.item_embeddings, temperature)
    if inputs.candidates.padding_items is not None:
        logits = logits.masked_fill(inputs.candidates.padding_items, -torch.inf)
    return inputs.cross_entropy(logits, inputs.labels)


def full(inputs: LossInputs, temperature: float) -> Tensor:
    """A sample competes with the whole catalogue, which is encoded in chunks, forward and again backward."""
    users, catalogue = F.normalize(inputs.user_embeddings.float(), dim=-1), inputs.catalogue
    assert catalogue is not None, "batches of training carry the catalogue"
    positives = F.normalize(inputs.item_embeddings.index_select(0, inputs.labels).float(), dim=-1)
    logits = (users * positives).sum(dim=-1) / temperature
    others = log_normalizers(users, catalogue, temperature)
    return inputs.mean(torch.logaddexp(logits, others) - logits)


def importance_weighted_logits(inputs: LossInputs, temperature: float) -> Tensor:
    """``(p, num_targets + S)`` logits of a step's items, each for as many as its inclusion probability says.

    Sums of their exponents are on average those over all that is ever a target, and with random negatives over the
    catalogue. A step that has a user has this user's targets for certain.
    """
    log_prob = inputs.candidates.log_inclusion_prob
    assert log_prob is not None, "batches of training carry the probabilities"
    logits = cosine_logits(inputs.user_embeddings, inputs.candidate_embeddings, temperature)
    return torch.where(inputs.same_user_positives, logits, logits - log_prob)


def distillation(inputs: LossInputs, temperature: float) -> Tensor:
    """Cross-entropy to what model and teacher give together: ``softmax(logits + teacher_logits)`` as the target of
    ``softmax(logits)``, over the items of the step (Hinton et al., 2015, with a teacher that always knows what the
    student knows, too).

    The sum of the two is what an ensemble of them ranks by, so that the model learns to give alone what both give.
    """
    teacher = inputs.teacher
    assert teacher is not None, "batches of a distilled epoch carry the teacher's logits"
    logits = importance_weighted_logits(inputs, temperature)
    both = (logits.detach() + teacher.logits.index_select(0, teacher.row)).softmax(dim=1)
    log_prob = logits.log_softmax(dim=1).masked_fill(logits == -torch.inf, 0.0)  # padding items
    return inputs.mean(-(both * log_prob).sum(dim=1))


LOSSES: dict[str, Callable[[LossInputs, float], Tensor]] = {
    "in-batch": in_batch,
    "in-batch-logq": in_batch_logq,
    "sampled": sampled,
    "full": full,
}


@dataclass(frozen=True)
class Loss:
    """One of ``LOSSES`` at a temperature, with the distillation loss where the inputs have a teacher's logits."""

    name: str
    temperature: float
    distillation_weight: float = 1.0

    @property
    def cuda_graph_safe(self) -> bool:
        """Whether it asks nothing of the host; ``full`` encodes the catalogue chunk by chunk."""
        return self.name != "full"

    def __call__(self, inputs: LossInputs) -> Tensor:
        """A scalar."""
        loss = LOSSES[self.name](inputs, self.temperature)
        if inputs.teacher is None:
            return loss
        return loss + self.distillation_weight * distillation(inputs, self.temperature)
