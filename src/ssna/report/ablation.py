"""One setting of SSNA at a time: how adapters are integrated (Table 8), and how many layers are adapted (Figure 3)."""

import copy
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssna.report.cells import MEASURES, SEEN, place_of, score
from ssna.report.groups import ResultGroup, Entry, RunFolder, choose
from ssna.report.notes import POLICIES_NOTE, dry_runs, seeds, selection
from ssna.report.table import Cell, Table

INTEGRATIONS = {"mean": "MEAN", "weighted": "WEIGHTED", "gru": "SSNA"}
ROW = ("data", "model", "seen", "metric")
Variants = dict[Any, Entry]


def integration(benches: Sequence[ResultGroup]) -> list[Table]:
    """MEAN, WEIGHTED and SSNA, each at its best settings; no table where a bench has but one of them."""
    found = [(bench, integrations(bench)) for bench in benches]
    return _table("Integration of the adapters", [pair for pair in found if len(pair[1]) > 1], INTEGRATIONS)


def layers(benches: Sequence[ResultGroup]) -> list[Table]:
    """The top a = 1 ... n layers adapted, all else equal; no table where a bench has but one a."""
    found = [(bench, depths(bench)) for bench in benches]
    found = [pair for pair in found if len(pair[1]) > 1]
    values = sorted({value for _, variants in found for value in variants})
    return _table("Layers adapted", found, {value: f"a = {value}" for value in values})


def integrations(bench: ResultGroup) -> Variants:
    """How -> the best of its settings, among runs that differ in nothing but ``integrate`` and what grids tuned."""
    runs = _ssna(bench)
    tuned = {key for run in runs if run.record.grid for key in run.record.grid["point"]}
    return variants(runs, "method.integrate", tuned)


def depths(bench: ResultGroup) -> Variants:
    """``a`` -> its runs, among GRU runs that differ in nothing but ``layers`` and seed."""
    gru = [run for run in _ssna(bench) if run.record.settings["method"]["integrate"] == "gru"]
    return variants(gru, "method.layers")


def variants(runs: Iterable[RunFolder], key: str, tuned: Iterable[str] = ()) -> Variants:
    """Value of ``key`` -> entry, of the runs that share all other settings but the ``tuned`` ones and the seed.

    Of several such sets the one with the most values, then the one with the best validation R@10.
    """
    sets: dict[str, dict[Any, dict[str, RunFolder]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        settings = run.record.settings
        shared = without(settings, {"seed", key, *tuned})
        sets[_canonical(shared)][_get(settings, key)].setdefault(_canonical(settings), run)  # a run done twice, once
    last = key.split(".")[-1]
    found = [{value: choose(f"{last} = {value}", [*of.values()]) for value, of in by.items()} for by in sets.values()]
    return max(found, key=lambda entries: (len(entries), max(map(_validation, entries.values()))), default={})


def without(settings: Mapping[str, Any], dotted: Iterable[str]) -> dict[str, Any]:
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
    """Rows are metrics on benches, columns the values of a setting; each row is a contest."""
    if not found:
        return []
    entries = [entry for _, variants in found for entry in variants.values()]
    rows: list[tuple[Cell, ...]] = []
    about = [bench.about for bench, _ in found for _ in MEASURES]
    notes = [POLICIES_NOTE]
    for bench, variants in found:
        place = place_of(bench)
        for policy, metric in MEASURES:
            contest = (*place, bench.fingerprint, policy, metric)
            present = (variants.get(value) for value in columns)
            cells = [None if entry is None else score(entry, policy, metric, contest, marked=True) for entry in present]
            rows.append((*place, SEEN[policy], metric, *cells))
        notes += [" ".join([f"{bench.note}, {place[1]}.", *selection(variants.values())])]
    return [
        Table(
            title=title,
            head=(*ROW, *columns.values()),
            rows=tuple(rows),
            notes=(*notes, seeds(entries), *dry_runs(entries)),
            labels=len(ROW),
            about=tuple(about),
        )
    ]


def _ssna(bench: ResultGroup) -> list[RunFolder]:
    return [run for entry in bench.entries for run in entry.candidates if run.record.method == "ssna"]


def _validation(entry: Entry) -> float:
    return float(entry.record.valid["exclude_seen"]["R@10"])


def _get(settings: Mapping[str, Any], dotted: str) -> Any:
    value: Any = settings
    for key in dotted.split("."):
        value = value[key]
    return value


def _canonical(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)
