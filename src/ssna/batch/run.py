"""Histories through a recommender into result files: rows and columns, no Python object an item."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ssna.batch.histories import HISTORY, USER, HistoryFiles
from ssna.batch.known import KnownHistories
from ssna.batch.results import ERROR, FORMAT, Identity, ResultFiles, count_errors
from ssna.compute.allocator import tune_allocator
from ssna.core.errors import DataError, keeping, option
from ssna.core.progress import progress
from ssna.core.rules import NO_RULES, Rules
from ssna.recommender import Recommender, artifact
from ssna.recommender.ranking import RankRequest, check_k, check_new_items, rank
from ssna.recommender.selection import Selection

PART = 2**16  # histories a file: at most so much work is lost when the process is killed,
BLOCK = 2**13  # and so many are in memory at a time


@dataclass(frozen=True)
class BatchReport:
    """What one start did.

    Attributes:
        histories: ranked now.
        reused: ranked by earlier starts.
        seconds: from the first history on, without loading the model.
        unanswerable: of those ranked now, how many have no item that the catalogue knows; popularity answers them.
        errors: of all, how many have an error in the place of items.
    """

    histories: int
    reused: int
    seconds: float
    unanswerable: int = 0
    errors: int = 0

    @property
    def speed(self) -> float:
        """Histories a second."""
        return self.histories / self.seconds if self.seconds else 0.0


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

    Raises:
        DataError: a history has an error, and ``strict`` asks for it; finished parts are kept.
        SsnaError: ``users`` cannot be read, or ``out`` was begun with others, or with another model or ``k``.
        ArtifactError: ``new_items`` is not 0, and the model has no weights for new items.
        SsnaError: ``rules`` do not fit the model's items.
    """
    check_k(k)
    check_new_items(new_items)
    histories = HistoryFiles.open(users)
    results = ResultFiles(out, _identity(run, histories, k, exclude_seen, new_items, rules))
    with results.writing():
        if results.finished:
            return BatchReport(0, histories.rows, 0.0, errors=count_errors(out))
        recommender = Recommender.load(run)
        recommender = replace(recommender, scorer=recommender.scorer.with_exposure(new_items))
        selection = recommender.selection(rules, k)
        with keeping(
            lambda: f"finished parts of {PART:,} histories are kept in {results.folder}; start again to go on"
        ):
            report = _rank_missing(recommender, histories, results, _Options(k, exclude_seen, strict, quiet, selection))
        results.merge(_parts(histories))
    return report


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


@dataclass(frozen=True)
class _Options:
    k: int
    exclude_seen: bool
    strict: bool
    quiet: bool
    selection: Selection | None


def _rank_missing(
    recommender: Recommender, histories: HistoryFiles, results: ResultFiles, options: _Options
) -> BatchReport:
    missing = [part for part in range(_parts(histories)) if not results.has(part, _rows(histories, part))]
    todo = sum(_rows(histories, part) for part in missing)
    errors = sum(results.errors(part) for part in range(_parts(histories)) if part not in missing)
    done, unanswerable, began = 0, 0, time.perf_counter()
    with progress("recommend", total=histories.rows, quiet=options.quiet) as advance, tune_allocator():
        advance(histories.rows - todo, "")
        pieces = _pieces(histories, missing[0] * PART) if missing else iter(())
        for number, blocks in groupby(pieces, key=lambda piece: piece[0]):
            if number not in missing:
                continue
            with results.new_part(number, _schema(histories)) as write:
                for _, start, block in blocks:
                    ranked = rank_block(recommender, block, options.k, options.exclude_seen, options.selection)
                    if options.strict:
                        _require_no_error(ranked, start)
                    write(ranked)
                    done += len(block)
                    errors += len(block) - ranked[ERROR].null_count
                    unanswerable += int((ranked["known"].to_numpy() == 0).sum())
                    advance(len(block), f"{done / (time.perf_counter() - began):,.0f} histories/s")
    return BatchReport(done, histories.rows - todo, time.perf_counter() - began, unanswerable, errors)


def _require_no_error(ranked: pa.Table, start: int) -> None:
    for row, error in enumerate(ranked[ERROR].to_pylist(), start=start + 1):
        if error is not None:
            raise DataError(f"history {row:,} cannot be answered; {error}; correct it, or leave {option('strict')} out")


def _pieces(histories: HistoryFiles, start: int) -> Iterator[tuple[int, int, pa.Table]]:
    """Rows from ``start`` on: the part that a piece belongs to, its first row, and the piece; of no rows at all, one
    empty piece."""
    if histories.rows == 0:
        yield 0, 0, _schema(histories).empty_table().select([USER]).append_column(HISTORY, pa.array([], _STRINGS))
    for block in histories.blocks(start, BLOCK):
        while len(block):
            piece = block.slice(0, PART - start % PART)
            yield start // PART, start, piece
            start, block = start + len(piece), block.slice(len(piece))


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


def _parts(histories: HistoryFiles) -> int:
    return max(1, -(-histories.rows // PART))


def _rows(histories: HistoryFiles, part: int) -> int:
    return min(PART, histories.rows - part * PART)


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
