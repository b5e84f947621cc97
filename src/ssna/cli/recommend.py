"""``ssna recommend``."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from ssna.core.errors import DataError, SsnaError


class Format(StrEnum):
    """What histories come in and recommendations go out as."""

    jsonl = "jsonl"
    parquet = "parquet"


def recommend(
    run: Annotated[Path, typer.Argument(help="A folder that `ssna train` made.")],
    users: Annotated[
        str,
        typer.Option(
            help='JSON lines {"user", "history": [item, ...]} in a file, or - for stdin; of parquet a file or a folder '
            "with the columns user and history (lists of item ids, oldest first)."
        ),
    ] = "-",
    k: Annotated[int, typer.Option("-k", min=1, help="Items for each history.")] = 10,
    include_seen: Annotated[bool, typer.Option(help="Items of the history may be recommended too.")] = False,
    new_items: Annotated[
        float, typer.Option(help="Raise items without training events, by so many deviations of scores.")
    ] = 0.0,
    form: Annotated[Format, typer.Option("--format", help="parquet: for millions, and resumed after a kill.")] = (
        Format.jsonl
    ),
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Of parquet: a file that ends in .parquet, or a folder of parts.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Of parquet: no progress, no throughput.")] = False,
) -> None:
    """Histories in, ranked items out: a JSON line each, streaming, or Parquet."""
    if form is Format.parquet:
        _batch(run, users, k, include_seen, new_items, out, quiet)
    elif out is not None:
        raise SsnaError("JSON lines go to standard output; -o belongs to --format parquet")
    else:
        _stream(run, users, k, include_seen, new_items)


def _batch(run: Path, users: str, k: int, include_seen: bool, new_items: float, out: Path | None, quiet: bool) -> None:
    if users == "-" or out is None:
        raise SsnaError("--format parquet reads --users FILE|FOLDER and writes -o FILE.parquet|FOLDER; name both")
    from ssna.batch import recommend_all

    report = recommend_all(run, Path(users), out, k, exclude_seen=not include_seen, new_items=new_items, quiet=quiet)
    if not quiet:
        earlier = f", {report.reused:,} were ranked before" if report.reused else ""
        typer.echo(
            f"{report.histories:,} histories in {report.seconds:,.1f} s: {report.speed:,.0f} a second{earlier}; {out}",
            err=True,
        )


def _stream(run: Path, users: str, k: int, include_seen: bool, new_items: float) -> None:
    from ssna.recommender import Recommender

    recommender = Recommender.load(run)
    if users == "-" and sys.stdin.isatty():
        typer.echo('histories, a line each, then Ctrl-D: {"user": "me", "history": ["sku-17", "sku-4"]}', err=True)
    with nullcontext(sys.stdin) if users == "-" else Path(users).open(encoding="utf-8") as lines:
        requests, ranked = _parse(lines), 0
        while block := list(islice(requests, 256)):
            histories = [request["history"] for request in block]
            found = recommender.recommend(histories, k, exclude_seen=not include_seen, new_items=new_items)
            for request, recommendation in zip(block, found, strict=True):
                items = [{"item": item.item, "score": item.score, "text": item.text} for item in recommendation.items]
                line = {"user": request.get("user"), "items": items}
                typer.echo(
                    json.dumps(line | _notes(recommendation.unknown, recommendation.fallback), ensure_ascii=False)
                )
            ranked += len(block)
    if not ranked:
        source = "standard input" if users == "-" else users
        typer.echo(f'{source} held no histories; write a line each: {{"user": "me", "history": ["sku-17"]}}', err=True)


def _notes(unknown: tuple[str, ...], fallback: str | None) -> dict[str, Any]:
    return ({"unknown": list(unknown)} if unknown else {}) | ({"fallback": fallback} if fallback else {})


def _parse(lines: IO[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_decoded(lines), start=1):
        if not line.strip():
            continue
        try:
            request = json.loads(line)
            history = request["history"]
            if not isinstance(history, list) or not all(isinstance(item, str | int) for item in history):
                raise TypeError
        except (json.JSONDecodeError, KeyError, TypeError, RecursionError):
            raise DataError(
                f'line {number} is not {{"user": ..., "history": [item, ...]}}: {line.strip()[:80]}'
            ) from None
        yield request | {"history": [str(item) for item in history]}


def _decoded(lines: IO[str]) -> Iterator[str]:
    try:
        yield from lines
    except UnicodeDecodeError:
        raise DataError("the histories are not JSON lines in UTF-8; Parquet is read with --format parquet") from None
