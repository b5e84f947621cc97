"""``append``: a data set and the logs that came after it, to the data set of both."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from ssna.core.errors import SettingsError
from ssna.core.files import new_folder
from ssna.data.dataset import Dataset
from ssna.data.prepare import FormatName, as_columns, require_master, require_one_of
from ssna.data.rules import EngineName
from ssna.data.storage import MANIFEST


def append(
    data: str | Path,
    logs: str | Path,
    items: str | Path | None = None,
    *,
    format: FormatName | None = None,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    text: str | Sequence[str] | None = None,
    rating: str | None = None,
    engine: EngineName = "duckdb",
    spark_master: str | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Dataset:
    """The data set that :func:`prepare` gives of all logs together, without reading the old ones again.

    It is the same but for the numbering: users and items keep the rows that they have in ``data``, new ones come
    behind. What ``data`` left out comes back where the new logs, or texts that came late, allow it. The rules are those
    of ``data``; a source without times goes on behind each user's events.

    Args:
        data: a folder that :func:`prepare` or this function wrote; it is not changed, unless it is ``out``, too.
        logs: the new rows, as :func:`prepare` takes them.
        items: texts of new items, or more of old ones.
        format, user, item, time, text, rating: as for :func:`prepare`; None is what ``data`` was prepared with.
        engine, spark_master: as for :func:`prepare`; it need not be the engine that ``data`` was prepared by.
        out: the folder to save to as well.
        quiet: no progress bar.

    Raises:
        DataError: as :func:`prepare`; or ``data`` is damaged, a sample, or of a version that did not keep what it left
            out; or one of the two has times and the other has not.
        SettingsError: an argument is out of range.
        SsnaError: ``out`` holds something else.
    """
    if not isinstance(data, str | Path):
        raise SettingsError("append takes the folder of a data set, which keeps what was left out; not a Dataset")
    if format is not None:
        require_one_of("format", format, get_args(FormatName))
    require_one_of("engine", engine, get_args(EngineName))
    require_master(engine, spark_master)
    from ssna.data.append_base import AppendBase  # Ibis takes a second to load
    from ssna.data.pipeline import assemble
    from ssna.data.sources import find_format

    earlier = AppendBase.read(Path(data))
    if rating is not None and earlier.rules.limits.min_rating is None:
        raise SettingsError(f"rating = {rating!r}: {data} was prepared without min_rating, so ratings do not count")
    format_name = find_format(Path(logs)) if format == "auto" else format or earlier.format
    request = earlier.request(Path(logs), None if items is None else Path(items), format_name)
    given: dict[str, Any] = {"user": user, "item": item, "time": time, "text": as_columns(text), "rating": rating}
    request = replace(request, **{name: value for name, value in given.items() if value is not None})
    if out is None:
        return assemble(request, format_name, earlier.rules, quiet, engine, spark_master, earlier=earlier)
    with new_folder(Path(out), marker=MANIFEST) as aside:
        return assemble(request, format_name, earlier.rules, quiet, engine, spark_master, aside, earlier)
