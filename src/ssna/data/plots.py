"""The lengths of histories as a picture."""

import io
from pathlib import Path

import numpy as np

from ssna.core.errors import SettingsError
from ssna.core.files import write_file
from ssna.data.dataset import Dataset

KINDS = (".png", ".svg", ".pdf")
_BINS = 40


def require_kind(path: Path) -> None:
    """Raise :class:`SettingsError` if the name does not end as a picture's does."""
    if path.suffix.lower() not in KINDS:
        raise SettingsError(f"{path}: the name of a picture ends in one of {', '.join(KINDS)}")


def draw_lengths(dataset: Dataset, path: Path) -> None:
    """Write a histogram of events a user, both axes logarithmic. Raises :class:`SettingsError` for an unknown kind."""
    from matplotlib.figure import Figure

    require_kind(path)
    lengths = dataset.histories.ragged.lengths
    edges = np.unique(np.geomspace(lengths.min(), lengths.max() + 1, _BINS).round())
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(lengths, bins=edges.tolist() if len(edges) > 1 else _BINS)
    axes.axvline(dataset.max_history, linestyle="--", color="black", label=f"read at most: {dataset.max_history}")
    axes.set(xscale="log", yscale="log", xlabel="events of a user", ylabel="users")
    axes.legend()
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:].lower(), dpi=150)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, drawn.getvalue())
