"""What a change of words and of structure must not change: figures, ranks and tensors of runs, and all kept tables.

    python benchmarks/report.py -o tables
    python benchmarks/protection.py UNISREC_FOLDER --tables tables -o before.json          # at the commit before
    python benchmarks/protection.py UNISREC_FOLDER --tables tables --against before.json   # later, on the same machine

One thread, fp32. Tensors are told by what they hold and not by their names, so that renaming is no difference; figures
are compared as they are, to the last bit. Another processor gives other sums: compare on one machine alone.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ssna
from ssna.data.subset import sample

FITTED = ("popularity", "item-knn", "ease", "cease", "text-knn", "text-linear", "blend")
TRAINED: dict[str, tuple[str, ...]] = {  # recipe -> what is set on top; the first is whole, the others are cut short
    "best": (),
    "fast": ("training.epochs=2",),
    "text": ("training.epochs=2",),
    "paper": ("training.epochs=1", "text.pooling=mean"),
}
METHODS = ("tmlp", "tmoe", "ids")
USERS = 1500
NUMBER = re.compile(r"[-+]?(?:\d[\d,]*)?\.?\d+(?:[eE][-+]?\d+)?")


def digest(array: Any) -> str:
    """16 hex digits over shape and content; integers and floats of any width by their values."""
    values = np.asarray(array)
    kind = np.int64 if values.dtype.kind in "iub" else np.float64
    return hashlib.sha256(
        repr(values.shape).encode() + np.ascontiguousarray(values.astype(kind)).tobytes()
    ).hexdigest()[:16]


def figures_of(run: Any) -> dict[str, Any]:
    """All that a run gave."""
    tensors = run.recommender.scorer.state()[1]
    weights = getattr(run.record, "ensemble", None) or getattr(run.record, "join", None)
    histories = [list(run.recommender.items.external[start : start + 3]) for start in (0, 10, 20)]
    answers = run.recommender.recommend(histories, k=5)
    return {
        "epochs": [[epoch["loss"], *epoch["valid"].values()] for epoch in run.record.epochs],
        "best_epoch": run.record.best_epoch,
        "weights": sorted(weights.values()) if weights else None,
        "valid": run.record.valid,
        "test": run.record.test,
        "beyond": run.record.beyond,
        "parameters": run.record.trainable_parameters,
        "ranks": {f"{s} {p}": digest(r) for s, e in run.evaluations.items() for p, r in e.ranks.items()},
        "lists": {f"{s} {p}": digest(r) for s, e in run.evaluations.items() for p, r in e.lists.items()},
        "tensors": sorted(digest(tensor.detach().cpu()) for tensor in tensors.values()),
        "answers": [[[item.item, item.score] for item in answer.items] for answer in answers],
    }


def runs_on(source: Path, whole: bool) -> dict[str, Any]:
    """Every method on some users of ``source``, or ``best`` alone on all."""
    torch.set_num_threads(1)
    data = ssna.prepare(source, format="unisrec", quiet=True)
    found: dict[str, Any] = {"fingerprint": data.fingerprint}
    data = data if whole else sample(data, USERS, np.random.default_rng(0))
    found["of the sample"] = data.fingerprint
    fp32 = ("training.precision=fp32", "training.device=cpu")
    with tempfile.TemporaryDirectory() as folder:
        cache = ssna.encode(data, "minilm", Path(folder) / "cache", dtype="fp32", device="cpu", quiet=True)
        found["states"] = digest(cache.top(len(cache.layers)))
        for recipe, settings in list(TRAINED.items())[: 1 if whole else None]:
            found[recipe] = figures_of(ssna.train(data, cache, recipe, settings=(*fp32, *settings), seed=0, quiet=True))
            print(recipe, file=sys.stderr, flush=True)
        for method in () if whole else (*FITTED, *METHODS):
            settings = (*fp32, "training.epochs=1") if method in METHODS else ()
            found[method] = figures_of(ssna.train(data, cache, method=method, settings=settings, seed=0, quiet=True))
            print(method, file=sys.stderr, flush=True)
    return found


def numbers_of(results: Path) -> dict[str, dict[str, int]]:
    """Every number of every kept table, notes included, and how often it stands there; by what the table is called."""
    found: dict[str, dict[str, int]] = {}
    for path in sorted(results.glob("*/*.md")):
        found[str(path.relative_to(results))] = dict(sorted(Counter(NUMBER.findall(path.read_text())).items()))
    return found


def differences(before: Any, after: Any, place: str = "") -> list[str]:
    """A line for each leaf that is not the same."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            line
            for key in {**before, **after}
            for line in differences(before.get(key), after.get(key), f"{place} / {key}" if place else str(key))
        ]
    return [] if before == after else [f"{place}: {str(before)[:200]} before, {str(after)[:200]} now"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder of UniSRec's files")
    parser.add_argument("--whole", action="store_true", help="`best` alone, on all users")
    parser.add_argument("--tables", type=Path, required=True, help="what `benchmarks/report.py -o` wrote")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    found = {"runs": runs_on(arguments.source, arguments.whole), "tables": numbers_of(arguments.tables)}
    now = json.loads(json.dumps(found))
    if arguments.out is not None:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        about = {"commit": commit, "torch": torch.__version__, "processor": _processor(), "threads": 1}
        arguments.out.write_text(json.dumps({"about": about, **now}, indent=1) + "\n")
    if arguments.against is not None:
        before = json.loads(arguments.against.read_text())
        before.pop("about")
        lines = differences(before, now)
        print("\n".join(lines) or "nothing differs")
        sys.exit(bool(lines))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
