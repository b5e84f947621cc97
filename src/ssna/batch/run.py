"""Histories through a recommender into result files: rows and columns, no Python object an item."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssna.batch.histories import HISTORY, USER, HistoryFiles
from ssna.batch.results import FORMAT, Identity, ResultFiles
from ssna.compute.allocator import tune_allocator
from ssna.core.errors import keeping
from ssna.core.progress import progress
from ssna.core.ragged import Ragged
from ssna.recommender import Recommender, artifact
from ssna.recommender.ranking import RankRequest, check_k, check_new_items, rank

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
    """

    histories: int
    reused: int
    seconds: float
    unanswerable: int = 0

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
    quiet: bool = False,
) -> BatchReport:
    """The ``k`` best items for every row of ``users``, in its order, into ``out``; goes on where a killed run stopped.

    Args:
        run: a run or model folder.
        users: a Parquet file or a folder of them: ``user``, of any type, and ``history``, a list of item ids, oldest
            first. Ids may be integers; those that the catalogue does not have are skipped.
        out: a file ``*.parquet``, or a folder of parts: ``user`` as it came; ``items`` (list<string>), best first;
            ``scores`` (list<float>); ``known`` (int32), the items of the history that the catalogue has; where it is
            0, items are the most popular ones.
        new_items: as in :meth:`ssna.recommender.Recommender.recommend`.
        quiet: no progress on standard error.

    Raises:
        SsnaError: ``users`` cannot be read, or ``out`` was begun with others, or with another model or ``k``.
        ArtifactError: ``new_items`` is not 0, and the model has no weights for new items.
    """
    check_k(k)
    check_new_items(new_items)
    histories = HistoryFiles.open(users)
    results = ResultFiles(out, _identity(run, histories, k, exclude_seen, new_items))
    with results.writing():
        if results.finished:
            return BatchReport(0, histories.rows, 0.0)
        recommender = Recommender.load(run)
        recommender = replace(recommender, scorer=recommender.scorer.with_exposure(new_items))
        with keeping(
            lambda: f"finished parts of {PART:,} histories are kept in {results.folder}; start again to go on"
        ):
            report = _rank_missing(recommender, histories, results, k, exclude_seen, quiet)
        results.merge(_parts(histories))
    return report


def rank_block(recommender: Recommender, block: pa.Table, k: int, exclude_seen: bool) -> pa.Table:
    """``user`` and ``history`` -> what :func:`recommend_all` writes of them."""
    lists = block[HISTORY].combine_chunks()
    known = _known(recommender, lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists)
    request = RankRequest.uniform(known, k, exclude_seen)
    rows, scores = rank(recommender.scorer, recommender.counts, request)
    found = scores > -np.inf
    offsets = pa.array(np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int32))
    items = recommender.items.column.take(pa.array(rows[found] - 1))
    return pa.table(
        {
            USER: block[USER],
            "items": pa.ListArray.from_arrays(offsets, items),
            "scores": pa.ListArray.from_arrays(offsets, pa.array(scores[found])),
            "known": pa.array(known.lengths.astype(np.int32)),
        }
    )


def _known(recommender: Recommender, histories: pa.ListArray) -> Ragged:
    """Item rows of the ids that the catalogue has."""
    lengths = pc.fill_null(pc.list_value_length(histories), 0).to_numpy(zero_copy_only=False)
    rows = recommender.items.find_all(histories.flatten())
    kept = np.concatenate([[0], np.cumsum(rows > 0)])
    return Ragged(rows[rows > 0], kept[np.concatenate([[0], np.cumsum(lengths)])])


def _rank_missing(
    recommender: Recommender, histories: HistoryFiles, results: ResultFiles, k: int, exclude_seen: bool, quiet: bool
) -> BatchReport:
    missing = [part for part in range(_parts(histories)) if not results.has(part, _rows(histories, part))]
    todo = sum(_rows(histories, part) for part in missing)
    done, unanswerable, began = 0, 0, time.perf_counter()
    with progress("recommend", total=histories.rows, quiet=quiet) as advance, tune_allocator():
        advance(histories.rows - todo, "")
        pieces = _pieces(histories, missing[0] * PART) if missing else iter(())
        for number, blocks in groupby(pieces, key=lambda piece: piece[0]):
            if number not in missing:
                continue
            with results.new_part(number, _schema(histories)) as write:
                for _, block in blocks:
                    ranked = rank_block(recommender, block, k, exclude_seen)
                    write(ranked)
                    done += len(block)
                    unanswerable += int((ranked["known"].to_numpy() == 0).sum())
                    advance(len(block), f"{done / (time.perf_counter() - began):,.0f} histories/s")
    return BatchReport(done, histories.rows - todo, time.perf_counter() - began, unanswerable)


def _pieces(histories: HistoryFiles, start: int) -> Iterator[tuple[int, pa.Table]]:
    """Rows from ``start`` on, each piece with the part that it belongs to; of no rows at all, one empty piece."""
    if histories.rows == 0:
        yield 0, _schema(histories).empty_table().select([USER]).append_column(HISTORY, pa.array([], _STRINGS))
    for block in histories.blocks(start, BLOCK):
        while len(block):
            piece = block.slice(0, PART - start % PART)
            yield start // PART, piece
            start, block = start + len(piece), block.slice(len(piece))


_STRINGS = pa.list_(pa.string())


def _schema(histories: HistoryFiles) -> pa.Schema:
    return pa.schema({USER: histories.user, "items": _STRINGS, "scores": pa.list_(pa.float32()), "known": pa.int32()})


def _parts(histories: HistoryFiles) -> int:
    return max(1, -(-histories.rows // PART))


def _rows(histories: HistoryFiles, part: int) -> int:
    return min(PART, histories.rows - part * PART)


def _identity(run: Path, histories: HistoryFiles, k: int, exclude_seen: bool, new_items: float) -> Identity:
    return {
        "format": FORMAT,
        "k": k,
        "exclude_seen": exclude_seen,
        "new_items": new_items,
        "part": PART,
        "model": artifact.identity(run),
        "file of histories": histories.identity(),
    }
