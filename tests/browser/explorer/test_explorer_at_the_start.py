"""A page that is opened as soon as the server listens: it waits for the run."""

from pathlib import Path

import pytest
from explorer_page import recommended, served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(run_folders: dict[str, Path]):
    with served(run_folders["ssna"], run_folders["item-knn"], loaded=False) as address:
        yield address


def test_the_page_waits_for_a_run_that_is_being_loaded(visit):
    page = visit("#h=i7&h=i3", excused="503")
    assert len(recommended(page, "ssna")) > 0
