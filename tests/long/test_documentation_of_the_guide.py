"""Commands and snippets of the guide are run as they are written; in a file of its own, for a process of its own."""

import pytest
from documented import GUIDE, ROOT, run_all


@pytest.mark.long
@pytest.mark.parametrize("path", GUIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_documented_commands_run_as_they_are_written(path, prepared, tmp_path):
    run_all(path, prepared, tmp_path)


def test_there_are_pages_of_the_guide():
    assert GUIDE
