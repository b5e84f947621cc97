"""``prepare``: from logs and item texts, in any known format, to a :class:`Dataset`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssna.core.arguments import checked
from ssna.core.files import new_folder
from ssna.data.dataset import Dataset
from ssna.data.options import (
    Dedup,
    EngineName,
    FormatName,
    KeepItems,
    MissingText,
    Moment,
    Order,
    PrepareOptions,
    Quote,
    with_help,
)
from ssna.data.split_points import SplitRule
from ssna.data.storage import EVENTS

Rows = str | Path | Sequence[str | Path] | Any
"""Where rows are: a path, paths, or anything that has ``__arrow_c_stream__``."""


@with_help(*PrepareOptions.model_fields)
@checked
def prepare(
    logs: Rows,
    items: Rows | None = None,
    *,
    valid_logs: Rows | None = None,
    test_logs: Rows | None = None,
    format: FormatName = "auto",
    user_col: str | None = None,
    item_col: str | None = None,
    item_id_col: str | None = None,
    time_col: str | None = None,
    time_format: str | None = None,
    text_cols: str | Sequence[str] | None = None,
    attribute_cols: str | Sequence[str] | None = None,
    rating_col: str | None = None,
    header: str | Sequence[str] | None = None,
    quote: Quote = "auto",
    order: Order = "time",
    where: str | None = None,
    min_rating: float | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    min_user: int | None = None,
    min_item: int | None = None,
    max_history: int = 50,
    missing_text: MissingText = "drop",
    keep_items: KeepItems = "events",
    dedup: Dedup = "none",
    split: SplitRule = "leave-one-out",
    split_col: str | None = None,
    valid_from: Moment | None = None,
    test_from: Moment | None = None,
    accept: str | Sequence[str] = (),
    engine: EngineName = "duckdb",
    spark_master: str | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Dataset:
    """Read logs, clean them, put every user's events in order; what was dropped and why stands in ``manifest``.

    Equal content gives an equal fingerprint, whatever the order of the rows and the kind of the file. The options are
    those of the command line and of :class:`ssna.data.options.PrepareOptions`, which describes them.

    Args:
        logs: a table (CSV, TSV, Parquet, JSON lines; ``.gz`` and ``.zst``), a folder or pattern (``logs/*.csv``) of
            tables with the same columns, a list of their paths, or the folder or file of another format; or a table
            in memory: of pandas, Polars or Arrow, a DuckDB relation, whatever has ``__arrow_c_stream__``.
        items: a table of item texts (anything as above), with the same item column; None where the logs hold the
            texts, too.
        valid_logs, test_logs: where ``logs`` are for training alone, the events for validation and for the test.
        out: the folder to save to as well.
        quiet: no progress bar, no summary and no warnings on standard error.

    Raises:
        DataError: a file or column is not there or cannot be read, nobody is left, or a split by time or a
            window finds no times, or no users to evaluate on.
        SettingsError: an option is out of range, Spark cannot be started, or ``TMPDIR`` is no folder to write to.
        SsnaError: ``out`` holds something else.
    """
    dataset = build(
        logs,
        items,
        PrepareOptions.of(
            format=format,
            user_col=user_col,
            item_col=item_col,
            item_id_col=item_id_col,
            time_col=time_col,
            time_format=time_format,
            text_cols=text_cols,
            attribute_cols=attribute_cols,
            rating_col=rating_col,
            header=header,
            quote=quote,
            order=order,
            where=where,
            min_rating=min_rating,
            since=since,
            until=until,
            min_user=min_user,
            min_item=min_item,
            max_history=max_history,
            missing_text=missing_text,
            keep_items=keep_items,
            dedup=dedup,
            split=split,
            split_col=split_col,
            valid_from=valid_from,
            test_from=test_from,
            accept=accept,
            engine=engine,
            spark_master=spark_master,
        ),
        out,
        quiet,
        later=(valid_logs, test_logs),
    )
    if not quiet:
        print(dataset.summary(), file=sys.stderr)
    return dataset


def build(
    logs: Rows,
    items: Rows | None,
    options: PrepareOptions,
    out: str | Path | None,
    quiet: bool,
    later: tuple[Rows | None, Rows | None] = (None, None),
) -> Dataset:
    """As :func:`prepare`, but for the summary; ``later``: logs for validation and for the test."""
    from ssna.data.pipeline import assemble  # Ibis takes a second to load
    from ssna.data.sources import FORMATS, Request, find_format, place_of

    place = place_of(logs, "logs")
    options = options.with_logs_of_parts(later[0] is not None, later[1] is not None)
    others = [
        place_of(each, name) for each, name in zip(later, ("valid_logs", "test_logs"), strict=True) if each is not None
    ]
    name = find_format(place) if options.format == "auto" else options.format
    options = options.for_format(name, FORMATS[name].core)
    request = Request(place, None if items is None else place_of(items, "items"), options, tuple(others))
    if out is None:
        return assemble(request, quiet)
    with new_folder(Path(out), marker=EVENTS) as aside:
        return assemble(request, quiet, aside)
