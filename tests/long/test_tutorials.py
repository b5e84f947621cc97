"""The notebooks of ``docs/tutorials`` run from top to bottom, each in less than three minutes.

They do so on the whole shop in ``make soak``, and otherwise on a smaller one.
"""

import json
import time
from pathlib import Path

import pytest

import shop
from soak import FACTOR

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.ipynb"))
SECONDS = 180
SIZE, USERS, ITEMS = ({"customers": 800, "products": 300}, "799", "291") if FACTOR == 1 else ({}, "2,999", "791")


def ran(path, folder):
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def said(notebook):
    """All that its cells wrote or gave, as text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def test_there_are_three_of_them():
    assert [path.name[:2] for path in NOTEBOOKS] == ["1-", "2-", "3-"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_what_its_cells_gave(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """Where the first notebook keeps the states of all texts, and the others find them."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, encoded, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(encoded))
    shop.write(tmp_path / "shop", **SIZE)
    begun = time.monotonic()
    found = said(ran(path, tmp_path))
    assert time.monotonic() - begun < SECONDS
    wanted = {
        "1-from-a-dataframe": (f"{USERS} users, {ITEMS} items", "Recommendations for 3 histories"),
        "2-new-items": ("place of the bracket:", "'text-knn'"),
        "3-comparing-honestly": ("Accuracy on", "chosen on validation: ssna on ", f"Figures of {USERS} users"),
    }[path.stem]
    for part in wanted:
        assert part in found, f"{part!r} is not in what the cells gave:\n{found[:3000]}"
