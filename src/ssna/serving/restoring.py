"""A run with what was added to it: what was read from texts comes from the store, and only what it lacks is read."""

from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from ssna.core.errors import ArtifactError, SsnaError
from ssna.recommender import Recommender
from ssna.recommender.admission import NewItems, in_order
from ssna.serving.additions import Additions
from ssna.serving.item_attributes import with_given
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError
from ssna.serving.sharing import give_back_rows, shared
from ssna.serving.snapshot import Snapshot
from ssna.serving.store import Store
from ssna.text.states import Vectors, states

AT_ONCE = 256  # texts that are read and kept together

Progress = Callable[[int, int], None]
"""Takes how many texts are read, and of how many."""
Loaded = Callable[[Recommender], object]
"""Takes a run as soon as it is loaded, without what was added."""


def open_run(
    folder: Path,
    version: int,
    additions: Additions,
    store: Store | None = None,
    progress: Progress = lambda *_: None,
    loaded: Loaded = lambda _: None,
    load: Callable[[Path], Recommender] = Recommender.load,
) -> Snapshot:
    """Load a run, with what was added and removed.

    Args:
        store: where what was read from added texts is found, and kept; None: all are read.

    Raises:
        ArtifactError: it is missing, foreign or damaged, or can admit nothing.
    """
    recommender = shared(load(folder))
    loaded(recommender)
    return with_additions(recommender, folder, version, additions, store, progress)


def with_additions(
    recommender: Recommender,
    folder: Path,
    version: int,
    additions: Additions,
    store: Store | None = None,
    progress: Progress = lambda *_: None,
) -> Snapshot:
    """As :func:`open_run`, of a run that is loaded."""
    run_items = len(recommender.items)
    new = {item: text for item, text in additions.texts.items() if item not in recommender.items}
    try:
        vectors = _fitting(additions.vectors, recommender)
        wider = recommender.admit_read(_read(recommender, new, vectors, store, progress)) if new else recommender
    except SsnaError as cause:
        raise ArtifactError(
            f"{folder.name} cannot take over {len(new)} added items: {cause}; name another run, or give up what was "
            "added: DELETE /items/ID for each while a server runs, or start one with another --state"
        ) from None
    return Snapshot(with_given(wider, additions.attributes), folder, version, run_items, additions.hidden)


def followed(now: Snapshot, before: Additions, after: Additions, store: Store) -> Snapshot:
    """What serves, once another server has made ``after`` of what was added and removed ``before``.

    Raises:
        SsnaError: the run cannot admit what was added.
    """
    gone = [item for item in before.texts if now.is_added(item) and not _same(item, before, after)]
    left = now.without(gone)
    old = left.recommender
    new = {item: text for item, text in after.texts.items() if item not in old.items}
    try:
        wider = old.admit_read(_read(old, new, _fitting(after.vectors, old), store, lambda *_: None)) if new else old
    except BaseException:
        give_back_rows(old)
        raise
    given = {i: each for i, each in after.attributes.items() if i in new or each != before.attributes.get(i)}
    return left.updated(with_given(wider, given), after.hidden).compact()


def _same(item: str, before: Additions, after: Additions) -> bool:
    mine, theirs = before.vectors.get(item, {}), after.vectors.get(item, {})
    vectors = mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)
    return vectors and before.texts[item] == after.texts.get(item)


def warm_up(recommender: Recommender) -> None:
    """Load the language model ahead of the first new text."""
    encoding, layers = recommender.encoding, recommender.scorer.layers
    if encoding is not None and encoding.reads_text and layers:
        states(("a first text",), [{}], encoding, layers)


def _fitting(vectors: Mapping[str, Vectors], recommender: Recommender) -> dict[str, Vectors]:
    """Those of sources that the run was trained with: another run may have another kind, or read texts alone."""
    names = {source.name for source in recommender.encoding.given} if recommender.encoding is not None else set()
    taken = {item: {name: each for name, each in given.items() if name in names} for item, given in vectors.items()}
    return {item: given for item, given in taken.items() if given}


def _read(
    recommender: Recommender,
    new: Mapping[str, str],
    vectors: Mapping[str, Vectors],
    store: Store | None,
    progress: Progress,
) -> NewItems:
    parts = [] if store is None else _known(recommender, new, store)
    there = {item for part in parts for item in part.texts}
    missing = iter([(item, text) for item, text in new.items() if item not in there])
    done, count = 0, len(new) - len(there)
    while some := dict(islice(missing, AT_ONCE)):
        progress(done, count)
        parts.append(recommender.read(some, {item: vectors[item] for item in some if item in vectors}))
        done += len(some)
        if store is not None:
            store = _keep(recommender, parts[-1], store)
    return in_order(new, parts)


def _known(recommender: Recommender, new: Mapping[str, str], store: Store) -> list[NewItems]:
    if recommender.encoding is None or not recommender.scorer.layers:
        return []
    try:
        found = store.known(tuple(new), recommender.encoding, recommender.scorer.layers)
    except ArtifactError as cause:
        log("store", level="error", message=f"{cause}; added texts are read again")
        return []
    return [found] if all(new[item] == text for item, text in found.texts.items()) else []


def _keep(recommender: Recommender, read: NewItems, store: Store) -> Store | None:
    """The store, or None where it takes nothing: what was read then serves all the same."""
    assert recommender.encoding is not None
    try:
        store.keep(read, recommender.encoding)
    except RequestError as cause:
        log("store", level="warning", message=f"{cause}; the next start reads these texts again")
        return None
    return store
