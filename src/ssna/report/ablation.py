"""One setting of SSNA at a time: how adapters are integrated (Table 8), and how many layers are adapted (Figure 3)."""

import copy
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssna.report.cells import MEASURES, POLICY_LABELS, data_and_model, score
from ssna.report.groups import Entry, ResultGroup, RunFolder, choose, validation_score
from ssna.report.notes import POLICIES_NOTE, dry_run_notes, seeds_note, selection_notes
from ssna.report.table import Cell, Table

INTEGRATIONS = {"mean": "MEAN", "weighted": "WEIGHTED", "gru": "SSNA"}
ROW_HEAD = ("data", "model", "seen", "metric")
Variants = dict[Any, Entry]


def integration(groups: Sequence[ResultGroup]) -> list[Table]:
    """MEAN, WEIGHTED and SSNA, each at its best configuration; no table where a group has but one of them."""
    found = [(group, integrations(group)) for group in groups]
    return _table("Integration of the adapters", [pair for pair in found if len(pair[1]) > 1], INTEGRATIONS)


def layers(groups: Sequence[ResultGroup]) -> list[Table]:
    """The top a = 1 ... n layers adapted, all else equal; no table where a group has but one a."""
    found = [(group, adapted_layers(group)) for group in groups]
    found = [pair for pair in found if len(pair[1]) > 1]
    values = sorted({value for _, variants in found for value in variants})
    return _table("Layers adapted", found, {value: f"a = {value}" for value in values})


def integrations(group: ResultGroup) -> Variants:
    """``integrate`` -> its best configuration, among runs that differ in nothing else but what grids tuned."""
    runs = _ssna(group)
    tuned = {key for run in runs if run.record.grid for key in run.record.grid["configuration"]}
    return variants(runs, "method.integrate", tuned)


def adapted_layers(group: ResultGroup) -> Variants:
    """``a`` -> its runs, among GRU runs that differ in nothing but ``layers`` and seed."""
    gru = [run for run in _ssna(group) if run.record.settings["method"]["integrate"] == "gru"]
    return variants(gru, "method.layers")


def variants(runs: Iterable[RunFolder], key: str, tuned: Iterable[str] = ()) -> Variants:
    """Value of ``key`` -> entry, of the runs that share all other settings but the ``tuned`` ones and the seed.

    Of several such sets the one with the most values, then the one with the best validation score.
    """
    sets: dict[str, dict[Any, dict[str, RunFolder]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        settings = run.record.settings
        shared = without_keys(settings, {"seed", key, *tuned})
        sets[_canonical(shared)][_get(settings, key)].setdefault(_canonical(settings), run)  # a run done twice, once
    last = key.split(".")[-1]
    found = [{value: choose(f"{last} = {value}", [*of.values()]) for value, of in by.items()} for by in sets.values()]
    return max(found, key=lambda entries: (len(entries), max(map(_score, entries.values()))), default={})


def without_keys(settings: Mapping[str, Any], dotted: Iterable[str]) -> dict[str, Any]:
    """A copy of ``settings`` that lacks some keys."""
    rest = copy.deepcopy(dict(settings))
    for key in dotted:
        *sections, last = key.split(".")
        node: Any = rest
        for section in sections:
            node = node.get(section, {})
        node.pop(last, None)
    return rest


def _table(title: str, found: Sequence[tuple[ResultGroup, Variants]], columns: Mapping[Any, str]) -> list[Table]:
    """Rows are metrics on groups, columns the values of a setting; each row is a comparison group."""
    if not found:
        return []
    entries = [entry for _, variants in found for entry in variants.values()]
    rows: list[tuple[Cell, ...]] = []
    metadata = [group.metadata for group, _ in found for _ in MEASURES]
    notes = [POLICIES_NOTE]
    for group, variants in found:
        names = data_and_model(group)
        for policy, metric in MEASURES:
            comparison_group = (*names, group.fingerprint, policy, metric)
            present = (variants.get(value) for value in columns)
            cells = [
                None if entry is None else score(entry, policy, metric, comparison_group, marked=True)
                for entry in present
            ]
            rows.append((*names, POLICY_LABELS[policy], metric, *cells))
        notes += [" ".join([f"{group.note}, {names[1]}.", *selection_notes(variants.values())])]
    return [
        Table(
            title=title,
            head=(*ROW_HEAD, *columns.values()),
            rows=tuple(rows),
            notes=(*notes, seeds_note(entries), *dry_run_notes(entries)),
            labels=len(ROW_HEAD),
            metadata=tuple(metadata),
        )
    ]


def _ssna(group: ResultGroup) -> list[RunFolder]:
    return [run for entry in group.entries for run in entry.candidates if run.record.method == "ssna"]


def _score(entry: Entry) -> float:
    return validation_score(entry.record)


def _get(settings: Mapping[str, Any], dotted: str) -> Any:
    value: Any = settings
    for key in dotted.split("."):
        value = value[key]
    return value


def _canonical(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)
