"""Keep finished runs without what belongs to their data: records, and the ranks of the test split.

They are added to the group. A run of the same path is replaced. Of a language model that lay in a folder, only the
folder's name is kept.

python benchmarks/keep.py RUNS -o benchmarks/results/runs/GROUP
"""

import argparse
from dataclasses import replace
from pathlib import Path

from kept import KeptRun, read_group, write_group

from ssna.report import find


def without_folder(run: KeptRun) -> KeptRun:
    """A record that tells nothing of the machine's folders; the model's revision is the digest of its weights."""
    cache = run.record["cache"]
    if cache is None or not Path(cache["model"]).is_absolute():
        return run
    return replace(run, record=run.record | {"cache": cache | {"model": Path(cache["model"]).name}})


def keep(folder: Path, group: Path) -> int:
    """Add every run under ``folder`` to ``group``; how many they are."""
    found = [run.path for run in find([folder])]
    runs = {str(path.relative_to(folder)): without_folder(KeptRun.of(path)) for path in found}
    kept = read_group(group) if group.with_name(f"{group.name}.json").exists() else {}
    group.parent.mkdir(parents=True, exist_ok=True)
    write_group(group, dict(sorted((kept | runs).items())))
    return len(runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="the group: a path without an ending")
    arguments = parser.parse_args()
    print(f"{keep(arguments.runs, arguments.out)} runs kept in {arguments.out}")


if __name__ == "__main__":
    main()
