"""What a run's own figures say about a choice that is still to be made."""

from collections.abc import Iterator, Mapping

from ssna.evaluation import Evaluation
from ssna.evaluation.metrics import recall
from ssna.evaluation.significance import paired_t

_LEAST_GAIN = 0.05  # of recall; less is not worth a word
_ALPHA = 0.01  # of the paired t-test
_K = 10


def hints(test: Evaluation | None, ensemble: Mapping[str, float] | None, method: str) -> Iterator[str]:
    """A sentence for each choice that the figures of the ``test`` and the weights of the ``ensemble`` speak for."""
    if test is not None:
        yield from _repeats(test)
    if ensemble and ensemble.get(method) == 0 and any(ensemble.values()):
        others = " and ".join(name for name, weight in ensemble.items() if weight)
        yield f"validation gives {method} no weight beside {others}: these do as well without it, and need no epochs"


def _repeats(test: Evaluation) -> Iterator[str]:
    """Whether users come back to items so often that lists should hold these, too."""
    k = min(_K, test.items)
    found = {policy: recall(ranks, k) for policy, ranks in test.ranks.items()}
    without, included = (float(found[policy].mean()) for policy in ("exclude_seen", "include_seen"))
    gain = included - without
    if gain <= _LEAST_GAIN * without or paired_t(found["include_seen"] - found["exclude_seen"]) > _ALPHA:
        return
    more = f"{gain / without:+.0%} recall" if without else "recall from nothing"
    yield (
        f"your users take items again: {more} with seen items included (R@{_K} {included:.4f}, not {without:.4f}); "
        "recommend them, too (exclude_seen=False, --include-seen)"
    )
