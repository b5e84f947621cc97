"""A tiny language model, and where a cache is to lie."""

import pytest
from text_models import save_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("one") / "model"))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "cache"
