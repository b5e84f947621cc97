"""What requests hold: checked on the way in, and described in the OpenAPI document."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from ssna.core import fields
from ssna.core.bounds import MOST_EXPOSURE
from ssna.core.fields import Integer, ItemId, NewItemId
from ssna.core.rules import MOST_BOOSTS, NO_RULES, AtLeast, Boost, Rules, Where
from ssna.serving.limits import LIMITS

Text = Annotated[fields.Text, StringConstraints(max_length=LIMITS.text_length)]

RunName = Annotated[str | None, Field(max_length=LIMITS.id_length)]
"""One of those that `GET /runs` lists; null is the serving one."""


Exposure = Annotated[float, Field(ge=-MOST_EXPOSURE, le=MOST_EXPOSURE, allow_inf_nan=False)]


def _example(value: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra={"examples": [value]})


Fields = Annotated[list[Literal["item", "score", "text"]], Field(min_length=1, max_length=3)]

EXAMPLE = {"history": ["sku-17", "sku-4"], "k": 3}


class RecommendRequest(BaseModel):
    """A history, and which items are wanted for it."""

    model_config = _example(EXAMPLE)
    history: list[ItemId] = Field(max_length=LIMITS.history)
    """Item ids, oldest first. Unknown ones are skipped and reported."""
    k: Integer = Field(10, ge=1, le=LIMITS.k)
    """How many items to recommend."""
    exclude_seen: bool = True
    """Exclude the items of the history."""
    allow: list[ItemId] | None = Field(None, max_length=LIMITS.listed_ids)
    """Rank these items only."""
    deny: list[ItemId] = Field(default_factory=list, max_length=LIMITS.listed_ids)
    """Exclude these items."""
    new_items: Exposure = 0.0
    """Raise items without training events by so many deviations of scores, beyond what validation chose."""
    where: Where | None = None
    """Recommend only items whose attributes fulfil this condition."""
    boost: list[Boost] = Field(default_factory=list, max_length=MOST_BOOSTS)
    """Raise items that fulfil conditions."""
    at_least: AtLeast | None = None
    """Recommend at least so many items of a kind, if there are so many: the best of them, and the best others."""
    diversity: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """0: the best items; towards 1, the less like each other the better (MMR over item vectors)."""
    fields: Fields = ["item", "score"]
    """What is answered of each item."""

    @property
    def rules(self) -> Rules:
        """What stands in `where`, `boost`, `at_least` and `diversity`."""
        if self.where is None and not self.boost and self.at_least is None and not self.diversity:
            return NO_RULES
        return Rules.model_construct(
            where=self.where, boost=tuple(self.boost), at_least=self.at_least, diversity=self.diversity
        )


class RecommendRequestWithTexts(RecommendRequest):
    """A history, with texts for ids that the catalogue does not have."""

    model_config = _example({**EXAMPLE, "texts": {"sku-new": "Cordless drill, 18 V. Acme"}})
    texts: dict[NewItemId, Text] = Field(
        default_factory=dict, max_length=LIMITS.texts, json_schema_extra={"additionalProperties": False}
    )
    """Unknown id of the history -> its text: known for this request only, and not recommended."""
    run: RunName = None
    fields: Fields = ["item", "score", "text"]


class RecommendBatchRequest(BaseModel):
    """Several histories; all are answered by one and the same state of the catalogue."""

    model_config = _example({"requests": [EXAMPLE, {"history": []}]})
    requests: list[RecommendRequest] = Field(min_length=1, max_length=LIMITS.requests)


Vector = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=1, max_length=LIMITS.vector)]
Source = Annotated[str, Field(min_length=1, max_length=100)]
BY = ("text", "vector", "vectors", "attributes")
Name = Annotated[str, Field(min_length=1, max_length=100)]
Value = Annotated[str, Field(max_length=1_000)] | bool | float | list[Annotated[str, Field(max_length=1_000)]] | None


class NewItem(BaseModel):
    """An item that is to be recommended, by its text or by its vector alone; or new attributes of one that is there."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={
            "examples": [{"item": "sku-new", "text": "Cordless drill, 18 V. Acme"}],
            "anyOf": [{"required": [name]} for name in BY],
            "not": {"required": ["vector", "vectors"]},
        },
    )
    item: NewItemId
    text: Text = ""
    vector: Vector = Field(default_factory=list)
    """For a run that was trained with vectors: such a one, of this item."""
    vectors: dict[Source, Annotated[list[Vector], Field(min_length=1, max_length=LIMITS.layers)]] = Field(
        default_factory=dict, min_length=1, max_length=LIMITS.sources
    )
    """The same for runs with several sources of vectors, or several layers: by source, the lowest layer first."""

    attributes: dict[Name, Value] = Field(default_factory=dict, min_length=1, max_length=64)
    """By the names that the run has. Null takes a value away; what is not named stays. Times are ISO text."""

    @model_validator(mode="after")
    def _is_known_by_something(self) -> Self:
        if not (self.text or self.vector or self.vectors or self.attributes):
            raise PydanticCustomError("nothing", "needs a text, or a vector")
        if self.vector and self.vectors:
            raise PydanticCustomError("both", "has `vector` and `vectors`; give one of them")
        return self

    @property
    def given(self) -> Any:
        """The vector or vectors; None where there is neither."""
        return self.vector or self.vectors or None


class PutItemsRequest(BaseModel):
    """Items to add; an added item that is there already gets the new text and vector."""

    model_config = _example({"items": [{"item": "sku-new", "text": "Cordless drill, 18 V. Acme"}]})
    items: list[NewItem] = Field(min_length=1, max_length=LIMITS.put_items)


class ReloadRequest(BaseModel):
    """Which run is to serve from now on."""

    model_config = _example({"run": "best-of-today", "minimum_overlap": 0.2})
    run: str = Field(min_length=1, max_length=1_000)
    """A run folder, below the folder of the serving run or of `--runs`; relative to these, or absolute."""
    minimum_overlap: float = Field(0.0, ge=0, le=1)
    """The least share of the first ten that old and new run must have in common."""


class ExplainRequest(BaseModel):
    """An item, and the history that it is ranked after."""

    model_config = _example({"history": ["sku-17", "sku-4"], "item": "sku-9"})
    history: list[ItemId] = Field(min_length=1, max_length=LIMITS.explained_history)
    item: ItemId
    run: RunName = None
    new_items: Exposure = 0.0
    """As in `POST /recommend`."""


class RankTextRequest(BaseModel):
    """The text of an item that does not exist, and the history that it is ranked after."""

    model_config = _example({"history": ["sku-17", "sku-4"], "text": "Cordless drill, 18 V. Acme"})
    history: list[ItemId] = Field(min_length=1, max_length=LIMITS.explained_history)
    text: Text
    run: RunName = None
    new_items: Exposure = 0.0
    """As in `POST /recommend`."""
