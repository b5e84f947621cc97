"""What answers hold, for the OpenAPI document and for whoever writes them."""

from typing import Any, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12


class ScoredItem(BaseModel):
    """One recommended item; scores compare within one answer only."""

    item: str
    score: float
    text: str


class RecommendedItem(TypedDict, total=False):
    """What was asked for of a recommended item; scores compare within one answer only."""

    item: str
    score: float
    text: str


class Answer(BaseModel):
    """Items, best first."""

    items: list[RecommendedItem]
    unknown: list[str]
    """Ids of the history that are not in the catalogue; they were skipped."""
    fallback: Literal["popularity"] | None
    """`popularity` where nothing of the history is known."""


class Answers(BaseModel):
    """One answer a request, in their order."""

    answers: list[Answer]


class Item(BaseModel):
    """An item of the catalogue."""

    item: str
    text: str


class ItemWithAttributes(Item):
    """An item of the catalogue, and what is known of it."""

    attributes: dict[str, Any] = Field(default_factory=dict)
    """Those that have a value."""


class Items(BaseModel):
    """Items found, and how many match in all."""

    items: list[Item]
    total: int


class SimilarItems(BaseModel):
    """The nearest items, best first."""

    items: list[ScoredItem]


class Run(BaseModel):
    """A run that recommends."""

    name: str
    items: int
    raises_new_items: bool
    """Whether requests may raise new items, by `new_items`."""
    has_vectors: bool
    """Whether requests may ask for `diversity`."""
    attributes: dict[str, str]
    """What `where` may speak of: names and kinds (number, text, boolean, time, texts)."""


class Runs(BaseModel):
    """The serving run first."""

    runs: list[Run]


class Contribution(BaseModel):
    """What a member of the ensemble contributes to a score."""

    scorer: str
    score: float


class Influence(BaseModel):
    """One item of the history."""

    item: str
    text: str
    effect: float
    """The score less what it is without this event."""
    similarity: float | None
    """The cosine with the explained item; null where there are no vectors."""


class AdapterOutput(BaseModel):
    """What the adapters made of the item's text; contributions are to the cosine of item and history."""

    text: float
    """What the text contributes."""
    id_embedding: float
    """What the item's id embedding contributes."""
    layers: list[float]
    """What the cosine loses without a layer, top layer first."""
    expert_weights: list[list[float]]
    """The weight of each expert, a row a layer, top layer first."""


class Explanation(BaseModel):
    """Why an item has its score after a history."""

    item: ScoredItem
    rank: int
    """Among the items that are not of the history."""
    members: list[Contribution]
    """They add up to the score."""
    history: list[Influence]
    adapters: AdapterOutput | None
    """Null where the method has no adapters."""


class TextRank(BaseModel):
    """The rank of a text, were it a new item."""

    score: float
    rank: int
    among: int
    """Items in that ranking, the new one included, those of the history excluded."""
    similar: list[ScoredItem]


class ChangeResult(BaseModel):
    """What a change did; it is on the disk."""

    added: int = 0
    replaced: int = 0
    removed: int = 0
    changed: int = 0
    """Items that were there and got other attributes alone."""
    items: int
    """Items that can be recommended now."""
    warnings: list[str] = Field(default_factory=list)
    """Such as: a text says nothing, so it adds nothing to the score of its item."""


class Comparison(BaseModel):
    """The new run compared with the one that served, before it took its place."""

    run: str
    items: int
    items_before: int
    shared_items: int
    histories: int
    """Histories compared on: recent ones, or else made of items by their popularity."""
    overlap: float
    """Mean share of the first ten that both have."""
    milliseconds: float
    """A history, all of them at once."""
    milliseconds_before: float


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """What serves."""

    status: Literal["ready"] = "ready"
    run: str
    version: int
    """1 for the run that the server was started with, one more with each reload."""
    items: int
    added: int


class Error(BaseModel):
    """What went wrong."""

    code: str
    """For programs."""
    message: str
    """For people: the culprit and the remedy."""


class ErrorBody(BaseModel):
    """Every refusal."""

    error: Error
