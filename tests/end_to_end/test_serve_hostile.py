"""Requests just over the limits, many of each kind: what is answered, and that memory comes back."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_serve_process import Server, started

from ssna.data.dataset import IdMap
from ssna.recommender import Recommender
from ssna.scoring import PopularityScorer

pytestmark = [pytest.mark.long, pytest.mark.fork]

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import hostile  # noqa: E402

ITEMS, TEXT = 600, 2_000  # how many, and characters of each: all of them make a long answer
REQUESTS = int(os.environ.get("SSNA_HOSTILE", "320"))  # 10,000 of them take minutes
GROWTH = 100  # megabytes


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    counts = np.arange(ITEMS + 1)
    ids = tuple(f"i{row}" for row in range(1, ITEMS + 1))
    texts = ("", *(f"{item} {'x' * TEXT}" for item in ids))
    Recommender(PopularityScorer(torch.from_numpy(counts)), IdMap(ids), texts, counts).save(folder / "run")
    with started(folder / "run", folder / "state") as process:
        yield Server(process).until_ready()


@pytest.fixture(scope="module")
def found(server):
    ids = [f"i{row}" for row in range(1, ITEMS + 1)]
    hostile.attacked(server.port, server.process.pid, ids, len(hostile.ATTACKS))  # what the first ones make is kept
    before = hostile.resident(server.process.pid)
    attacks = hostile.attacked(server.port, server.process.pid, ids, REQUESTS)
    return attacks, before, hostile.resident(server.process.pid)


@pytest.mark.parametrize("attack", [attack.__name__ for attack in hostile.ATTACKS])
def test_what_is_over_a_limit_is_answered_so_and_takes_little(found, attack):
    one = found[0][attack]
    assert one["unexpected"] == 0, one["answers"]
    assert one["megabytes_at_most"] - one["megabytes_before"] < 2 * GROWTH


def test_all_of_it_leaves_little_memory_behind(found):
    _, before, after = found
    assert after - before < GROWTH


def test_the_server_answers_as_before(server, found):
    assert server.ask("GET", "/ready")[0] == 200
    status, answer = server.ask("POST", "/recommend", {"history": ["i1"], "k": 3})
    assert (status, [each["item"] for each in answer["items"]]) == (200, ["i600", "i599", "i598"])


def test_an_honest_client_beside_hostile_ones_gets_every_answer(server, found, tmp_path):
    import subprocess

    ids = tmp_path / "ids"
    ids.write_text(json.dumps([f"i{row}" for row in range(1, ITEMS + 1)]))
    words = [sys.executable, hostile.__file__, hostile.HOSTILE, str(server.port), str(ids)]
    enemy = subprocess.Popen(words)
    try:
        answers = [server.ask("POST", "/recommend", {"history": ["i1"], "k": 3})[0] for _ in range(300)]
        assert enemy.poll() is None
    finally:
        enemy.kill()
        enemy.wait()
    assert answers == [200] * 300
