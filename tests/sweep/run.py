"""Every type of transformers that takes text, one after the other: ``python tests/sweep/run.py``, or ``make sweep``.

What is done lies in ``.cache/sweep.json``: a run that is cut off, or stopped by ``--seconds``, goes on from there, or
from ``tests/sweep/result.json`` where that lacks types. Result and ``docs/guide/models.md`` are written at the end, and
when the time is over; ends with 1 where a type is wrong.
"""

import argparse
import inspect
import json
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.models.auto.modeling_auto import MODEL_MAPPING, MODEL_MAPPING_NAMES  # noqa: E402

from sweep.check import check, tuned  # noqa: E402

KEPT, RUNNING = HERE / "result.json", HERE.parents[1] / ".cache" / "sweep.json"


def text_types() -> list[str]:
    """The types whose model takes ``input_ids``."""
    return [name for name in MODEL_MAPPING_NAMES if _takes_text(name)]


def _takes_text(name: str) -> bool:
    try:
        classes = MODEL_MAPPING[transformers.CONFIG_MAPPING[name]]
        kinds = classes if isinstance(classes, tuple) else (classes,)
        return any("input_ids" in inspect.signature(kind.forward).parameters for kind in kinds)
    except (ImportError, ValueError):  # it needs another library, or is not there
        return False


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("types", nargs="*", help="only these; their rows are printed, and nothing is kept")
    arguments.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many, to go on later")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    if given.types:
        for name in given.types:
            print(name, json.dumps(check(name).tree()))
        return 0
    done = begun()
    RUNNING.parent.mkdir(exist_ok=True)
    start, all_types = time.monotonic(), done["all"]
    for name, what in [*((name, "vectors") for name in all_types), *((name, "tuned") for name in all_types)]:
        row = done["types"].get(name)
        if row is not None and (what == "vectors" or row["verdict"] != "right" or "tuned" in row):
            continue
        if time.monotonic() - start > given.seconds:
            keep(done)
            print(f"{len(done['types'])} of {len(all_types)} types, now {what}; the same command goes on")
            return 0
        if row is None:
            done["types"][name] = check(name).tree()
        else:
            try:
                row["tuned"] = tuned(name)
            except Exception as cause:
                row |= {"verdict": "traceback", "reason": f"tuned: {type(cause).__name__}: {cause}"[:300]}
        RUNNING.write_text(json.dumps(done))
    keep(done)
    RUNNING.unlink(missing_ok=True)
    counts = Counter(row["verdict"] for row in done["types"].values())
    bad = [name for name, row in done["types"].items() if row["verdict"] in ("wrong", "traceback")]
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()), *bad, sep="\n")
    return 1 if bad else 0


def begun() -> dict:
    """What to go on from: a run that was cut off, or a kept result that lacks types; of both, what was not wrong."""
    new = {"transformers": transformers.__version__, "all": text_types()}
    found = json.loads(next(path for path in (RUNNING, KEPT) if path.exists()).read_text())
    complete = found["all"] == len(found["types"])  # a kept result has the number of all
    if complete or found["transformers"] != new["transformers"]:
        return {**new, "types": {}}
    rows = {name: row for name, row in found["types"].items() if row["verdict"] not in ("wrong", "traceback")}
    return {**new, "types": rows}


def keep(done: dict) -> None:
    """The result and its page, of as many types as are done."""
    rows = [f"  {json.dumps(name)}: {json.dumps(done['types'][name])}" for name in sorted(done["types"])]
    about, types = f'"transformers": "{done["transformers"]}", "all": {len(done["all"])}', ",\n".join(rows)
    KEPT.write_text(f'{{{about}, "types": {{\n{types}\n}}}}\n')
    subprocess.run([sys.executable, str(HERE.parents[1] / "docs" / "generate_models.py")], check=True)


if __name__ == "__main__":
    sys.exit(main())
