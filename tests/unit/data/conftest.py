"""What tests of tables share."""

import pytest
from data_files import ready, square, write_csv


@pytest.fixture(scope="session")
def expected(tmp_path_factory) -> str:
    """The fingerprint of the data that ``square()`` makes."""
    return ready(write_csv(tmp_path_factory.mktemp("good") / "log.csv", square())).fingerprint
