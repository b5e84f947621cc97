"""What training costs: seconds (Table 6) and memory (Table 7)."""

from collections.abc import Sequence
from statistics import fmean

from ssna.report.cells import label, over_seeds, where
from ssna.report.groups import ResultGroup, Entry
from ssna.report.notes import machines, under
from ssna.report.table import EXTRAPOLATED, Cell, Table
from ssna.runs import RunRecord

RUNTIME_HEAD = ("method", "batches an epoch", "seconds an epoch", "epochs to best", "epochs", "total seconds")


def runtime(benches: Sequence[ResultGroup]) -> list[Table]:
    """Seconds an epoch, epochs to the best one, total time; the least seconds an epoch win."""
    return [
        Table(
            title=f"Training time on {where(bench)}",
            head=RUNTIME_HEAD,
            rows=tuple(_time(entry) for entry in bench.entries),
            notes=(
                "Seconds of training, without validation; the first epoch is left out where there are more. Total: "
                "training, validation and fitting. Training-free methods have no epochs.",
                *(note for entry in bench.entries for note in _cut_note(entry)),
                *_trials(bench.entries),
                *_under(bench),
            ),
            about=(bench.about,) * len(bench.entries),
        )
        for bench in benches
    ]


def memory(benches: Sequence[ResultGroup]) -> list[Table]:
    """Peak memory of methods that train, the least of its kind wins; and trainable parameters."""
    return [
        Table(
            title=f"Memory of training on {where(bench)}",
            head=("method", "peak memory", "kind", "trainable parameters"),
            rows=tuple(
                (
                    label(entry),
                    over_seeds(
                        entry, lambda record: record.peak_memory_bytes if record.epochs else None, "bytes", _kind(entry)
                    ),
                    _kind(entry) if entry.record.epochs else None,
                    over_seeds(entry, lambda record: record.trainable_parameters, "count"),
                )
                for entry in bench.entries
            ),
            notes=(
                "Device: memory that the GPU held at most. Process: memory that the process held at most, above what "
                "it held at the start of the run. The two do not compare. What training-free methods take is lost in "
                "noise and not shown.",
                *_under(bench),
            ),
            about=(bench.about,) * len(bench.entries),
        )
        for bench in benches
    ]


def seconds_an_epoch(record: RunRecord) -> float | None:
    """Of a whole epoch: of one cut short, as many times more as it had fewer batches. None without epochs."""
    epochs = record.epochs[1:] or record.epochs
    return fmean(epoch["seconds"] * record.batches / epoch["batches"] for epoch in epochs) if epochs else None


def _time(entry: Entry) -> tuple[Cell, ...]:
    machine = tuple(entry.record.machine.items())
    return (
        label(entry),
        over_seeds(entry, lambda record: record.batches if record.epochs else None, "count"),
        over_seeds(entry, seconds_an_epoch, "seconds", machine, mark=EXTRAPOLATED if _cut(entry) else ""),
        over_seeds(entry, lambda record: record.best_epoch, "count"),
        over_seeds(entry, lambda record: len(record.epochs) or None, "count"),
        over_seeds(entry, lambda record: record.seconds, "seconds"),
    )


def _cut(entry: Entry) -> bool:
    """Whether an epoch had only some of its batches."""
    return any(epoch["batches"] < run.record.batches for run in entry.runs for epoch in run.record.epochs)


def _cut_note(entry: Entry) -> list[str]:
    if not _cut(entry):
        return []
    batches, whole = min((epoch["batches"], run.record.batches) for run in entry.runs for epoch in run.record.epochs)
    return [
        f"{EXTRAPOLATED} {entry.name}: extrapolated from {batches:,} of {whole:,} batches an epoch; "
        "its epochs and total seconds are those of the run, cut short."
    ]


def _trials(entries: Sequence[Entry]) -> list[str]:
    """Which entries began again, taught: their epochs are of two kinds."""
    names = [e.name for e in entries if any(epoch.get("again") for run in e.runs for epoch in run.record.epochs)]
    note = "began again after a trial without a teacher, whose epochs and seconds count."
    return [f"{', '.join(names)}: {note}"] if names else []


def _kind(entry: Entry) -> str:
    """Which memory a run measured (see :class:`ssna.compute.memory.MemoryMeter`)."""
    return "process" if entry.record.machine["device"] in ("cpu", "mps") else "device"


def _under(bench: ResultGroup) -> list[str]:
    """Training-free methods run on the processor wherever the others train; their machine goes without saying."""
    trained = [entry for entry in bench.entries if entry.record.epochs] or bench.entries
    note, *others = under(bench, bench.entries)
    return [note, *machines(trained), *others]
