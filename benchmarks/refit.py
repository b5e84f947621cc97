"""What `--refit` gains: models of one day, asked for the first purchase of the week after it.

python benchmarks/refit.py LOG.parquet -o benchmarks/results/refit.json [--day 2011-12-01] [--seeds 0 1 2]
                           [--recipe best] [--set KEY=VALUE ...]

LOG is UCI's Online Retail. The leave-one-out model trains on all events before the day but for each user's last two;
the refitted one on all of them, with the epochs and weights that validation chose for the first. Both are given every
user's whole history before the day. A target is a user's first event of the seven days from there on; one that no model
knows is a miss for both. Intervals are of the difference of N@10: users are drawn again, the three seeds of one
together.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from side import conditions, keep, say

import ssna
from ssna.evaluation.metrics import ndcg, recall
from ssna.evaluation.ranking import POLICIES
from ssna.evaluation.significance import bootstrap
from ssna.runs.evaluation import ranked

COLUMNS: dict[str, Any] = {
    "user_col": "CustomerID",
    "item_col": "Description",
    "time_col": "InvoiceDate",
    "text_cols": "Description",
}


def models(
    before: Path, out: Path, seed: int, cache: ssna.LayerCache, how: dict[str, Any]
) -> dict[str, ssna.Recommender]:
    """The leave-one-out model of the data set in ``before``, and the refitted one."""
    data = ssna.load_data(before / "leave-one-out")
    chosen = ssna.train(data, cache, **how, seed=seed, out=out / f"{seed}", quiet=True, resume=True)
    again = ssna.train(ssna.load_data(before / "none"), cache, config=out / f"{seed}" / "settings.toml", quiet=True)
    return {"leave_one_out": chosen.recommender, "refit": again.recommender}


def compared(per_user: dict[str, list[np.ndarray]], rng: np.random.Generator) -> dict[str, Any]:
    """Means of both models, and the refitted one's difference with its interval; ``(seeds, n)`` values each."""
    means = {name: float(np.mean(values)) for name, values in per_user.items()}
    differences = np.mean(per_user["refit"], axis=0) - np.mean(per_user["leave_one_out"], axis=0)
    low, high = bootstrap(differences[None], rng)
    base = means["leave_one_out"]
    return {
        **means,
        "per_seed": {name: [float(each.mean()) for each in values] for name, values in per_user.items()},
        "difference": float(differences.mean()),
        "interval": [float(low[0]), float(high[0])],
        "relative": float(differences.mean()) / base if base else None,
        "relative_interval": [float(end[0]) / base for end in (low, high)] if base else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--day", default="2011-12-01")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipe", default="best")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings beside the recipe's")
    parser.add_argument("--work", type=Path, default=Path("refit-work"), help="data sets and ranks of finished seeds")
    arguments = parser.parse_args()
    how = {"recipe": arguments.recipe, "settings": tuple(arguments.set)}
    day, work = np.datetime64(arguments.day), arguments.work
    end = str(day + arguments.days)
    for split in ("leave-one-out", "none"):
        if not (work / split).exists():
            ssna.prepare(arguments.log, **COLUMNS, until=arguments.day, split=split, out=work / split, quiet=True)
    asked = ssna.prepare(
        arguments.log,
        **COLUMNS,
        until=end,
        split="time",
        valid_from=str(day - arguments.days),
        test_from=arguments.day,
        min_user=0,
        min_item=0,
        quiet=True,
    )
    before = ssna.load_data(work / "leave-one-out")
    cache = ssna.encode(before, "minilm", quiet=True)
    found: dict[str, dict[str, list[np.ndarray]]] = {policy: {} for policy in POLICIES}
    hits: dict[str, dict[str, list[np.ndarray]]] = {policy: {} for policy in POLICIES}
    for seed in arguments.seeds:
        kept = work / f"ranks-{seed}.npz"
        if not kept.exists():
            ranks: dict[str, Any] = {}
            for name, recommender in models(work, work / "runs", seed, cache, how).items():
                evaluation = ranked(recommender, asked, "test")
                ranks |= {f"{name}.{policy}": evaluation.ranks[policy] for policy in POLICIES}
            np.savez(kept, **ranks)
            shutil.rmtree(work / "runs" / f"{seed}")
        stored = np.load(kept)
        for policy in POLICIES:
            for name in ("leave_one_out", "refit"):
                of_policy = stored[f"{name}.{policy}"]
                found[policy].setdefault(name, []).append(ndcg(of_policy, 10))
                hits[policy].setdefault(name, []).append(recall(of_policy, 10))
        say(f"seed {seed} is done")
    rng = np.random.default_rng(0)
    known = before.items.rows([asked.items.external[row - 1] for row in asked.test.targets])
    result: dict[str, Any] = conditions(__file__) | {
        "day": arguments.day,
        "days": arguments.days,
        **how,
        "seeds": arguments.seeds,
        "fingerprints": {"before": before.fingerprint, "asked": asked.fingerprint},
        "trained": {"users": len(before.users), "items": len(before.items), "events": len(before.histories.items)},
        "held_back_events": 2 * len(before.users),
        "users": len(asked.test),
        "unknown_targets": int((known == 0).sum()),
        "N@10": {policy: compared(found[policy], rng) for policy in POLICIES},
        "R@10": {policy: compared(hits[policy], rng) for policy in POLICIES},
    }
    keep(arguments.out, result)


if __name__ == "__main__":
    main()
