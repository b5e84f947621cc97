"""What is added and removed while serving, as :mod:`ssna.serving.store` keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssna.text.states import Vectors


@dataclass(frozen=True)
class Change:
    """One step.

    Attributes:
        put: added items and their texts; an earlier text, and a vector, is replaced.
        vectors: those of added items that came with some.
        delete: added items that leave.
        hide: items of the run that leave.
        show: items of the run that come back.
        attributes: item, of the run or added, -> what is new of its attributes; None takes a value away.
    """

    put: Mapping[str, str] = field(default_factory=dict)
    vectors: Mapping[str, "Vectors"] = field(default_factory=dict, compare=False)
    delete: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Additions:
    """All changes together. An added id that a run knows by itself is that run's own, not an addition to it.

    Attributes:
        texts: added item -> text, in the order in which they came.
        hidden: items of a run that are not to be recommended.
        revision: of the store; one more with every change.
        vectors: added item -> its vectors, of those that came with some.
        attributes: item, of a run or added, -> those of its attributes that were put, by name; None: taken away.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    revision: int = 0
    vectors: Mapping[str, "Vectors"] = field(default_factory=dict, compare=False)
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts) + len(self.hidden)

    def after(self, change: Change) -> "Additions":
        """With one more change."""
        removed = {*change.put, *change.delete}  # a replaced text goes to the end, as in the catalogue
        texts = {item: text for item, text in self.texts.items() if item not in removed} | dict(change.put)
        vectors = {item: each for item, each in self.vectors.items() if item not in removed} | dict(change.vectors)
        hidden = self.hidden.union(change.hide).difference(change.show)
        attributes = {item: each for item, each in self.attributes.items() if item not in change.delete}
        attributes |= {item: {**attributes.get(item, {}), **new} for item, new in change.attributes.items()}
        return Additions(texts, hidden, self.revision + 1, vectors, attributes)
