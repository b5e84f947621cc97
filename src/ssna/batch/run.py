"""Histories through a recommender into result files: rows and columns, no Python object an item."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from ssna.batch.histories import HISTORY, USER, HistoryFiles
from ssna.batch.job import BatchReport, Counts, Options, Part
from ssna.batch.known import KnownHistories
from ssna.batch.results import ERROR, FORMAT, Identity, ResultFiles, count_errors
from ssna.compute.allocator import tune_allocator
from ssna.core.errors import DataError, SettingsError, keeping, option, there_are
from ssna.core.progress import progress
from ssna.core.rules import NO_RULES, Rules
from ssna.recommender import Recommender, artifact
from ssna.recommender.ranking import RankRequest, check_k, check_new_items, rank
from ssna.recommender.selection import Selection

Engine = Literal["local", "spark"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
PART = 2**16  # histories a file: at most so much work is lost when the process is killed,
BLOCK = 2**13  # and so many are in memory at a time


def recommend_all(
    run: Path,
    users: Path,
    out: Path,
    k: int = 10,
    *,
    exclude_seen: bool = True,
    new_items: float = 0.0,
    rules: Rules = NO_RULES,
    strict: bool = False,
    quiet: bool = False,
    engine: Engine = "local",
    spark_master: str | None = None,
) -> BatchReport:
    """The ``k`` best items for every row of ``users``, in its order, into ``out``; goes on where a killed run stopped.

    Args:
        run: a run or model folder.
        users: a Parquet file or a folder of them: ``user``, of any type, and ``history``, a list of item ids, oldest
            first. Ids may be integers; those that the catalogue does not have are skipped.
        out: a file ``*.parquet``, or a folder of parts: ``user`` as it came; ``items`` (list<string>), best first;
            ``scores`` (list<float>); ``known`` (int32), the items of the history that the catalogue has; where it is
            0, items are the most popular ones; ``error``, why the others are null: the history or its user is none
            (:mod:`ssna.core.fields`).
        new_items: as in :meth:`ssna.recommender.Recommender.recommend`.
        rules: for all histories.
        strict: end at the first such error.
        quiet: no progress on standard error.
        engine: ``local`` ranks in this process. ``spark`` ranks part by part on a cluster, each in one thread; all its
            machines must see ``users`` and ``out``, and have this ssna. The answers are the same, but for ties that
            another processor rounds otherwise. Either goes on where the other one stopped.
        spark_master: where Spark runs; None: all cores of this machine.

    Raises:
        SettingsError: Spark is not installed, or cannot be reached.
        DataError: a history has an error, and ``strict`` asks for it; finished parts are kept.
        SsnaError: ``users`` cannot be read, or ``out`` was begun with others, or with another model or ``k``.
        ArtifactError: ``new_items`` is not 0, and the model has no weights for new items.
        SsnaError: ``rules`` do not fit the model's items.
    """
    check_k(k)
    check_new_items(new_items)
    _check_engine(engine, spark_master)
    histories = HistoryFiles.open(users)
    results = ResultFiles(out, _identity(run, histories, k, exclude_seen, new_items, rules))
    with results.writing():
        if results.finished:
            return BatchReport(0, histories.rows, 0.0, errors=count_errors(out))
        job = Job(run, histories, results, Options(k, exclude_seen, new_items, rules, strict, quiet))
        recommender = load(run, new_items)
        recommender.selection(rules, k)  # or an error before anything is ranked
        with keeping(
            lambda: f"finished parts of {PART:,} histories are kept in {results.folder}; start again to go on"
        ):
            if engine == "spark":
                report = _ranked(job, partial(_rank_with_spark, job, spark_master))
            else:
                report = _ranked(job, partial(_rank_here, job, recommender))
        results.merge(len(job.parts))
    return report


def _check_engine(engine: str, spark_master: str | None) -> None:
    if engine not in ENGINES:
        raise SettingsError(f"{option('engine', engine)}: {there_are(ENGINES, engine)}")
    if spark_master is not None and engine != "spark":
        raise SettingsError(f"{option('spark_master', spark_master)}: it is for {option('engine', 'spark')}")


def rank_block(
    recommender: Recommender, block: pa.Table, k: int, exclude_seen: bool, selection: Selection | None = None
) -> pa.Table:
    """``user`` and ``history`` -> what :func:`recommend_all` writes of them."""
    users, lists = (_one_array(block[name]) for name in (USER, HISTORY))
    found = KnownHistories.of(recommender.items, users, lists)
    request = RankRequest.uniform(found.known, k, exclude_seen, selection=selection)
    rows, scores = rank(recommender.scorer, recommender.counts, request)
    wrong = np.array([error is not None for error in found.errors], dtype=bool)
    best = (scores > -np.inf) & ~wrong[:, None]
    offsets, mask = np.concatenate([[0], np.cumsum(best.sum(axis=1))]).astype(np.int32), pa.array(wrong)
    lists = (recommender.items.column.take(pa.array(rows[best] - 1)), pa.array(scores[best]))
    return pa.table(
        {
            USER: found.users,
            **{
                name: pa.ListArray.from_arrays(pa.array(offsets), values, mask=mask)
                for name, values in zip(("items", "scores"), lists, strict=True)
            },
            "known": pa.array(found.known.lengths.astype(np.int32), mask=wrong),
            ERROR: pa.array(found.errors, pa.string()),
        }
    )


def _one_array(column: pa.ChunkedArray) -> Any:
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def load(run: Path, new_items: float) -> Recommender:
    """The recommender of a run, which raises new items by so much."""
    recommender = Recommender.load(run)
    return replace(recommender, scorer=recommender.scorer.with_exposure(new_items))


@dataclass(frozen=True)
class Job:
    """All that :func:`recommend_all` is to do."""

    run: Path
    histories: HistoryFiles
    results: ResultFiles
    options: Options

    @property
    def parts(self) -> list[Part]:
        """Of all histories; of none, one that is empty."""
        starts = range(0, max(self.histories.rows, 1), PART)
        return [Part(n, start, min(PART, self.histories.rows - start)) for n, start in enumerate(starts)]


def rank_part(
    recommender: Recommender, job: Job, number: int, pieces: Iterable[tuple[int, pa.Table]]
) -> Iterator[pa.Table]:
    """Rank and write the ``pieces`` of a part, each with its first row; the file is there once all are taken.

    Raises:
        DataError: a history has an error, and the options are strict.
    """
    k, exclude_seen = job.options.k, job.options.exclude_seen
    selection = recommender.selection(job.options.rules, k)
    with job.results.new_part(number, _schema(job.histories)) as write:
        for start, block in pieces:
            ranked = rank_block(recommender, block, k, exclude_seen, selection)
            if job.options.strict:
                _require_no_error(ranked, start)
            write(ranked)
            yield ranked


Add = Callable[[Counts], None]


def _ranked(job: Job, rank_missing: Callable[[Sequence[Part], Add], None]) -> BatchReport:
    """Let ``rank_missing`` rank what is missing, and tell of each piece what it counted."""
    missing = [part for part in job.parts if not job.results.has(part.number, part.rows)]
    numbers, todo = {part.number for part in missing}, sum(part.rows for part in missing)
    before = sum(job.results.errors(part.number) for part in job.parts if part.number not in numbers)
    total, began = Counts(), time.perf_counter()
    with progress("recommend", total=job.histories.rows, quiet=job.options.quiet) as advance:
        advance(job.histories.rows - todo, "")

        def add(counts: Counts) -> None:
            nonlocal total
            total = Counts(*(old + new for old, new in zip(total, counts, strict=True)))
            advance(counts.histories, f"{total.histories / (time.perf_counter() - began):,.0f} histories/s")

        rank_missing(missing, add)
    seconds = time.perf_counter() - began
    return BatchReport(total.histories, job.histories.rows - todo, seconds, total.unanswerable, before + total.errors)


def _rank_here(job: Job, recommender: Recommender, missing: Sequence[Part], add: Add) -> None:
    numbers = {part.number for part in missing}
    with tune_allocator():
        pieces = _pieces(job.histories, missing[0].start) if missing else iter(())
        for number, blocks in groupby(pieces, key=lambda piece: piece[0]):
            if number in numbers:
                for ranked in rank_part(recommender, job, number, ((start, block) for _, start, block in blocks)):
                    add(Counts.of(ranked))


def _rank_with_spark(job: Job, master: str | None, missing: Sequence[Part], add: Add) -> None:
    try:
        from ssna.batch.spark import rank_with_spark
    except ImportError as cause:
        install = "pip install 'ssna[spark]'"
        raise SettingsError(f"{option('engine', 'spark')} cannot be loaded ({cause}); install it: {install}") from None
    if missing:
        rank_with_spark(job, missing, add, master)


def pieces_of(histories: HistoryFiles, part: Part) -> Iterator[tuple[int, pa.Table]]:
    """The rows of a part, some at a time, each piece with its first row; of no rows at all, one empty piece."""
    start, end = part.start, part.start + part.rows
    if not part.rows:
        yield start, _nothing(histories)
    for block in histories.blocks(start, BLOCK):
        piece = block.slice(0, end - start)
        if not len(piece):
            return
        yield start, piece
        start += len(piece)


def _require_no_error(ranked: pa.Table, start: int) -> None:
    for row, error in enumerate(ranked[ERROR].to_pylist(), start=start + 1):
        if error is not None:
            raise DataError(f"history {row:,} cannot be answered; {error}; correct it, or leave {option('strict')} out")


def _pieces(histories: HistoryFiles, start: int) -> Iterator[tuple[int, int, pa.Table]]:
    """Rows from ``start`` on: the part that a piece belongs to, its first row, and the piece; of no rows at all, one
    empty piece."""
    if histories.rows == 0:
        yield 0, 0, _nothing(histories)
    for block in histories.blocks(start, BLOCK):
        while len(block):
            piece = block.slice(0, PART - start % PART)
            yield start // PART, start, piece
            start, block = start + len(piece), block.slice(len(piece))


def _nothing(histories: HistoryFiles) -> pa.Table:
    return _schema(histories).empty_table().select([USER]).append_column(HISTORY, pa.array([], _STRINGS))


_STRINGS = pa.list_(pa.string())


def _schema(histories: HistoryFiles) -> pa.Schema:
    return pa.schema(
        {
            USER: histories.user,
            "items": _STRINGS,
            "scores": pa.list_(pa.float32()),
            "known": pa.int32(),
            ERROR: pa.string(),
        }
    )


def _identity(
    run: Path, histories: HistoryFiles, k: int, exclude_seen: bool, new_items: float, rules: Rules
) -> Identity:
    return {
        "format": FORMAT,
        "k": k,
        "exclude_seen": exclude_seen,
        "new_items": new_items,
        "rules": rules.tree() or None,
        "part": PART,
        "model": artifact.identity(run),
        "file of histories": histories.identity(),
    }
