"""The paper's figures (``paper.json``, made by ``benchmarks/paper_figures.py``) in the tables of ours.

Peng et al. say nothing of whether items already seen are ranked, so their figures are shown with both policies and
compared with none of ours.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from ssna.report.ablation import INTEGRATIONS
from ssna.report.cells import METRICS, data_and_model, group_name
from ssna.report.groups import Entry, ResultGroup
from ssna.report.table import Cell, Figure, Table

MODELS = {"distilbert": "DistilBERT", "distilroberta": "DistilRoBERTa", "bert-medium": "BERTMedium"}
"""Ours -> the paper's names."""
COUNTS = ("users", "items", "interactions")
GB = 1e9

Scores = dict[str, dict[str, float]]
"""Method -> metric -> figure."""
Costs = dict[str, dict[str, dict[str, float]]]
"""Model -> data set -> method -> figure."""


@dataclass(frozen=True)
class Paper:
    """What Peng et al. published, by our names: models and data sets as in their tables, methods as in ``METHODS``.

    Attributes:
        source: what the figures are from.
        data: Table 1: data set -> ``users``, ``items``, ``interactions``.
        accuracy: Tables 2 to 4: model -> data set -> method -> metric.
        improvement: Table 5: model -> method -> metric -> ``percent``, and whether ``significant`` (at 85 %).
        runtime: Table 6: seconds an epoch.
        memory: Table 7: gigabytes on GPUs.
        integration: Table 8, DistilBERT: data set -> ``mean``, ``weighted``, ``gru`` -> metric.
        best_settings: Tables S1 to S3: model -> data set -> method -> the paper's letter -> value.
    """

    source: str
    data: dict[str, dict[str, int]]
    accuracy: dict[str, dict[str, Scores]]
    improvement: dict[str, dict[str, dict[str, dict[str, Any]]]]
    runtime: Costs
    memory: Costs
    integration: dict[str, Scores]
    best_settings: dict[str, dict[str, dict[str, dict[str, float]]]]


@dataclass(frozen=True)
class DataMatch:
    """Which of the paper's data sets a group is: ``exact`` in all counts, or ``near``, another cut of the category."""

    name: str
    kind: Literal["exact", "near"]


@dataclass(frozen=True)
class ModelMatch:
    """The paper's model that a group is shown with; not ``same`` where the group has none of them."""

    name: str
    same: bool


@cache
def load() -> Paper:
    """The figures, read once."""
    return Paper(**json.loads(files("ssna.report").joinpath("paper.json").read_text(encoding="utf-8")))


def data_set_of(group: ResultGroup) -> DataMatch | None:
    """By users, items and interactions, else by a name in which a word starts as one of the paper's; else None."""
    data = load().data
    for name, counts in data.items():
        if all(group.data.get(count) == counts[count] for count in COUNTS):
            return DataMatch(name, "exact")
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", str(group.data["name"] or ""))
    for name in data:
        if any(word.lower().startswith(name.lower()) for word in words):
            return DataMatch(name, "near")
    return None


def model_of(group: ResultGroup) -> ModelMatch:
    """By name; any other model is shown with DistilBERT."""
    model = (group.model or "").lower()
    for part, name in (("distilroberta", "distilroberta"), ("distilbert", "distilbert"), ("l-8_h-512", "bert-medium")):
        if part in model:
            return ModelMatch(name, same=True)
    return ModelMatch("distilbert", same=False)


def method_of(entry: Entry) -> str:
    """Which of the paper's methods an entry is, or ``""``.

    SSNA there has a GRU, no ID embeddings, no ensemble, and one target an event.
    """
    settings, name = entry.record.settings, entry.record.method
    differs = settings["ensemble"]["members"] or settings["training"]["future_targets"] > 1
    if name == "ssna":
        differs = differs or settings["method"]["id_embeddings"] or settings["method"]["integrate"] != "gru"
    return "" if differs else name


def with_paper_figures(name: str, tables: Sequence[Table], groups: Sequence[ResultGroup]) -> list[Table]:
    """The tables of ``name`` with the paper's figures in further columns, where it gives such figures in numbers.

    Args:
        tables: as ``accuracy``, ``runtime``, ``memory`` or ``integration`` made them of ``groups``; those of other
            names come back as they are (Figure 3 is a picture without numbers).
    """
    if name == "integration":
        return [_integration_with_paper(table, groups) for table in tables]
    if name not in ("accuracy", "runtime", "memory"):
        return list(tables)
    of = {tuple(group.metadata.items()): group for group in groups}
    return [_methods_with_paper(name, table, of[tuple(table.metadata[0].items())]) for table in tables]


def _methods_with_paper(name: str, table: Table, group: ResultGroup) -> Table:
    """Rows are the entries of ``group``; those that are no method of the paper stay empty."""
    if name == "accuracy" and not any(heading.endswith(METRICS) for heading in table.head):
        return table  # by training events, coverage and novelty, which the paper does not have
    match = data_set_of(group)
    columns = _columns(name, model_of(group).name, match.name) if match else {}
    cells = [tuple(of.get(method_of(entry)) for of in columns.values()) for entry in group.entries]
    return _with_columns(table, columns, cells, _notes([group], MODELS[model_of(group).name]))


def _columns(name: str, model: str, data: str) -> dict[str, dict[str, Figure]]:
    """Heading -> method -> figure."""
    if name == "accuracy":
        scores = load().accuracy[model][data]
        return {metric: {method: Figure(of[metric]) for method, of in scores.items()} for metric in METRICS}
    if name == "runtime":
        costs = load().runtime[model][data]
        return {"seconds an epoch": {method: Figure(seconds, "seconds") for method, seconds in costs.items()}}
    costs = load().memory[model][data]
    return {"peak GPU memory": {method: Figure(gigabytes * GB, "bytes") for method, gigabytes in costs.items()}}


def _integration_with_paper(table: Table, groups: Sequence[ResultGroup]) -> Table:
    """Rows are metrics on groups; Table 8 has DistilBERT only."""
    by_name = {data_and_model(group): group for group in groups}
    group_of_row = [by_name[str(row[0]), str(row[1])] for row in table.rows]
    cells = []
    for row, group in zip(table.rows, group_of_row, strict=True):
        match = data_set_of(group)
        scores = load().integration[match.name] if match else {}
        cells.append(tuple(Figure(scores[how][str(row[3])]) if scores else None for how in INTEGRATIONS))
    known = any(figure for row in cells for figure in row)
    shown = list({id(group): group for group in group_of_row}.values())
    return _with_columns(table, INTEGRATIONS.values() if known else (), cells, _notes(shown, MODELS["distilbert"]))


def _with_columns(
    table: Table, columns: Iterable[str], cells: Sequence[tuple[Cell, ...]], notes: Sequence[str]
) -> Table:
    """``table`` with further columns under the heading ``paper``; none are given where the paper has no such data."""
    head = (*table.head, *(f"paper\n{column}" for column in columns))
    wider = (row + more[: len(head) - len(row)] for row, more in zip(table.rows, cells, strict=True))
    return replace(table, head=head, rows=tuple(wider), notes=(*table.notes, *notes))


def _notes(groups: Sequence[ResultGroup], model: str) -> list[str]:
    """Whose figures these are, and where their data, split or model are not ours."""
    whose = f"paper: Peng et al., {model}, their machines; whether seen items are ranked is not stated."
    known = any(data_set_of(group) for group in groups)
    return [*([whose] if known else []), *filter(None, (_difference(group, model) for group in groups))]


def _difference(group: ResultGroup, model: str) -> str:
    match = data_set_of(group)
    if match is None:
        return f"paper: no figures for {group_name(group)}."
    parts = []
    if match.kind == "near":
        counts = ", ".join(f"{load().data[match.name][count]:,} {count}" for count in COUNTS)
        parts.append(f"their {match.name} is another cut of that category ({counts})")
    if not (own := model_of(group)).same or MODELS[own.name] != model:
        parts.append(f"they have no figures for {group.model or 'this model'}, so {model} is shown")
    if group.data["split"] != "leave-one-out":
        parts.append("their split is the last item of every user")
    return f"paper, for {group_name(group)}: {'; '.join(parts)}." if parts else ""
