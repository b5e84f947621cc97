"""Attributes in a server's state: as JSON, by the items' outside ids, those of the run among them."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from ssna.recommender import Recommender
from ssna.serving.additions import Additions, Change
from ssna.serving.item_vectors import some_of
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import NewItem
from ssna.serving.tables import ATTRIBUTES

Given = Mapping[str, Mapping[str, Any]]


def write_attributes(connection: Connection, change: Change, after: Additions) -> None:
    """What ``change`` makes of them.

    Args:
        after: all changes, this one among them.
    """
    for some in some_of([*change.delete, *change.attributes]):
        connection.execute(delete(ATTRIBUTES).where(ATTRIBUTES.c.item.in_(some)))
    rows = [{"item": item, "given": json.dumps(after.attributes[item])} for item in change.attributes]
    if rows:
        connection.execute(insert(ATTRIBUTES), rows)


def attributes_in(connection: Connection) -> dict[str, dict[str, Any]]:
    """Those of all items that were given some."""
    return {row.item: json.loads(row.given) for row in connection.execute(select(ATTRIBUTES))}


def check_attributes(recommender: Recommender, items: list[NewItem]) -> None:
    """Raises :class:`RequestError`, which names the place, for attributes that the run has not, or of another kind."""
    for number, new in enumerate(items):
        if new.attributes and recommender.attributes is None:
            raise RequestError(409, "no_attributes", "the items of this run have no attributes; leave them out")
        for name, value in new.attributes.items():
            assert recommender.attributes is not None
            if flaw := recommender.attributes.check_value(name, value):
                raise RequestError(422, "invalid", f"items.{number}.attributes.{name}: {flaw}")


def with_given(recommender: Recommender, given: Given) -> Recommender:
    """``recommender`` with those attributes that it has, of the items that it knows; the log says what it has not."""
    known = recommender.attributes
    here = {item: each for item, each in given.items() if item in recommender.items}
    if known is None:
        fitting = dict[str, dict[str, Any]]()
    else:
        fitting = {
            item: {name: value for name, value in each.items() if known.check_value(name, value) is None}
            for item, each in here.items()
        }
    if missing := sum(len(each) for each in here.values()) - sum(len(each) for each in fitting.values()):
        item, name = next((item, name) for item in here for name in here[item] if name not in fitting.get(item, {}))
        message = f"{missing} attributes that were put are none of this run, such as {name} of {item}; they are kept"
        log("attributes", level="warning", message=message)
    return recommender.with_attributes({item: each for item, each in fitting.items() if each})
