"""``ssna recommend``."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssna.core.errors import SsnaError

if TYPE_CHECKING:
    from ssna.batch.lines import Line
    from ssna.core.rules import Rules
    from ssna.data import Dataset

BLOCK = 2**12  # users whose histories are looked up at a time
INCOMPLETE = 3  # the exit code where some histories have errors in the place of answers


class Engine(StrEnum):
    """What ranks histories of Parquet."""

    local = "local"
    spark = "spark"


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
    user: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A user of --data, in the place of --users; may be given several times."),
    ] = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="All users of --data, in the place of --users.")] = (
        False
    ),
    data: Annotated[
        Path | None,
        typer.Option(metavar="DATA", help="The data folder that has the histories of --user or --all-users."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Items for each history.")] = 10,
    include_seen: Annotated[bool, typer.Option(help="Items of the history may be recommended too.")] = False,
    new_items: Annotated[
        float, typer.Option(help="Raise items without training events, by so many deviations of scores.")
    ] = 0.0,
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help='Only items such as "price < 20 and brand in (Acme, Brevik)".'),
    ] = None,
    boost: Annotated[
        list[str] | None,
        typer.Option(
            metavar='"FACTOR CONDITION"',
            help='Raise items: "2 brand = Acme"; below 1 lowers; may be given several times.',
        ),
    ] = None,
    at_least: Annotated[
        str | None,
        typer.Option(metavar='"M CONDITION"', help='So many of the k are of a kind: "3 listed >= 2026-11-01".'),
    ] = None,
    diversity: Annotated[
        float, typer.Option(min=0, max=1, help="0 to 1: choose items the less like each other, the higher (MMR).")
    ] = 0.0,
    form: Annotated[Format, typer.Option("--format", help="parquet: for millions, and resumed after a kill.")] = (
        Format.jsonl
    ),
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Of parquet: a file that ends in .parquet, or a folder of parts.")
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="Of parquet: spark ranks on a cluster, whose machines all see --users and -o.")
    ] = Engine.local,
    spark_master: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where Spark runs: all cores of this machine, local[*], if not given."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End at the first history that cannot be read; else it gets an error.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No progress, no throughput, no note of unknown items.")
    ] = False,
) -> None:
    """Histories in, ranked items out: a JSON line each, streaming, or Parquet.

    A history that cannot be read is answered with an error, and the exit code is then 3 in the end.
    """
    if (data is not None) != (user is not None or all_users):
        raise typer.BadParameter("--user and --all-users take histories from --data; give both", param_hint="--data")
    if data is not None and users != "-":
        raise typer.BadParameter("histories come from --data already; leave this out", param_hint="--users")
    if user is not None and all_users:
        raise typer.BadParameter("all users are recommended to already; leave this out", param_hint="--user")
    if form is not Format.parquet and out is not None:
        raise SsnaError("JSON lines go to standard output; -o belongs to --format parquet")
    if form is not Format.parquet and (engine is not Engine.local or spark_master is not None):
        raise SsnaError("JSON lines are ranked here; --engine and --spark-master belong to --format parquet")
    known = None if data is None else _Users.of(data, user)
    rules = _rules(where, boost or [], at_least, diversity)
    options = {"k": k, "exclude_seen": not include_seen, "new_items": new_items, "rules": rules, "strict": strict}
    if form is Format.parquet:
        with TemporaryDirectory(prefix="ssna-") as folder:
            source = users if known is None else known.write(Path(folder) / "histories.parquet")
            _batch(run, source, out, options | {"engine": engine.value, "spark_master": spark_master}, quiet)
    elif known is not None:
        _stream(run, known.lines(), str(data), options, quiet)
    else:
        from ssna.batch.lines import read_lines

        if users == "-" and sys.stdin.isatty():
            typer.echo('histories, a line each, then Ctrl-D: {"user": "me", "history": ["sku-17", "sku-4"]}', err=True)
        source = "standard input" if users == "-" else users
        with nullcontext(sys.stdin.buffer) if users == "-" else Path(users).open("rb") as file:
            _stream(run, read_lines(file, source), source, options, quiet)


def _rules(where: str | None, boost: Sequence[str], at_least: str | None, diversity: float) -> "Rules":
    from ssna.core.rules import Rules

    return Rules.of(
        where=where,
        boost=[dict(zip(("factor", "where"), _numbered(each, "--boost"), strict=True)) for each in boost],
        at_least=None
        if at_least is None
        else dict(zip(("items", "where"), _numbered(at_least, "--at-least"), strict=True)),
        diversity=diversity,
    )


def _numbered(text: str, option: str) -> tuple[float | int, str]:
    """A number and the condition behind it."""
    number, _, condition = text.strip().partition(" ")
    try:
        return (int(number) if option == "--at-least" else float(number)), condition
    except ValueError:
        example = '"3 price < 20"' if option == "--at-least" else '"1.5 price < 20"'
        raise typer.BadParameter(
            f"{text!r} does not begin with a number, as {example} does", param_hint=option
        ) from None


@dataclass(frozen=True)
class _Users:
    """Users of a data folder, and what they did."""

    data: "Dataset"
    ids: Sequence[str]

    @classmethod
    def of(cls, folder: Path, ids: list[str] | None) -> "_Users":
        from ssna.data import load

        data = load(folder)
        return cls(data, data.users.external if ids is None else ids)

    def blocks(self, size: int) -> Iterator[tuple[Sequence[str], list[list[str]]]]:
        for start in range(0, len(self.ids), size):
            some = self.ids[start : start + size]
            yield some, self.data.histories_of(some)

    def lines(self) -> "Iterator[Line]":
        from ssna.batch.lines import Line

        for users, histories in self.blocks(BLOCK):
            yield from (Line(0, user, tuple(history)) for user, history in zip(users, histories, strict=True))

    def write(self, path: Path) -> str:
        """As a file of histories, the same bytes for the same users."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema({"user": pa.string(), "history": pa.list_(pa.string())})
        with pq.ParquetWriter(path, schema) as writer:
            for users, histories in self.blocks(2**16):
                writer.write_table(pa.table({"user": users, "history": histories}, schema=schema))
        return str(path)


def _batch(run: Path, users: str, out: Path | None, options: dict[str, Any], quiet: bool) -> None:
    if users == "-" or out is None:
        raise SsnaError("--format parquet reads --users FILE|FOLDER and writes -o FILE.parquet|FOLDER; name both")
    from ssna.batch import recommend_all

    report = recommend_all(run, Path(users), out, quiet=quiet, **options)
    if not quiet:
        earlier = f", {report.reused:,} were ranked before" if report.reused else ""
        typer.echo(
            f"{report.histories:,} histories in {report.seconds:,.1f} s: {report.speed:,.0f} a second{earlier}; {out}",
            err=True,
        )
        _note_unanswerable(report.unanswerable, report.histories)
    if report.errors:
        total = report.histories + report.reused
        _end_incomplete(f"{report.errors:,} of {total:,} histories have errors in the place of items; column error")


def _stream(run: Path, lines: "Iterator[Line]", source: str, options: dict[str, Any], quiet: bool) -> None:
    from ssna.batch.stream import Stream
    from ssna.recommender import Recommender

    stream = Stream(Recommender.load(run), **options)
    for answer in stream.answers(lines, source):
        typer.echo(answer, nl=False)
    report = stream.report
    if not quiet:
        _note_unanswerable(report.unanswerable, report.answered)
    if not report.answered:
        typer.echo(f'{source} held no histories; write a line each: {{"user": "me", "history": ["sku-17"]}}', err=True)
    if report.errors:
        total = report.answered + report.errors
        _end_incomplete(f"{report.errors:,} of {total:,} lines are answered with errors, such as {report.first_error}")


def _note_unanswerable(unanswerable: int, histories: int) -> None:
    if unanswerable:
        typer.echo(
            f"{unanswerable:,} of {histories:,} histories have no item that the model knows, and were answered by "
            "popularity; check their item ids",
            err=True,
        )


def _end_incomplete(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(INCOMPLETE)
