"""One module a format: each recognises its files and reads them into a :class:`Source`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ssna.core.errors import DataError
from ssna.data.engine import Engine
from ssna.data.error_hints import not_data
from ssna.data.options import FormatName
from ssna.data.sources import amazon, mind, movielens, recbole, sequences, table, unisrec
from ssna.data.sources.opening import unknown
from ssna.data.sources.place import Place, place_of
from ssna.data.sources.source import ITEM, RATING, SPLIT, USER, WHEN, Request, Source

__all__ = [
    "FORMATS",
    "ITEM",
    "RATING",
    "SPLIT",
    "USER",
    "WHEN",
    "Format",
    "Place",
    "Request",
    "Source",
    "find_format",
    "place_of",
]


@dataclass(frozen=True)
class Format:
    """What ``prepare`` needs to know of a format.

    Attributes:
        recognises: whether a path looks like it.
        read: the reader.
        core: the events that a user and an item need if no other number is given; 0 where the files come ready.
    """

    recognises: Callable[[Path], bool]
    read: Callable[[Engine, Request], Source]
    core: int


# In the order in which ``auto`` tries them: a folder of UniSRec's files holds .inter files, too.
FORMATS: dict[FormatName, Format] = {
    "unisrec": Format(unisrec.recognises, unisrec.read, core=0),
    "recbole": Format(recbole.recognises, recbole.read, core=5),
    "mind": Format(mind.recognises, mind.read, core=0),
    "sequences": Format(sequences.recognises, sequences.read, core=0),
    "movielens": Format(movielens.recognises, movielens.read, core=5),
    "amazon": Format(amazon.recognises, amazon.read, core=5),
    "table": Format(table.recognises, table.read, core=5),
}


def find_format(place: Place) -> FormatName:
    """The first of ``FORMATS`` that recognises a path; anything else is a table. Raises :class:`DataError` if none
    does."""
    if not isinstance(place, Path):
        return "table"
    path = place
    if path.is_file() and (complaint := not_data(path)) is not None:
        raise DataError(complaint)
    for name, known in FORMATS.items():
        if known.recognises(path):
            return name
    if not path.exists():
        raise DataError(f"{path} does not exist; check the path")
    raise unknown(path)
