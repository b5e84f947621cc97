"""The paper's figures (``paper.json``, made by ``benchmarks/paper_figures.py``), and ours beside them.

Peng et al. say nothing of whether items already seen are ranked, so their figures stand beside both policies and
compete with none of ours.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from ssna.report.ablation import INTEGRATIONS
from ssna.report.cells import METRICS, place_of, where
from ssna.report.groups import ResultGroup, Entry
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
    """Which of the paper's data sets a bench is: ``exact`` in all counts, or ``near``, another cut of the category."""

    name: str
    kind: Literal["exact", "near"]


@dataclass(frozen=True)
class ModelMatch:
    """Which of the paper's models stands beside a bench; not ``same`` where the bench has none of them."""

    name: str
    same: bool


@cache
def load() -> Paper:
    """The figures, read once."""
    return Paper(**json.loads(files("ssna.report").joinpath("paper.json").read_text(encoding="utf-8")))


def data_set_of(bench: ResultGroup) -> DataMatch | None:
    """By users, items and interactions, else by a name in which a word starts as one of the paper's; else None."""
    data = load().data
    for name, counts in data.items():
        if all(bench.data.get(count) == counts[count] for count in COUNTS):
            return DataMatch(name, "exact")
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", str(bench.data["name"] or ""))
    for name in data:
        if any(word.lower().startswith(name.lower()) for word in words):
            return DataMatch(name, "near")
    return None


def model_of(bench: ResultGroup) -> ModelMatch:
    """By name; DistilBERT stands beside any other model."""
    model = (bench.model or "").lower()
    for part, name in (("distilroberta", "distilroberta"), ("distilbert", "distilbert"), ("l-8_h-512", "bert-medium")):
        if part in model:
            return ModelMatch(name, same=True)
    return ModelMatch("distilbert", same=False)


def method_of(entry: Entry) -> str:
    """Which of the paper's methods an entry is, or ``""``: SSNA there has no ids, nothing joined, one event ahead."""
    settings = entry.record.settings
    method = settings["method"]
    joined, ahead = settings.get("join", {}).get("methods"), settings.get("batches", {}).get("ahead", 1)
    beyond = method.get("ids") or method.get("integrate", "gru") != "gru" or joined or ahead > 1
    return "" if beyond else entry.record.method


def beside(name: str, tables: Sequence[Table], benches: Sequence[ResultGroup]) -> list[Table]:
    """The tables of ``name`` with the paper's figures in further columns, where it gives such figures in numbers.

    Args:
        tables: as ``accuracy``, ``runtime``, ``memory`` or ``integration`` made them of ``benches``; those of other
            names come back as they are (Figure 3 is a picture without numbers).
    """
    if name == "integration":
        return [_beside_integration(table, benches) for table in tables]
    if name not in ("accuracy", "runtime", "memory"):
        return list(tables)
    owners = [bench for bench in benches for _ in range(len(tables) // len(benches))]
    return [_beside_methods(name, table, bench) for table, bench in zip(tables, owners, strict=True)]


def _beside_methods(name: str, table: Table, bench: ResultGroup) -> Table:
    """Rows are the entries of ``bench``; those that are no method of the paper stay empty."""
    if name == "accuracy" and not any(heading.endswith(METRICS) for heading in table.head):
        return table  # coverage and novelty, which the paper does not have
    match = data_set_of(bench)
    columns = _columns(name, model_of(bench).name, match.name) if match else {}
    cells = [tuple(of.get(method_of(entry)) for of in columns.values()) for entry in bench.entries]
    return _wider(table, columns, cells, _notes([bench], MODELS[model_of(bench).name]))


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


def _beside_integration(table: Table, benches: Sequence[ResultGroup]) -> Table:
    """Rows are metrics on benches; Table 8 has DistilBERT only."""
    places = {place_of(bench): bench for bench in benches}
    owners = [places[str(row[0]), str(row[1])] for row in table.rows]
    cells = []
    for row, bench in zip(table.rows, owners, strict=True):
        match = data_set_of(bench)
        scores = load().integration[match.name] if match else {}
        cells.append(tuple(Figure(scores[how][str(row[3])]) if scores else None for how in INTEGRATIONS))
    known = any(figure for row in cells for figure in row)
    shown = list({id(bench): bench for bench in owners}.values())
    return _wider(table, INTEGRATIONS.values() if known else (), cells, _notes(shown, MODELS["distilbert"]))


def _wider(table: Table, columns: Iterable[str], cells: Sequence[tuple[Cell, ...]], notes: Sequence[str]) -> Table:
    """``table`` with further columns under the heading ``paper``; none are given where the paper has no such data."""
    head = (*table.head, *(f"paper\n{column}" for column in columns))
    wider = (row + more[: len(head) - len(row)] for row, more in zip(table.rows, cells, strict=True))
    return replace(table, head=head, rows=tuple(wider), notes=(*table.notes, *notes))


def _notes(benches: Sequence[ResultGroup], model: str) -> list[str]:
    """Whose figures these are, and where their data, split or model are not ours."""
    whose = f"paper: Peng et al., {model}, their machines; whether seen items are ranked is not stated."
    known = any(data_set_of(bench) for bench in benches)
    return [*([whose] if known else []), *filter(None, (_difference(bench, model) for bench in benches))]


def _difference(bench: ResultGroup, model: str) -> str:
    match = data_set_of(bench)
    if match is None:
        return f"paper: no figures for {where(bench)}."
    parts = []
    if match.kind == "near":
        counts = ", ".join(f"{load().data[match.name][count]:,} {count}" for count in COUNTS)
        parts.append(f"their {match.name} is another cut of that category ({counts})")
    if not (own := model_of(bench)).same or MODELS[own.name] != model:
        parts.append(f"they have no figures for {bench.model or 'this model'}, so {model} stands beside it")
    if bench.data["split"] != "leave-one-out":
        parts.append("their split is the last item of every user")
    return f"paper beside {where(bench)}: {'; '.join(parts)}." if parts else ""
