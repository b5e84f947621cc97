"""Parts of a batch on a Spark cluster: a task ranks one part, and writes it as one machine would.

A machine that is lost costs the time of its parts, since a file is whole or absent. The model travels to the executors;
histories and results lie where all of them see the same folders.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4
from zipfile import ZIP_STORED, ZipFile

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JError
from pyspark import SparkFiles
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from ssna.batch.job import Counts, Part
from ssna.batch.results import ERROR
from ssna.batch.run import Add, Job, load, pieces_of, rank_part
from ssna.core.errors import DataError, SsnaError
from ssna.data.engine import in_one_line
from ssna.data.engines.spark_session import session_at
from ssna.recommender import Recommender, artifact

VERSION = version("ssna")
POLL_SECONDS = 0.5  # between two looks at what is written
FAILURE = "failure"
Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def rank_with_spark(job: Job, missing: Sequence[Part], add: Add, master: str | None) -> None:
    """Rank and write all ``missing`` parts, and tell ``add`` of each.

    Raises:
        SettingsError: Spark cannot be reached.
        DataError: a part cannot be read, ranked or written; all others are kept.
    """
    with (
        TemporaryDirectory(prefix="ssna-", ignore_cleanup_errors=True) as name,
        session_at(master, Path(name)) as spark,
    ):
        archive = _packed(artifact.model_folder(job.run), Path(name) / f"ssna-{uuid4().hex}.zip")
        spark.sparkContext.addArchive(archive.as_uri())
        task = _task(_everywhere(job), tuple(missing), archive.name)
        for failure in _run(spark, task, len(missing), lambda: _added(job, list(missing), add)):
            raise DataError(failure)
    for leftover in job.results.folder.glob(".*.aside"):  # of an executor that was killed
        leftover.unlink()
    if lost := [part for part in missing if not job.results.has(part.number, part.rows)]:
        path = job.results.part(lost[0].number)
        raise DataError(f"{path} was written where it cannot be seen here; name an output that all machines share")


def _everywhere(job: Job) -> Job:
    """With paths that mean the same in every folder."""
    files = tuple(file.absolute() for file in job.histories.files)
    results = replace(job.results, out=job.results.out.absolute())
    return replace(job, histories=replace(job.histories, files=files), results=results)


def _packed(model: Path, path: Path) -> Path:
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name in (*artifact.FILES, *artifact.MAY_HAVE):
            if (model / name).exists():
                archive.write(model / name, name)
    return path


def _added(job: Job, missing: list[Part], add: Add) -> Iterator[None]:
    """Each step tells ``add`` of the parts that are there since the last one."""
    while True:
        for part in [part for part in missing if job.results.part(part.number).exists()]:
            missing.remove(part)
            add(Counts.of(pq.read_table(job.results.part(part.number), columns=[ERROR, "known"])))
        yield


def _run(spark: SparkSession, task: Task, count: int, steps: Callable[[], Iterator[None]]) -> list[str]:
    """Run ``count`` tasks, and meanwhile the steps; what went wrong in the first task that failed, if one did."""
    context, group, step = spark.sparkContext, f"ssna-{uuid4().hex}", steps()

    def collect() -> list[str]:
        context.setJobGroup(group, "ssna recommend", interruptOnCancel=True)
        tasks = spark.range(0, count, 1, count).mapInArrow(task, f"{FAILURE} string")
        return [row[FAILURE] for row in tasks.collect()]

    with ThreadPoolExecutor(1, "spark") as thread:
        running = thread.submit(collect)
        try:
            while wait([running], POLL_SECONDS).not_done:
                next(step)
        except BaseException:
            context.cancelJobGroup(group)
            raise
    try:
        failures = running.result()
    except (PySparkException, Py4JError) as cause:
        raise DataError(_told(cause)) from None
    next(step)
    return failures


def _told(cause: Exception) -> str:
    """What Python says on an executor, without where; else what Spark does."""
    said = re.findall(r"^(?:\w+\.)*(\w*(?:Error|Exception): .+)$", str(cause), re.MULTILINE)
    reason = in_one_line(said[0] if said else cause)
    return f"Spark's executors cannot rank ({reason}); each needs ssna {VERSION} in its Python (PYSPARK_PYTHON)"


def _task(job: Job, parts: tuple[Part, ...], archive: str) -> Task:
    """Numbers of ``parts`` -> what went wrong with them, in an executor."""
    here = VERSION

    def rank(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            failures = [rank_on_executor(job, parts[place], archive, here) for place in batch["id"].to_pylist()]
            yield pa.record_batch({FAILURE: pa.array([f for f in failures if f is not None], pa.string())})

    return rank


def rank_on_executor(job: Job, part: Part, archive: str, wanted: str) -> str | None:
    """Rank and write ``part``; what is wrong, in words that a second try would not change, or None."""
    if wanted != VERSION:
        return f"an executor has ssna {VERSION}, and not {wanted}; install the same one (PYSPARK_PYTHON)"
    try:
        recommender = _loaded(SparkFiles.get(archive), job.options.new_items)
        for _ in rank_part(recommender, job, part.number, pieces_of(job.histories, part)):
            pass
    except (SsnaError, OSError) as cause:
        if job.options.strict and isinstance(cause, DataError):
            return str(cause.args[0])
        return f"on an executor: {cause}; all machines must see the same histories and the same output"
    return None


@cache
def _loaded(folder: str, new_items: float) -> Recommender:
    """Once in a process; it computes in one thread, as Spark runs a process on every core."""
    import torch

    torch.set_num_threads(1)
    return load(Path(folder), new_items)
