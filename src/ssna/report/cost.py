"""Cost of training: seconds (Table 6) and memory (Table 7)."""

from collections.abc import Sequence
from statistics import fmean

from ssna.report.cells import group_name, label, measured
from ssna.report.groups import Entry, ResultGroup
from ssna.report.notes import group_notes, machine_notes
from ssna.report.table import EXTRAPOLATED, Cell, Table
from ssna.runs import RunRecord

RUNTIME_HEAD = ("method", "batches an epoch", "seconds an epoch", "epochs to best", "epochs", "total seconds")


def runtime(groups: Sequence[ResultGroup]) -> list[Table]:
    """Seconds an epoch, epochs to the best one, total time; the least seconds an epoch are the best."""
    return [
        Table(
            title=f"Training time on {group_name(group)}",
            head=RUNTIME_HEAD,
            rows=tuple(_time(entry) for entry in group.entries),
            notes=(
                "Seconds of training, without validation; the first epoch is not counted where there are more. Total: "
                "training, validation and fitting. Training-free methods have no epochs.",
                *(note for entry in group.entries for note in _extrapolation_notes(entry)),
                *_restart_notes(group.entries),
                *_notes(group),
            ),
            metadata=(group.metadata,) * len(group.entries),
        )
        for group in groups
    ]


def memory(groups: Sequence[ResultGroup]) -> list[Table]:
    """Peak memory of methods that train, the least of its kind is the best; and trainable parameters."""
    return [
        Table(
            title=f"Memory of training on {group_name(group)}",
            head=("method", "peak memory", "kind", "trainable parameters"),
            rows=tuple(
                (
                    label(entry),
                    measured(
                        entry, lambda record: record.peak_memory_bytes if record.epochs else None, "bytes", _kind(entry)
                    ),
                    _kind(entry) if entry.record.epochs else None,
                    measured(entry, lambda record: record.trainable_parameters, "count"),
                )
                for entry in group.entries
            ),
            notes=(
                "Device: memory that the GPU held at most. Process: memory that the process held at most, above what "
                "it held at the start of the run. The two do not compare. What training-free methods take is lost in "
                "noise and not shown.",
                *_notes(group),
            ),
            metadata=(group.metadata,) * len(group.entries),
        )
        for group in groups
    ]


def seconds_an_epoch(record: RunRecord) -> float | None:
    """Of a whole epoch: extrapolated from an epoch with fewer batches. None without epochs."""
    epochs = record.epochs[1:] or record.epochs
    return fmean(epoch["seconds"] * record.batches / epoch["batches"] for epoch in epochs) if epochs else None


def _time(entry: Entry) -> tuple[Cell, ...]:
    machine = tuple(entry.record.machine.items())
    return (
        label(entry),
        measured(entry, lambda record: record.batches if record.epochs else None, "count"),
        measured(entry, seconds_an_epoch, "seconds", machine, mark=EXTRAPOLATED if _is_extrapolated(entry) else ""),
        measured(entry, lambda record: record.best_epoch, "count"),
        measured(entry, lambda record: len(record.epochs) or None, "count"),
        measured(entry, lambda record: record.seconds, "seconds"),
    )


def _is_extrapolated(entry: Entry) -> bool:
    """Whether an epoch had only some of its batches (``training.limit_train_batches``)."""
    return any(epoch["batches"] < run.record.batches for run in entry.runs for epoch in run.record.epochs)


def _extrapolation_notes(entry: Entry) -> list[str]:
    if not _is_extrapolated(entry):
        return []
    batches, whole = min((epoch["batches"], run.record.batches) for run in entry.runs for epoch in run.record.epochs)
    return [
        f"{EXTRAPOLATED} {entry.name}: extrapolated from {batches:,} of {whole:,} batches an epoch; "
        "its epochs and total seconds are those of the run, cut short."
    ]


def _restart_notes(entries: Sequence[Entry]) -> list[str]:
    """Which entries restarted with a teacher: their epochs are of two kinds."""
    names = [e.name for e in entries if any(epoch["restarted"] for run in e.runs for epoch in run.record.epochs)]
    note = "restarted after a trial without a teacher, whose epochs and seconds count."
    return [f"{', '.join(names)}: {note}"] if names else []


def _kind(entry: Entry) -> str:
    """Which memory a run measured: of the process on a CPU, of the device on a GPU."""
    return "process" if entry.record.machine["device"] in ("cpu", "mps") else "device"


def _notes(group: ResultGroup) -> list[str]:
    """Training-free methods run on the processor wherever the others train, so their machine is not named."""
    trained = [entry for entry in group.entries if entry.record.epochs] or group.entries
    note, *others = group_notes(group, group.entries)
    return [note, *machine_notes(trained), *others]
