"""Every method answers in worker processes, however they are started, after its parent has loaded or answered."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import answer_of
from method_worlds import READERS, SMALL

from ssna.methods import METHODS
from ssna.recommender import Recommender
from ssna.runs import train
from ssna.text import ReadOptions, encode

pytestmark = [pytest.mark.long, pytest.mark.fork]

ITEMS, HISTORIES = 400, 512  # so many scores that threads share the work
NEW = {"new": "word1 word2 word3"}


@pytest.fixture(scope="module")
def folders(
    make_data: Callable, distinct_texts: Callable, language_model: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Method -> a saved recommender."""
    rng = np.random.default_rng(0)
    data = make_data([rng.integers(1, ITEMS + 1, 8).tolist() for _ in range(200)], ITEMS, distinct_texts(ITEMS))
    folder = tmp_path_factory.mktemp("workers")
    cache, _ = encode(data.texts, language_model, folder / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    for name in METHODS:
        run = train(data, cache, method=name, settings=[*SMALL, "training.epochs=1"], quiet=True)
        run.recommender.save(folder / name)
    return {name: folder / name for name in METHODS}


def answers(recommender: Recommender, admits: bool) -> list[list[str]]:
    rng = np.random.default_rng(1)
    histories = [[f"i{row}" for row in rows] for rows in rng.integers(1, ITEMS + 1, (HISTORIES, 8)).tolist()]
    recommender = recommender.add_items(NEW) if admits else recommender
    return [[each.item for each in found.items] for found in recommender.recommend(histories)]


def admits(recommender: Recommender, method: str) -> bool:
    return method in READERS and bool(recommender.scorer.layers)


def loaded(folders: Mapping[str, Path]) -> dict[str, Recommender]:
    return {method: Recommender.load(folder) for method, folder in folders.items()}


def of_all(recommenders: Mapping[str, Recommender]) -> dict[str, list[list[str]]]:
    return {method: answers(each, admits(each, method)) for method, each in recommenders.items()}


def of_all_folders(folders: Mapping[str, Path]) -> dict[str, list[list[str]]]:
    return of_all(loaded(folders))


@pytest.fixture(scope="module")
def expected(folders: Mapping[str, Path]) -> dict[str, list[list[str]]]:
    """In one thread, so that this process still has none that computes."""
    return of_all_folders(folders)


@pytest.fixture(scope="module", params=[False, True], ids=["after load", "after an answer"])
def recommenders(
    request: pytest.FixtureRequest, folders: Mapping[str, Path], expected: object
) -> Iterator[dict[str, Recommender]]:
    """Of a parent that has threads that compute."""
    torch.set_num_threads(2)
    found = loaded(folders)
    torch.ones(1 << 20).exp().sum()
    if request.param:
        of_all(found)
    yield found
    torch.set_num_threads(1)


@pytest.mark.parametrize("method", METHODS)
def test_a_forked_worker_answers_as_its_parent_does(method, recommenders, expected):
    recommender = recommenders[method]
    assert answer_of(answers, recommender, admits(recommender, method)) == expected[method]


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_a_worker_that_imports_everything_anew_answers_as_its_parent_does(start, recommenders, folders, expected):
    assert answer_of(of_all_folders, folders, method=start) == expected


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_a_recommender_may_be_sent_to_a_worker(start, recommenders, expected):
    assert answer_of(answers, recommenders["blend"], False, method=start) == answers(recommenders["blend"], False)
