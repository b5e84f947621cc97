"""The paper's figures: as printed, consistent with each other, and shown with ours without being compared."""

import importlib.util
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from some_runs import make_run

from ssna.report import TABLES, result_groups
from ssna.report.paper import data_set_of, load, method_of, model_of, with_paper_figures
from ssna.report.table import Figure

ROOT = Path(__file__).parents[3]
TEXT = ROOT.parent / "shared" / "paper" / "ssna.txt"
METRICS = ("R@10", "N@10", "R@50", "N@50")


@pytest.fixture
def group(tmp_path):
    """The paper's Sci and DistilBERT: its methods, and some that it does not have."""
    methods = {"ssna": "ssna", "lora": "lora", "ids": "ids", "with ids": "ssna"}
    settings = {"method": {"id_embeddings": True}}
    runs = [
        make_run(tmp_path / name, method=method, level=0.1, settings=settings if name == "with ids" else None)
        for name, method in methods.items()
    ]
    return result_groups(runs)[0]


@pytest.mark.parametrize(
    ("beyond", "name"),
    [
        ({}, "ssna"),
        ({"training": {"future_targets": 1}}, "ssna"),
        ({"training": {"future_targets": 2}}, ""),
        ({"ensemble": {"members": ["cease"]}}, ""),
        ({"method": {"integrate": "mean"}}, ""),
        ({"method": {"id_embeddings": True}}, ""),
    ],
)
def test_what_goes_beyond_the_paper_is_none_of_its_methods(tmp_path, beyond, name):
    run = make_run(tmp_path / "run", settings=beyond)
    (entry,) = result_groups([run])[0].entries
    assert method_of(entry) == name


def with_data(group, **data):
    return replace(group, data=group.data | data)


@pytest.mark.skipif(not TEXT.is_file(), reason="the paper's text is not here")
def test_the_committed_figures_are_what_the_script_reads_from_the_paper() -> None:
    spec = importlib.util.spec_from_file_location("paper_figures", ROOT / "benchmarks" / "paper_figures.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    committed = json.loads((ROOT / "src" / "ssna" / "report" / "paper.json").read_text(encoding="utf-8"))
    assert script.parse(TEXT.read_text(encoding="utf-8")) == committed


def test_the_figures_and_the_templates_belong_to_the_package() -> None:
    packaging = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert {"**/*.json", "**/*.html", "**/*.css"} <= set(packaging["package-data"]["ssna"])


def test_cells_read_by_hand_are_as_printed() -> None:
    paper = load()
    assert paper.data["Tools"] == {"users": 8959, "items": 5871, "interactions": 145681}
    assert paper.accuracy["distilbert"]["Sci"]["lora"]["R@10"] == 0.1070
    assert paper.accuracy["distilbert"]["Ins"]["tmoe"]["N@10"] == 0.0610  # underlined in print
    assert paper.accuracy["distilroberta"]["Pantry"]["adalora"]["N@50"] == 0.0458
    assert paper.accuracy["bert-medium"]["Toys"]["full"]["R@50"] == 0.1661
    assert paper.accuracy["bert-medium"]["Ins"]["ssna"]["N@50"] == 0.0769
    assert paper.improvement["distilbert"]["lora"]["R@10"] == {"percent": 1.8, "significant": False}
    assert paper.improvement["bert-medium"]["adalora"]["N@10"] == {"percent": 18.0, "significant": True}
    assert paper.runtime["distilbert"]["Sci"] == {"lora": 228.1, "adalora": 231.1, "ssna": 16.3}
    assert paper.memory["distilroberta"]["Ins"]["ssna"] == 1.0
    assert paper.integration["Tools"]["weighted"]["R@50"] == 0.1241
    assert paper.best_settings["distilbert"]["Ins"]["full"] == {"n_t": 4}
    assert paper.best_settings["distilroberta"]["Tools"]["tmlp"] == {"b": 128, "n_l": 3}
    assert paper.best_settings["distilroberta"]["Sci"]["ssna"] == {"b": 64, "a": 3}


def test_every_model_data_set_method_and_metric_has_its_figure() -> None:
    paper = load()
    methods = {"lora", "adalora", "full", "tmlp", "tmoe", "ssna"}
    assert set(paper.data) == {"Sci", "Pantry", "Tools", "Toys", "Ins"}
    for model in ("distilbert", "distilroberta", "bert-medium"):
        for data in paper.data:
            assert set(paper.accuracy[model][data]) == methods
            assert all(set(of) == set(METRICS) for of in paper.accuracy[model][data].values())
            assert set(paper.best_settings[model][data]) == methods
            assert set(paper.runtime[model][data]) == set(paper.memory[model][data]) == {"lora", "adalora", "ssna"}


def test_the_gru_of_table_8_is_the_ssna_of_table_2() -> None:
    paper = load()
    assert {data: of["gru"] for data, of in paper.integration.items()} == {
        data: of["ssna"] for data, of in paper.accuracy["distilbert"].items()
    }


def test_table_5_is_the_mean_improvement_in_tables_2_to_4() -> None:
    paper = load()
    for model, methods in paper.improvement.items():
        for method, metrics in methods.items():
            for metric, figure in metrics.items():
                gains = [of["ssna"][metric] / of[method][metric] - 1 for of in paper.accuracy[model].values()]
                assert 100 * sum(gains) / len(gains) == pytest.approx(figure["percent"], abs=0.0501)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"name": "anything"}, ("Sci", "exact")),
        ({"name": "scientific", "interactions": 59384}, ("Sci", "near")),
        ({"name": "toys14", "users": 19412}, ("Toys", "near")),
        ({"name": "AmazonPantry", "users": 1}, ("Pantry", "near")),
        ({"name": "begins", "users": 1}, None),
        ({"name": None, "users": 1}, None),
    ],
)
def test_a_data_set_is_known_by_its_counts_or_else_by_its_name(group, data, match) -> None:
    found = data_set_of(with_data(group, **data))
    assert (found and (found.name, found.kind)) == match


@pytest.mark.parametrize(
    ("model", "name", "same"),
    [
        ("distilbert-base-uncased", "distilbert", True),
        ("distilroberta-base", "distilroberta", True),
        ("bert_uncased_L-8_H-512_A-8", "bert-medium", True),
        ("all-distilroberta-v1", "distilroberta", True),
        ("all-MiniLM-L6-v2", "distilbert", False),
        (None, "distilbert", False),
    ],
)
def test_models_that_the_paper_does_not_have_are_shown_with_distilbert(group, model, name, same) -> None:
    match = model_of(replace(group, model=model))
    assert (match.name, match.same) == (name, same)


def test_their_accuracy_follows_ours_and_stays_empty_for_methods_that_they_do_not_have(group) -> None:
    (ours, *others), (theirs, *same) = (
        TABLES["accuracy"]([group]),
        with_paper_figures("accuracy", TABLES["accuracy"]([group]), [group]),
    )
    assert theirs.head == (*ours.head, *(f"paper\n{metric}" for metric in METRICS))
    assert [row[: len(ours.head)] for row in theirs.rows] == list(ours.rows)
    cells = {row[0]: [cell and cell.value for cell in row[len(ours.head) :]] for row in theirs.rows}
    assert cells["ssna"] == [0.1059, 0.0692, 0.1986, 0.0892]
    assert cells["lora"] == [0.1070, 0.0670, 0.1931, 0.0856]
    assert cells["ids"] == cells["with ids"] == [None] * 4
    assert same == others
    assert len(others) == 2


def test_their_figures_are_compared_with_none(group) -> None:
    for name in ("accuracy", "runtime", "memory"):
        ours = TABLES[name]([group])[0]
        theirs = with_paper_figures(name, [ours] * 1, [group])[0]
        more = [cell for row in theirs.rows for cell in row[len(ours.head) :] if isinstance(cell, Figure)]
        assert more
        assert all(figure.comparison_group is None and theirs.rank(figure) is None for figure in more)
        assert [theirs.rank(f) for row in theirs.rows for f in row[1:4] if isinstance(f, Figure)] == [
            ours.rank(f) for row in ours.rows for f in row[1:4] if isinstance(f, Figure)
        ]


def test_seconds_and_bytes_are_theirs_in_our_units(group) -> None:
    runtime = with_paper_figures("runtime", TABLES["runtime"]([group]), [group])[0]
    memory = with_paper_figures("memory", TABLES["memory"]([group]), [group])[0]
    assert {row[0]: row[-1] and row[-1].value for row in runtime.rows} == {
        "ssna": 16.3, "lora": 228.1, "ids": None, "with ids": None,
    }  # fmt: skip
    assert {row[0]: row[-1] and row[-1].value for row in memory.rows}["lora"] == pytest.approx(21.0e9)
    assert memory.rows[0][-1].style == "bytes"


def test_the_note_says_whose_they_are_and_that_their_policy_is_unknown(group) -> None:
    note = "paper: Peng et al., DistilBERT, their machines; whether seen items are ranked is not stated."
    table = with_paper_figures("accuracy", TABLES["accuracy"]([group])[:1], [group])[0]
    assert table.notes[-1] == note


def test_the_note_says_what_is_not_the_same(group) -> None:
    other = replace(with_data(group, users=8441, split="time"), model="MiniLM")
    note = with_paper_figures("accuracy", TABLES["accuracy"]([other])[:1], [other])[0].notes[-1]
    assert "their Sci is another cut of that category (8,442 users, 4,385 items, 59,427 interactions)" in note
    assert "no figures for MiniLM, so DistilBERT is shown" in note
    assert "their split is the last item of every user" in note


def test_a_data_set_that_they_do_not_have_gets_a_note_and_no_columns(group) -> None:
    other = with_data(group, name="films", users=943)
    ours = TABLES["accuracy"]([other])[0]
    theirs = with_paper_figures("accuracy", [ours], [other])[0]
    assert (theirs.head, theirs.rows) == (ours.head, ours.rows)
    assert theirs.notes[-1] == "paper: no figures for films, distilbert-base-uncased."


def test_table_8_is_shown_with_the_integrations(tmp_path) -> None:
    runs = [make_run(tmp_path / how, settings={"method": {"integrate": how}}) for how in ("gru", "mean", "weighted")]
    found = result_groups(runs)
    ours = TABLES["integration"](found)[0]
    theirs = with_paper_figures("integration", [ours], found)[0]
    assert theirs.head[len(ours.head) :] == ("paper\nMEAN", "paper\nWEIGHTED", "paper\nSSNA")
    rows = [row for row in theirs.rows if row[3] == "R@10"]
    assert [[cell.value for cell in row[-3:]] for row in rows] == [[0.0990, 0.0976, 0.1059]] * 2  # both policies


def test_the_picture_of_the_paper_gives_no_figures(tmp_path) -> None:
    runs = [make_run(tmp_path / str(a), settings={"method": {"layers": a}}) for a in (1, 2)]
    tables = TABLES["layers"](result_groups(runs))
    assert with_paper_figures("layers", tables, result_groups(runs)) == tables
