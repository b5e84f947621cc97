"""``ssna train``."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA...", help="A folder that `ssna prepare` made; several train one model."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the run goes.")],
    cache: Annotated[
        list[Path] | None,
        typer.Option(metavar="CACHE", help="A folder that `ssna encode` made, for methods that read text; repeat it."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="ssna, tmlp, tmoe, lora, adalora, full, ids, or a training-free one."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="best, fast, text or paper; best if neither recipe nor method is named.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings, on top of the recipe.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, on top of all.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random choice.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run of these settings into -o that was cut off.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print where the time of the first epoch goes, part by part.")
    ] = False,
    init_from: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Start from the weights of this run, of the same method; data may differ."),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="Then train the same on all events, and keep that model; figures stay the former's."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but what went wrong.")] = False,
) -> None:
    """Train a method, or fit a training-free one; evaluate it; keep the run."""
    from ssna.compute.launch import launch
    from ssna.core.errors import SettingsError
    from ssna.data import load, union
    from ssna.report import find, overall, render, result_groups
    from ssna.runs import train as train_run
    from ssna.scoring import describe_weights
    from ssna.text import LayerCache
    from ssna.text.manifest import read_manifest

    quiet = quiet or launch().rank > 0
    named = {folder.resolve().name: folder for folder in data}
    if len(named) < len(data):
        raise SettingsError("two data folders have one name; rename one, since ids are told apart by it")
    sets = {name: load(folder) for name, folder in named.items()}
    dataset = union(sets) if len(sets) > 1 else sets[data[0].resolve().name]
    if cache and len(sets) > 1 and read_manifest(cache[0]).sources:
        raise SettingsError(
            f"{cache[0]} holds vectors of items, and items of several data sets are called NAME/ID; encode their union "
            "in Python: ssna.encode(ssna.union(sets), vectors=...) with such ids"
        )
    states = LayerCache.open(cache, dataset.texts, dataset.items.external) if cache else None
    run = train_run(
        dataset,
        states,
        recipe,
        method=method,
        config=config,
        settings=settings or (),
        seed=seed,
        out=out,
        name="+".join(named),
        quiet=quiet,
        resume=resume,
        profile=profile,
        init_from=init_from,
        refit=refit,
    )
    if not quiet:
        if run.record.test:
            typer.echo(render([overall(group) for group in result_groups(find([out]))], "text"), err=True, nl=False)
        if run.record.best_epoch is not None and run.record.test:
            epochs = len(run.record.epochs)
            trial = next((epoch["number"] - 1 for epoch in run.record.epochs if epoch["restarted"]), 0)
            after = f" after a trial of {trial}" if trial else ""
            monitor = run.record.settings["training"]["monitor"]
            best = f"epoch {run.record.best_epoch} of {epochs}, the best {monitor} in validation{after}"
            typer.echo(f"kept: {best}", err=True)
        if run.record.ensemble:
            typer.echo(f"ensemble, weights from validation: {describe_weights(run.record.ensemble)}", err=True)
        if run.record.new_items:
            price, monitor = run.record.new_items[0], run.record.settings["ensemble"]["monitor"]
            both = f"{price['new']:.4f}, and old ones beside them {price['old']:.4f}"
            typer.echo(
                f"new items, on validation: {monitor} {both}; record.json says what raising them costs", err=True
            )
        if run.record.refit:
            again = run.record.refit
            before = "; the figures are those of the model before" if refit else f", as chosen in {again['chosen_in']}"
            typer.echo(f"kept: trained on all {again['events']:,} events, epochs: {again['epochs']}{before}", err=True)
        typer.echo(f"run: {out}", err=True)
