"""Seconds to admit new items by their texts, against the language model's own time for these texts.

python benchmarks/admission.py RUN -o benchmarks/results/admission.json [--texts 1000] [--rounds 3]

The texts are those of the run's own catalogue, in random order, under new ids. ``embed`` is the language model alone,
with the layers that the run reads; ``add_items`` is all of it. Both take turns, with the model loaded before. Histories
of three items, at random, then say what admission did to old items: by how much scores differ at most, and how many
ranks changed that near-ties do not explain.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side import alternate, conditions, keep, seconds

from ssna.core.ragged import Ragged
from ssna.recommender import Recommender
from ssna.text import embed

NEAR = 1e-5
"""Scores that differ by less may change places."""


def new_texts(recommender: Recommender, count: int, rng: np.random.Generator) -> dict[str, str]:
    """``count`` texts by new ids; a catalogue of fewer gives its own several times."""
    texts = [text for text in recommender.texts if text]
    order = np.concatenate([rng.permutation(len(texts)) for _ in range(-(-count // len(texts)))])[:count]
    return {f"new {number}": texts[row] for number, row in enumerate(order.tolist())}


def old_items(before: Recommender, after: Recommender, histories: Ragged) -> dict[str, Any]:
    """What admission changed for ``histories``: the largest difference of a score, and how many ranks of old items
    among old ones changed although no other score was :data:`NEAR`."""
    old = before.scorer.num_rows
    first, second = before.scorer.score(histories)[:, 1:], after.scorer.score(histories)[:, 1:old]
    changed = 0
    for one, other in zip(first, second, strict=True):
        order, places = one.argsort(descending=True, stable=True), other.argsort(descending=True, stable=True)
        moved = order != places
        changed += int((moved & ((one[order] - one[places]).abs() > NEAR)).sum())
    return {"largest_difference": float((first - second).abs().max()), "ranks_changed": changed}


def measured(recommender: Recommender, texts: dict[str, str], histories: Ragged, rounds: int) -> dict[str, Any]:
    assert recommender.encoding is not None
    encoding, layers = recommender.encoding, recommender.scorer.layers
    embed(tuple(texts.values())[:8], encoding, layers)  # the weights are loaded
    rates = alternate(
        {
            "embed": lambda: seconds(lambda: embed(tuple(texts.values()), encoding, layers)),
            "add_items": lambda: seconds(lambda: recommender.admit_read(recommender.read(texts))),
        },
        rounds,
    )
    beyond = statistics.median(all_ - alone for alone, all_ in zip(rates["embed"], rates["add_items"], strict=True))
    return {
        "items": len(recommender.items),
        "texts": len(texts),
        "layers": layers,
        "language_model": encoding.model,
        "seconds": rates,
        "seconds_beyond": beyond,
        "old_items": old_items(recommender, recommender.admit_read(recommender.read(texts)), histories),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--histories", type=int, default=200)
    arguments = parser.parse_args()
    found: dict[str, Any] = conditions(__file__)
    recommender, rng = Recommender.load(arguments.run), np.random.default_rng(0)
    if recommender.encoding is None or not recommender.scorer.layers:
        parser.error(f"{arguments.run} admits no items by their texts")
    texts = new_texts(recommender, arguments.texts, rng)
    rows = rng.integers(1, len(recommender.items) + 1, (arguments.histories, 3))
    with torch.inference_mode():
        found |= measured(recommender, texts, Ragged.from_rows(list(rows)), arguments.rounds)
    medians = {name: statistics.median(values) for name, values in found["seconds"].items()}
    print(
        f"{found['texts']:,} texts beside {found['items']:,} items: add_items {medians['add_items']:.2f} s, embed "
        f"alone {medians['embed']:.2f} s, {found['seconds_beyond']:+.3f} s beyond it; old items: {found['old_items']}"
    )
    keep(arguments.out, {**found, "run": arguments.run.name})


if __name__ == "__main__":
    main()
