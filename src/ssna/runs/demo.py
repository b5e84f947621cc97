"""The demo on MovieLens-100K: prepare, encode, train, compare, recommend, and films that training never saw."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssna.core.errors import DataError
from ssna.core.files import write_file
from ssna.data import Dataset
from ssna.runs.finished import Run
from ssna.runs.run import train
from ssna.text import LayerCache

WHEEL = "recbole-1.2.1-py3-none-any.whl"
SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
INSIDE = "recbole/dataset_example/ml-100k/"
TERMS = (
    "MovieLens-100K is by GroupLens Research, University of Minnesota: for research, not for commercial use, not to be "
    "passed on without permission; cite Harper and Konstan, The MovieLens Datasets, ACM TiiS 5(4), 2015. "
    "The copy used here ships inside the PyPI package recbole 1.2.1 (MIT)."
)
BASELINES = ("popularity", "text-knn", "text-linear", "item-knn", "blend", "cease")
HELD_OUT = 0.05  # of the films: no run sees them
BEST_SETTINGS = ("training.epochs=5",)  # keeps the demo within five minutes on two cores

Say = Callable[[str], None]


def unpack(wheel: Path, folder: Path) -> Path:
    """MovieLens-100K out of the pinned wheel. Raises :class:`DataError` if it is another file, or missing."""
    try:
        content = wheel.read_bytes()
    except OSError:
        raise DataError(
            f"{wheel} is not there; fetch it with: pip download --no-deps recbole==1.2.1 -d {wheel.parent}"
        ) from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(
            f"{wheel} is not the recbole 1.2.1 wheel that the demo was written for; delete and fetch it again"
        )
    target = folder / "ml-100k"
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in ("ml-100k.inter", "ml-100k.item"):
            write_file(target / name, archive.read(INSIDE + name))
    return target


def baselines(data: Dataset, cache: LayerCache, folder: Path) -> dict[str, Run]:
    """Every training-free method as a run."""
    return {name: train(data, cache, method=name, out=folder / "runs" / name, quiet=True) for name in BASELINES}


def example(data: Dataset, run: Run, say: Say) -> None:
    """One user's latest films and ten recommendations, titles readable."""
    row = int(np.flatnonzero(data.test.seen.lengths >= 10)[0])
    seen = data.items.ids(data.test.seen[row].tolist())
    text = dict(zip(data.items.external, data.texts[1:], strict=True))
    say(f"User {data.users.external[data.test.users[row]]} watched {len(seen)} films, the latest last:")
    for item in seen[-8:]:
        say(f"    {text[item]}")
    say("and is recommended:")
    for place, found in enumerate(run.recommender.recommend([seen], k=10)[0].items, start=1):
        say(f"{place:4d}  {found.text}")
    say(f"What the user watched next: {text[data.items.ids([data.test.targets[row]])[0]]}")
