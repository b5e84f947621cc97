"""Rules of a request: which items may be recommended, which are raised, how many must be of a kind, how alike they are.

One form for Python, lines of JSON, files and HTTP.
"""

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from ssna.core.conditions import COMPARISONS, Combination, Condition, ConditionError, Predicate, from_tree, parse, tree
from ssna.core.errors import SsnaError
from ssna.core.fields import Integer, explain

MOST_BOOSTS = 20
LEAST_FACTOR, MOST_FACTOR = 1e-9, 1e9

_SCHEMA = {
    "description": 'A tree such as {"and": [{"<": ["price", 20]}, {"in": ["brand", ["Acme"]]}]}, or the same as text.',
    "examples": [{"<": ["price", 20]}, "price < 20 and brand in (Acme, Brevik)"],
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 4_000},
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": {"enum": ["and", "or", "not", "in", "exists", *COMPARISONS]},
        },
    ],
}


def to_condition(value: Any) -> Condition:
    """A condition out of text or a tree. Raises :class:`ConditionError`, which names the place."""
    if isinstance(value, Predicate | Combination):
        return value
    if not isinstance(value, str):
        return from_tree(value)
    try:
        return parse(value)
    except ValueError as cause:
        raise ConditionError("", str(cause)) from None


def _validated(value: Any) -> Condition:
    try:
        return to_condition(value)
    except ConditionError as cause:
        raise PydanticCustomError("condition", "{message}", {"place": cause.place, "message": cause.message}) from None


Where = Annotated[Any, BeforeValidator(_validated), WithJsonSchema(_SCHEMA)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Boost(_Part):
    """Items that are raised, or lowered."""

    where: Where
    factor: float = Field(ge=LEAST_FACTOR, le=MOST_FACTOR)
    """By the logarithm of so much, in deviations of the history's scores: 1 changes nothing, 0.5 undoes 2."""


class AtLeast(_Part):
    """How many of the recommended items must fulfil a condition."""

    items: Integer = Field(ge=1)
    """So many, or all that there are; at most `k`."""
    where: Where


class Rules(_Part):
    """What is wanted besides the history. Without attributes only `diversity` can be asked for."""

    where: Where | None = None
    """Recommend only items that fulfil this condition on their attributes."""
    boost: tuple[Boost, ...] = Field((), max_length=MOST_BOOSTS, strict=False)
    """Raise items that fulfil conditions; what several conditions add adds up."""
    at_least: AtLeast | None = None
    """Recommend at least so many items of a kind: the best of them, and the best others."""
    diversity: float = Field(0.0, ge=0, le=1)
    """0: the best items; towards 1, the less like each other the better (MMR over item vectors)."""

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Checked rules. Raises :class:`SsnaError` for what is none, with its place."""
        try:
            return cls.model_validate(given)
        except ValidationError as invalid:
            raise SsnaError(explain(invalid.errors(include_input=False, include_url=False), "rules")) from None

    @property
    def asked(self) -> bool:
        """Whether they change anything."""
        return bool(self.conditions) or self.diversity > 0

    @property
    def conditions(self) -> tuple[tuple[str, Condition], ...]:
        """All of them, with their places."""
        found = [("where", self.where)] if self.where is not None else []
        found += [(f"boost.{number}.where", each.where) for number, each in enumerate(self.boost)]
        return (*found, *((("at_least.where", self.at_least.where),) if self.at_least is not None else ()))

    def tree(self) -> dict[str, Any]:
        """JSON values, those that change nothing left out; :meth:`of` takes them."""
        found: dict[str, Any] = {} if self.where is None else {"where": tree(self.where)}
        if self.boost:
            found["boost"] = [{"where": tree(each.where), "factor": each.factor} for each in self.boost]
        if self.at_least is not None:
            found["at_least"] = {"items": self.at_least.items, "where": tree(self.at_least.where)}
        return found | ({"diversity": self.diversity} if self.diversity else {})


NO_RULES = Rules()
