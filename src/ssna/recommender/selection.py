"""What the rules of a request mean for a catalogue: masks of its items."""

import math
from dataclasses import dataclass

from ssna.core.conditions import ConditionError
from ssna.core.errors import option
from ssna.core.rules import Rules
from ssna.data.attributes import Attributes, Mask

NO_ATTRIBUTES = (
    f"the model's items have no attributes; prepare the data with {option('attribute_cols')} and train again"
)


@dataclass(frozen=True, eq=False)
class Selection:
    """Rules as masks of a catalogue, each ``(I + 1,)``.

    Attributes:
        only: the items that may be recommended; None: all.
        boosts: items, and how many deviations of its scores a history raises them by.
        at_least: so many of the recommended items must be of these.
        diversity: of MMR, 0 to 1.
    """

    only: Mask | None = None
    boosts: tuple[tuple[Mask, float], ...] = ()
    at_least: tuple[int, Mask] | None = None
    diversity: float = 0.0


def check_rules(rules: Rules, attributes: Attributes | None, k: int) -> None:
    """Raises :class:`ConditionError`, which names the place, where ``rules`` do not fit a catalogue, or ``k``."""
    for place, condition in rules.conditions:
        if attributes is None:
            raise ConditionError(place, NO_ATTRIBUTES)
        attributes.check(condition, place)
    if rules.at_least is not None and rules.at_least.items > k:
        raise ConditionError("at_least.items", f"{rules.at_least.items} of {k} items cannot be; ask for at most k")


def selection_of(rules: Rules, attributes: Attributes | None) -> Selection | None:
    """What ``rules`` mean for a catalogue, which :func:`check_rules` allowed them for; None: they change nothing."""
    if not rules.asked:
        return None
    if attributes is None:
        return Selection(diversity=rules.diversity)
    return Selection(
        None if rules.where is None else attributes.mask(rules.where),
        tuple((attributes.mask(each.where), math.log(each.factor)) for each in rules.boost),
        None if rules.at_least is None else (rules.at_least.items, attributes.mask(rules.at_least.where)),
        rules.diversity,
    )
