"""``--model``: the service reads its language model from elsewhere."""

import asyncio
import shutil

import pytest
from clients import KEY, PUT, error, loaded
from starlette.testclient import TestClient

from ssna.core.errors import EncoderError, SsnaError
from ssna.serving.app import create_app
from ssna.serving.changes import load_run
from ssna.serving.keys import Keys
from ssna.serving.service import Service

pytestmark = pytest.mark.slow


def test_the_serving_run_and_a_reloaded_one_use_the_model_that_was_named(runs, language_model, tmp_path):
    shutil.copytree(language_model, tmp_path / "copy")
    service = loaded(runs / "ssna", tmp_path / "state", compare_with=[runs / "text-knn"], model=str(tmp_path / "copy"))
    with TestClient(create_app(service, Keys("secret"))) as client:
        for version in (1, 2):
            assert service.snapshot.version == version
            assert service.snapshot.recommender.encoding.model == str(tmp_path / "copy")
            assert client.put("/items", json=PUT, headers=KEY).status_code == 200
            assert client.post("/reload", json={"run": "ssna"}, headers=KEY).status_code == 200
        assert service.inference.named("text-knn").recommender.encoding.model == str(tmp_path / "copy")
        assert error(client.post("/reload", json={"run": "item-knn"}, headers=KEY), 409)[0] == "not_possible"


def test_a_run_that_was_trained_with_another_model_keeps_its_own(runs, language_model, tmp_path):
    from text_models import save_tiny_model

    other = save_tiny_model(tmp_path / "other", seed=1)
    assert load_run(runs / "text-knn", str(other)).encoding.model == language_model
    assert load_run(runs / "item-knn", str(other)).encoding is None


def test_another_model_is_refused_at_the_start(runs, tmp_path):
    from text_models import save_tiny_model

    other = save_tiny_model(tmp_path / "other", seed=1)
    service = Service(runs / "ssna", tmp_path / "state", model=str(other))
    with pytest.raises(EncoderError, match="other is not "):
        service.load()
    with pytest.raises(SsnaError, match="other is not ") as raised:
        asyncio.run(service.start())
    assert not isinstance(raised.value, EncoderError)  # which the server would only log: nothing would ever serve
