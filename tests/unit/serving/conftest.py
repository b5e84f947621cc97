import shutil
from pathlib import Path

import pytest
from clients import served


@pytest.fixture
def runs(run_folders, tmp_path) -> Path:
    """A folder of runs that a test may change."""
    for name, folder in run_folders.items():
        shutil.copytree(folder, tmp_path / "runs" / name)
    return tmp_path / "runs"


@pytest.fixture
def client(runs, tmp_path):
    with served(runs / "ssna", tmp_path / "state") as client:
        yield client


@pytest.fixture(scope="module")
def unchanged(run_folders, tmp_path_factory):
    """A client for tests that change nothing."""
    with served(run_folders["ssna"], tmp_path_factory.mktemp("state")) as client:
        yield client
