"""Cross-entropy over cosines, Eq. 8, for several choices of the items a target competes with.

Eq. 8 as printed lacks its minus logarithm and leaves the positive out of the denominator; both are put back (see
docs/decisions). A candidate that is the target itself, standing for another sample, never counts as its negative.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from ssna.nn.catalogue import Catalogue, log_normalizers
from ssna.nn.padding import pad_rows


@dataclass(frozen=True)
class Candidates:
    """What the samples of a step may be contrasted with.

    Attributes:
        intents: ``(p, D)`` outputs of the sequence model; p = P unless processes share the step.
        vectors: ``(U, D)`` vectors of the step's distinct items, then those of ``S`` random ones.
        targets: ``(P,)`` each sample's target as a row of ``vectors``.
        in_batch: how many rows of ``vectors`` stand in the batch; the rest are random draws.
        in_targets: how many rows, the first ones, are targets.
        users: ``(P,)`` whose sample each is, numbered from 0, below P; None: no two are of one user.
        log_chance: ``(in_targets + S,)`` logarithms of the chances that a step has these items as targets or draws.
        weights: ``(P,)`` what each sample counts in the mean; None: they count alike.
        taught: ``(R, in_targets + S)`` a teacher's logits of these items, and ``row (p,)`` each own sample's row there.
        blank: ``(U,)`` True for vectors that stand for no item, ``nobody (P,)`` for samples of no one; None: none.
        catalogue: all items, to be encoded in chunks, and where in it the targets are.
        own: of the ``P`` samples, those whose intents are here, where several processes share a step.
    """

    intents: Tensor
    vectors: Tensor
    targets: Tensor
    in_batch: int
    in_targets: int
    users: Tensor | None = None
    log_inclusion_prob: Tensor | None = None
    weights: Tensor | None = None
    teacher_logits: Tensor | None = None
    teacher_row: Tensor | None = None
    catalogue: Catalogue | None = None
    padding_items: Tensor | None = None
    padding_samples: Tensor | None = None
    own: slice = field(default_factory=lambda: slice(None))

    @property
    def candidate_embeddings(self) -> Tensor:
        """``(in_targets + S, D)`` vectors of the items that ``log_chance`` and ``taught`` speak of."""
        return torch.cat([self.vectors[: self.in_targets], self.vectors[self.in_batch :]])

    @property
    def same_user_positives(self) -> Tensor:
        """``(p, in_targets + S)`` True where an item of ``contrasted`` is a target of a sample's user."""
        targets, columns = self.targets, len(self.vectors) - self.in_batch + self.in_targets
        users = torch.arange(len(targets), device=targets.device) if self.users is None else self.users
        chosen = torch.zeros(len(targets) * columns, dtype=torch.bool, device=targets.device)
        by_user = chosen.index_fill_(0, users * columns + targets, True).view(len(targets), -1)
        return by_user[users[self.own]]

    @property
    def own_targets(self) -> Tensor:
        """``(p,)`` the targets of ``intents``."""
        return self.targets[self.own]

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over one's own samples: ``logits (p, C)``, ``labels (p,)``."""
        if self.weights is None:
            return F.cross_entropy(logits, labels)
        return self.mean(F.cross_entropy(logits, labels, reduction="none"))

    def mean(self, losses: Tensor) -> Tensor:
        """Of ``losses (p,)``."""
        if self.weights is None:
            return losses.mean()
        weights = self.weights[self.own]
        return (losses * weights).sum() / weights.sum()


def cosine_logits(intents: Tensor, vectors: Tensor, temperature: float) -> Tensor:
    """Eq. 7 over the temperature: ``(P, D)``, ``(C, D)`` -> ``(P, C)``, in fp32 but for the product under autocast."""
    rows, columns = (pad_rows(F.normalize(x.float(), dim=-1)) for x in (intents, vectors))
    return (rows @ columns.T)[: len(intents), : len(vectors)].float() / temperature


def in_batch(candidates: Candidates, temperature: float) -> Tensor:
    """Eq. 8: a sample competes with "the ground-truth next items from all other users in the same batch".

    What else the same user chose is no negative, and neither is a repeat of the target.
    """
    targets, users, own = candidates.targets, candidates.users, candidates.own
    chosen = candidates.vectors.index_select(0, targets)
    logits = cosine_logits(candidates.intents, chosen, temperature)  # (p, P)
    barred = targets[own, None] == targets[None, :]
    if users is not None:
        barred |= users[own, None] == users[None, :]
    if candidates.padding_samples is not None:
        barred |= candidates.padding_samples
    labels = torch.arange(len(targets), device=logits.device)[own]
    barred.scatter_(1, labels[:, None], False)
    return candidates.cross_entropy(logits.masked_fill(barred, -torch.inf), labels)


def in_batch_logq(candidates: Candidates, temperature: float) -> Tensor:
    """An estimate of :func:`full` without one's own other targets: a sample competes with the step's distinct targets
    of other users, and with the draws.

    Each logit, but that of the sample's own target, loses the logarithm of the chance that a step has the item, so that
    the sum in the denominator is on average that over the catalogue, without draws over all that is ever a target
    (Horvitz and Thompson, 1952; the logQ correction of Yi et al., 2019, for items that a step has or has not). Draws
    bring items that are seldom a target (Yang et al., 2020).
    """
    chance = candidates.log_inclusion_prob
    assert chance is not None, "batches of training carry the chances"
    logits = cosine_logits(candidates.intents, candidates.candidate_embeddings, temperature)  # (p, in_targets + S)
    labels = candidates.own_targets
    positives = logits.gather(1, labels[:, None])
    logits = (logits - chance).masked_fill_(candidates.same_user_positives, -torch.inf)
    return candidates.cross_entropy(logits.scatter_(1, labels[:, None], positives), labels)


def batch_items(candidates: Candidates, temperature: float) -> Tensor:
    """A sample competes with every distinct item of the step, inputs as well as targets, each once."""
    return _among(candidates, candidates.in_batch, temperature)


def sampled(candidates: Candidates, temperature: float) -> Tensor:
    """As :func:`batch_items`, and with the random draws too (none of which stands in the batch)."""
    return _among(candidates, len(candidates.vectors), temperature)


def _among(candidates: Candidates, first: int, temperature: float) -> Tensor:
    logits = cosine_logits(candidates.intents, candidates.vectors[:first], temperature)
    if candidates.padding_items is not None:
        logits = logits.masked_fill(candidates.padding_items[:first], -torch.inf)
    return candidates.cross_entropy(logits, candidates.own_targets)


def full(candidates: Candidates, temperature: float) -> Tensor:
    """A sample competes with the whole catalogue, which is encoded in chunks, forward and again backward."""
    intents, catalogue = F.normalize(candidates.intents.float(), dim=-1), candidates.catalogue
    assert catalogue is not None, "batches of training carry the catalogue"
    positives = F.normalize(candidates.vectors.index_select(0, candidates.own_targets).float(), dim=-1)
    logits = (intents * positives).sum(dim=-1) / temperature
    others = log_normalizers(intents, catalogue, temperature)
    return candidates.mean(torch.logaddexp(logits, others) - logits)


def importance_weighted_logits(candidates: Candidates, temperature: float) -> Tensor:
    """``(p, in_targets + S)`` logits of a step's items, each for as many as its chance to be there says.

    Sums of their exponents are on average those over all that is ever a target, and with draws over the catalogue. A
    step that has a user has this user's targets for certain.
    """
    assert candidates.log_inclusion_prob is not None, "batches of training carry the chances"
    logits = cosine_logits(candidates.intents, candidates.candidate_embeddings, temperature)
    return torch.where(candidates.same_user_positives, logits, logits - candidates.log_inclusion_prob)


def distillation(candidates: Candidates, temperature: float) -> Tensor:
    """Cross-entropy to what the model and its teacher say together: ``softmax(logits + taught)`` as the target of
    ``softmax(logits)``, over the items of the step (Hinton et al., 2015, with a teacher who always knows what the
    student knows, too).

    The sum of the two is what a blend of them ranks by, so that the model learns to give alone what it gives with
    the teacher beside it.
    """
    taught, row = candidates.teacher_logits, candidates.teacher_row
    assert taught is not None, "batches of training carry the teacher's word"
    assert row is not None, "and whose it is"
    logits = importance_weighted_logits(candidates, temperature)
    together = (logits.detach() + taught.index_select(0, row)).softmax(dim=1)
    likely = logits.log_softmax(dim=1).masked_fill(logits == -torch.inf, 0.0)  # blanks
    return candidates.mean(-(together * likely).sum(dim=1))


LOSSES: dict[str, Callable[[Candidates, float], Tensor]] = {
    "in-batch": in_batch,
    "in-batch-logq": in_batch_logq,
    "batch-items": batch_items,
    "sampled": sampled,
    "full": full,
}
