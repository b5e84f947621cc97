"""What is added and removed while serving, as :mod:`ssna.serving.store` keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Change:
    """One step.

    Attributes:
        put: added items and their texts; an earlier text is replaced.
        delete: added items that leave.
        hide: items of the run that leave.
        show: items of the run that come back.
    """

    put: Mapping[str, str] = field(default_factory=dict)
    delete: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()


@dataclass(frozen=True)
class Additions:
    """All changes together. An added id that a run knows by itself is that run's own, not an addition to it.

    Attributes:
        texts: added item -> text, in the order in which they came.
        hidden: items of a run that are not to be recommended.
        revision: of the store; one more with every change.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    revision: int = 0

    def __len__(self) -> int:
        return len(self.texts) + len(self.hidden)

    def after(self, change: Change) -> "Additions":
        """With one more change."""
        removed = {*change.put, *change.delete}  # a replaced text goes to the end, as in the catalogue
        texts = {item: text for item, text in self.texts.items() if item not in removed} | dict(change.put)
        return Additions(texts, self.hidden.union(change.hide).difference(change.show), self.revision + 1)
