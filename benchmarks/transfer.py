"""What a model that learned from the texts of some catalogues knows of another: each data set held out in turn.

python benchmarks/transfer.py data/A=caches/A data/B=caches/B ... -o runs/transfer
                              [--hold-out A] [--epochs 3] [--warm 3]

For each held-out data set a model without ids (recipe `text`, no ensemble) learns from the others together, and is
then used on it as it is (`zero-shot`), and after some epochs on it (`warm`). Beside them stand as many from nothing
(`cold`), and text-knn. Every one is a run like any other: `ssna compare runs/transfer/A/*`, and `--table improvement
--of zero-shot`. A run that is there is not made again, and one that was cut off goes on.
"""

import argparse
from pathlib import Path

from ssna.data import Dataset, load, union
from ssna.runs import train
from ssna.runs.record import RECORD
from ssna.text import LayerCache

ALONE = ("ensemble.members=[]", "ensemble.repeat_consumption=false")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="DATA=CACHE")
    parser.add_argument(
        "--hold-out", action="append", metavar="NAME", help="the folder's name; all of them, if not said"
    )
    parser.add_argument("--epochs", type=int, default=3, help="over the others")
    parser.add_argument("--warm", type=int, default=3, help="over the held-out one")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    folders = {Path(data): Path(cache) for data, cache in (pair.split("=") for pair in arguments.data)}
    data = {folder.name: load(folder) for folder in folders}
    caches = {folder.name: cache for folder, cache in folders.items()}
    for held in arguments.hold_out or data:
        others = {name: each for name, each in data.items() if name != held}
        hold_out(held, data[held], union(others), caches, arguments)


def hold_out(held: str, data: Dataset, others: Dataset, caches: dict[str, Path], arguments: argparse.Namespace) -> None:
    out = arguments.out / held
    joint, states = arguments.out / "joint" / f"without-{held}", LayerCache.open(caches[held], data.texts)
    if not (joint / RECORD).exists():
        pooled = LayerCache.open([cache for name, cache in caches.items() if name != held], others.texts)
        settings = [*ALONE, f"training.epochs={arguments.epochs}"]
        train(others, pooled, "text", settings=settings, out=joint, name=joint.name, resume=True)
    for name, epochs, start in (
        ("zero-shot", 0, joint),
        ("warm", arguments.warm, joint),
        ("cold", arguments.warm, None),
    ):
        if not (out / name / RECORD).exists():
            settings = [*ALONE, f"training.epochs={epochs}"]
            train(data, states, "text", settings=settings, out=out / name, name=held, resume=True, init_from=start)
    if not (out / "text-knn" / RECORD).exists():
        train(data, states, method="text-knn", out=out / "text-knn", name=held)


if __name__ == "__main__":
    main()
