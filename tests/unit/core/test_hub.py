"""Pushing to a model hub and loading from it; the hub is a folder, and its client is watched."""

import shutil

import huggingface_hub
import numpy as np
import pytest
import torch

from ssna.core.errors import ArtifactError
from ssna.data.dataset import IdMap
from ssna.recommender import Recommender, artifact
from ssna.recommender.model_card import CARD, model_card
from ssna.scoring import PopularityScorer


@pytest.fixture
def recommender() -> Recommender:
    return Recommender(
        PopularityScorer(torch.tensor([0, 5, 4, 3])),
        IdMap(("a", "b", "c")),
        ("", "A", "B", "C"),
        np.array([0, 1, 2, 3]),
    )


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Folders in the place of repositories; the calls of the client stand in ``calls``."""
    root, calls = tmp_path / "hub", []

    def create_repo(self, repo_id, *, private, exist_ok):
        calls.append(("create", repo_id, private, exist_ok, self.token))
        return huggingface_hub.RepoUrl(f"https://hub.example/{repo_id}", endpoint="https://hub.example")

    def upload_folder(self, *, repo_id, folder_path, commit_message, revision):
        calls.append(("upload", repo_id, revision))
        shutil.copytree(folder_path, root / repo_id)
        return type("Commit", (), {"commit_url": f"https://hub.example/{repo_id}/commit/1"})

    def snapshot_download(repo_id, *, revision, token, allow_patterns):
        calls.append(("download", repo_id, revision, token, tuple(allow_patterns)))
        return str(root / repo_id)

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return root, calls


def test_what_was_pushed_comes_back_from_the_hub(recommender, hub):
    assert recommender.push_to_hub("me/shop") == "https://hub.example/me/shop/commit/1"
    loaded = Recommender.from_pretrained("me/shop")
    assert loaded.recommend([["a"], []], k=3) == recommender.recommend([["a"], []], k=3)


def test_a_new_repository_is_private_unless_asked_otherwise(recommender, hub):
    _, calls = hub
    recommender.push_to_hub("me/one", token="secret")
    recommender.push_to_hub("me/two", private=False, revision="next")
    assert calls == [
        ("create", "me/one", True, True, "secret"),
        ("upload", "me/one", None),
        ("create", "me/two", False, True, None),
        ("upload", "me/two", "next"),
    ]


def test_only_the_files_of_the_artefact_are_fetched_at_the_revision_asked_for(recommender, hub):
    _, calls = hub
    recommender.push_to_hub("me/shop")
    Recommender.from_pretrained("me/shop", revision="v2", token="secret")
    assert calls[-1] == ("download", "me/shop", "v2", "secret", (*artifact.FILES, *artifact.MAY_HAVE))


def test_the_artefact_and_a_card_are_all_that_is_pushed(recommender, hub):
    root, _ = hub
    recommender.push_to_hub("me/shop")
    assert {path.name for path in (root / "me" / "shop").iterdir()} == {*artifact.FILES, CARD}


def test_a_folder_is_loaded_without_asking_the_hub(recommender, hub, tmp_path):
    recommender.save(tmp_path / "model")
    assert Recommender.from_pretrained(tmp_path / "model").items.external == ("a", "b", "c")
    assert hub[1] == []


@pytest.mark.parametrize("action", ["push", "load"])
@pytest.mark.parametrize("cause", [OSError("no network\nmore"), ValueError("not a name"), RuntimeError("refused")])
def test_a_hub_that_refuses_is_an_error_of_one_line(recommender, hub, monkeypatch, action, cause):
    def refuse(*_, **__):
        raise cause

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ArtifactError, match="me/shop") as error:
        recommender.push_to_hub("me/shop") if action == "push" else Recommender.from_pretrained("me/shop")
    assert "\n" not in str(error.value)
    assert "more" not in str(error.value)


def test_the_code_on_the_card_loads_the_model(recommender, tmp_path):
    recommender.save(tmp_path / "model")
    card = model_card(recommender.contents, str(tmp_path / "model"))
    names: dict = {}
    code = card.partition("```python\n")[2].partition("```")[0]
    exec(code.replace("recommender.recommend", "answer = recommender.recommend"), names)
    assert [scored.item for scored in names["answer"][0].items] == ["c"]


def test_the_card_tells_no_path_of_this_machine(recommender):
    encoding = type("Encoding", (), {"model": "/home/me/models/mine", "reads_text": True})
    card = model_card(recommender.contents._replace(encoding=encoding), "me/shop")
    assert "/home" not in card
    assert "`mine`" in card
