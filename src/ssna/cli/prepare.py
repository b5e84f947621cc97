"""``ssna prepare``: logs and item texts -> a data folder."""

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ssna.data.options import APPENDING, PrepareOptions


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """``command``, which takes the fields of :class:`PrepareOptions` as keywords, with an option for each of them.

    In the help they stand before ``--check``.
    """
    parameters = dict(inspect.signature(command).parameters)
    del parameters["options"]
    first = list(parameters).index("check")
    ordered = [*parameters.values()]
    ordered[first:first] = _options()
    command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    return command


_LISTS = ("text_cols", "attribute_cols", "header", "accept")  # with commas between, or the option several times
_TYPES: dict[str, Any] = {  # as they are typed
    **dict.fromkeys(_LISTS, list[str] | None),
    **dict.fromkeys(("since", "until", "valid_from", "test_from"), str | None),
}


def _options() -> Iterator[inspect.Parameter]:
    for name, field in PrepareOptions.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        metavar = str(extra["metavar"]) if "metavar" in extra else None
        kind: Any = Annotated[_TYPES.get(name, field.annotation), typer.Option(help=field.description, metavar=metavar)]
        yield inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=field.default, annotation=kind)


def _defaults(context: typer.Context, path: Path | None) -> Path | None:
    """A file's values take the place of the defaults; what is typed goes on top."""
    if path is not None:
        from ssna.data.settings import PrepareSettings

        context.default_map = PrepareSettings.read(path).given
    return path


def _given(context: typer.Context, options: dict[str, Any]) -> dict[str, Any]:
    """The options that are typed, or stand in the file."""
    sources = {name: context.get_parameter_source(name) for name in options}
    given = {name: options[name] for name, source in sources.items() if source and source.name != "DEFAULT"}
    for name in _LISTS:
        if name in given:
            given[name] = [word.strip() for words in given[name] for word in words.split(",")]
    return given


def _refuse_rules(given: dict[str, Any]) -> None:
    for name in given:
        if name not in APPENDING:
            raise typer.BadParameter(
                "the rules of the data folder hold for what is appended; leave this out",
                param_hint=f"--{name.replace('_', '-')}",
            )


@_with_options
def prepare(
    context: typer.Context,
    logs: Annotated[
        Path,
        typer.Argument(
            help="A table (CSV, TSV, Parquet, JSON lines), a folder or 'pattern*' of them, or another format; "
            "with --append, the data folder that is appended to."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DATA", help="The data folder to write; not with --check.")
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A table (folder, pattern) of item texts; else the logs hold the texts."),
    ] = None,
    valid_logs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Events for validation, where LOGS are for training alone.")
    ] = None,
    test_logs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Events for the test; with --valid-logs.")
    ] = None,
    append: Annotated[
        Path | None,
        typer.Option(
            metavar="LOGS",
            help="Add these logs, and the texts of --items, to the data folder DATA; ids keep their rows, "
            "and the rules are those of DATA; so are format and columns, if not given.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            is_eager=True,
            callback=_defaults,
            help="A TOML file: under [prepare] the options below, with _ for - (user_col, ...); under [expected] the "
            "counts to expect.",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Print all that is known of the data; write nothing.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw how long histories are (.png, .svg, .pdf).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no summary.")] = False,
    **options: Any,
) -> None:
    """Read logs and item texts, clean them, and write a data folder."""
    from ssna.core.errors import for_shell
    from ssna.data.append import extend
    from ssna.data.checks import described
    from ssna.data.plots import draw_lengths, require_kind
    from ssna.data.prepare import build
    from ssna.data.settings import PrepareSettings
    from ssna.data.summary import differences, everything, summary

    if check == (out is not None):
        raise typer.BadParameter("give a folder to write, or --check to write none", param_hint="-o")
    if plot is not None:
        require_kind(plot)
    given, before = _given(context, options), None if out is None else _fingerprint(out)
    if append is not None:
        logs_of_parts = {"valid_logs": valid_logs, "test_logs": test_logs}
        _refuse_rules(given | {name: path for name, path in logs_of_parts.items() if path is not None})
        dataset = extend(logs, append, items, given, out, quiet)
    else:
        dataset = build(logs, items, PrepareOptions.of(**given), out, quiet, (valid_logs, test_logs))
    if plot is not None:
        draw_lengths(dataset, plot)
        if not quiet:
            typer.echo(f"drawn: {plot}", err=True)
    found: dict[str, Any] = described(dataset) if check else dataset.manifest
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif check:
        typer.echo(for_shell("\n".join(everything(found))))
    elif not quiet:
        if before == found["fingerprint"]:
            replaced = ", unchanged"
        else:
            replaced = "" if before is None else f", in the place of {before}"
        written = f"data      {found['fingerprint']}, written to {out}{replaced}"
        typer.echo(for_shell("\n".join([*summary(found), written])), err=True)
    if config is not None:
        settings = PrepareSettings.read(config)
        for difference in differences(found, settings.expected.tree()):
            typer.echo(f"warning: not as {config.name} expects: {difference}", err=True)


def _fingerprint(folder: Path) -> str | None:
    """Of the data set that ``folder`` holds and that will be replaced, if there is one."""
    from ssna.core.errors import DataError
    from ssna.core.files import read_json
    from ssna.data.storage import MANIFEST

    try:
        return str(read_json(folder / MANIFEST, DataError).get("fingerprint"))
    except DataError:
        return None
