"""The notebooks of ``docs/tutorials`` run from top to bottom, each in less than three minutes."""

import json
import time
from pathlib import Path

import pytest

import shop

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.ipynb"))
SECONDS = 180


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


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shop.write(tmp_path / "shop")
    begun = time.monotonic()
    found = said(ran(path, tmp_path))
    assert time.monotonic() - begun < SECONDS
    wanted = {
        "1-from-a-dataframe": ("2,999 users, 791 items", "Recommendations for 3 histories"),
        "2-new-items": ("place of the bracket:", "'text-knn'"),
        "3-comparing-honestly": ("Accuracy on", "chosen on validation: ssna on ", "Figures of 2,999 users"),
    }[path.stem]
    for part in wanted:
        assert part in found, f"{part!r} is not in what the cells gave:\n{found[:3000]}"
