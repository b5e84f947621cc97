"""From interaction logs and item texts to a :class:`Dataset`, and to the disk and back."""

from ssna.data.append import append
from ssna.data.dataset import Dataset, Histories, IdMap, Split
from ssna.data.prepare import prepare
from ssna.data.query import Query, query
from ssna.data.storage import load, save
from ssna.data.union import union

__all__ = ["Dataset", "Histories", "IdMap", "Query", "Split", "append", "load", "prepare", "query", "save", "union"]
