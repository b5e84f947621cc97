"""Items that training never sees, and the questions about them."""

from dataclasses import dataclass

from ssna.core.errors import DataError


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Items held out of a data set, and users who chose one.

    Attributes:
        texts: outside id -> text of each held-out item.
        histories: one list of outside ids a question, oldest first, without held-out items.
        targets: the held-out item that came next, one a question.
    """

    texts: dict[str, str]
    histories: tuple[tuple[str, ...], ...]
    targets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<HeldOut: {len(self.texts):,} items and {len(self.targets):,} questions>"

    def __post_init__(self) -> None:
        if len(self.histories) != len(self.targets) or not set(self.targets) <= set(self.texts):
            raise DataError("every question about a held-out item has a history, and one of these items as its target")
