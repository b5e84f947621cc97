"""What the fixtures of this folder are made of."""

from ssna.recommender import Recommendation

ITEMS = 20
SMALL = ["dim=8", "sequence.ffn_dim=8", "training.batch_size=64", "training.epochs=1"]
METHODS = {
    "ssna": [*SMALL, "method.num_experts=2", "method.init=whitened", 'ensemble.members=["item-knn", "text-knn"]'],
    "ids": SMALL,
    "item-knn": [],
    "text-knn": ["dim=8"],
    "popularity": [],
}
KNOWN = [f"i{row}" for row in range(1, ITEMS + 1)]


def ids(recommendation: Recommendation) -> list[str]:
    return [scored.item for scored in recommendation.items]
