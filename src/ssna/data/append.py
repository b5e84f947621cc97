"""``append``: a data set and the logs that came after it, to the data set of both."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssna.core.arguments import checked
from ssna.core.errors import DataError, SettingsError, option
from ssna.core.files import new_folder
from ssna.data.dataset import Dataset
from ssna.data.options import APPENDING, EngineName, FormatName, Quote, with_help
from ssna.data.prepare import Rows
from ssna.data.storage import EVENTS


@with_help(*APPENDING)
@checked
def append(
    data: str | Path | Any,  # a Dataset would be of no use, and is refused in words of its own
    logs: Rows,
    items: Rows | None = None,
    *,
    format: FormatName | None = None,
    user_col: str | None = None,
    item_col: str | None = None,
    item_id_col: str | None = None,
    time_col: str | None = None,
    time_format: str | None = None,
    text_cols: str | Sequence[str] | None = None,
    attribute_cols: str | Sequence[str] | None = None,
    rating_col: str | None = None,
    header: str | Sequence[str] | None = None,
    quote: Quote | None = None,
    accept: str | Sequence[str] | None = None,
    engine: EngineName | None = None,
    spark_master: str | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Dataset:
    """The data set that :func:`prepare` gives of all logs together, without reading the old ones again.

    It is the same but for the numbering: users and items keep the rows that they have in ``data``, new ones come
    behind. What ``data`` dropped comes back where the new logs, or texts that came late, allow it. The rules are those
    of ``data``; a source without times goes on behind each user's events.

    The options are those of :func:`prepare`. Format and columns that are None are those that ``data`` was prepared
    with; the engine need not be the same.

    Args:
        data: a folder that :func:`prepare` or this function wrote; it is not changed, unless it is ``out``, too.
        logs: the new rows, as :func:`prepare` takes them.
        items: texts of new items, or more of old ones.
        out: the folder to save to as well.
        quiet: no progress bar, no summary and no warnings on standard error.

    Raises:
        DataError: as :func:`prepare`; or ``data`` is damaged, a sample, or of a version that did not keep what it
            dropped; or one of the two has times and the other has not.
        SettingsError: an option is out of range.
        SsnaError: ``out`` holds something else.
    """
    named = {
        "format": format,
        "user_col": user_col,
        "item_col": item_col,
        "item_id_col": item_id_col,
        "time_col": time_col,
        "time_format": time_format,
        "text_cols": text_cols,
        "attribute_cols": attribute_cols,
        "rating_col": rating_col,
        "header": header,
        "quote": quote,
        "accept": accept,
        "engine": engine,
        "spark_master": spark_master,
    }
    dataset = extend(data, logs, items, {name: value for name, value in named.items() if value is not None}, out, quiet)
    if not quiet:
        print(dataset.summary(), file=sys.stderr)
    return dataset


def extend(
    data: str | Path, logs: Rows, items: Rows | None, given: dict[str, Any], out: str | Path | None, quiet: bool
) -> Dataset:
    """As :func:`append`, but for the summary; ``given``: the options that are not those of ``data``."""
    if not isinstance(data, str | Path):
        raise SettingsError(
            f"append takes the folder of a data set, which keeps what was dropped; not a {type(data).__name__}"
        )
    from ssna.data.append_base import AppendBase  # Ibis takes a second to load
    from ssna.data.pipeline import assemble
    from ssna.data.sources import find_format, place_of

    base = AppendBase.read(Path(data))
    if base.options.split == "predefined":
        raise DataError(f"{data}: its split is what its logs say, so prepare it anew from all logs")
    if "rating_col" in given and not base.options.rated:
        culprit, lacking = option("rating_col", given["rating_col"]), option("min_rating")
        raise SettingsError(f"{culprit}: {data} was prepared without {lacking}, so ratings do not count")
    place = place_of(logs, "logs")
    if given.get("format") == "auto":
        given["format"] = find_format(place)
    request = base.request(place, None if items is None else place_of(items, "items"), given)
    if out is None:
        return assemble(request, quiet, base=base)
    with new_folder(Path(out), marker=EVENTS) as aside:
        return assemble(request, quiet, aside, base)
