"""Every item as if it were new: as if training had never met it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ssna.core.ragged import Ragged
from ssna.methods.ease import CeaseSettings, CeaseWordsSettings, Regression
from ssna.methods.training_free import ItemKnnSettings, TextKnnSettings, fit_item_knn, fit_text_knn
from ssna.runs import train
from ssna.scoring import covariances

LINEAR = {"ridge": 20, "text": 5, "top_k": 50, "decay": 0.7}
DIM = 6
HISTORIES = [[1, 2, 3], [7], [9, 4], [12, 15, 2, 8]]


@pytest.fixture(scope="module")
def world(random_data, make_cache):
    data = random_data(seed=3, texts=[f"{'red' if row % 3 else 'blue'} {row % 4} of {row}" for row in range(20)])
    states = np.random.default_rng(0).normal(size=(2, len(data.items), 9)).astype(np.float32)
    cache = make_cache(data, states)
    return data, cache, torch.from_numpy(cache.top(2))


@pytest.mark.parametrize("settings", [CeaseSettings(**LINEAR), CeaseWordsSettings(**LINEAR, words=8, text_events=3)])
def test_cease_scores_an_item_as_a_regression_that_never_met_it(world, settings):
    data, cache, h = world
    regression = Regression.of(settings, data, cache, DIM)
    scorer = Regression.of(settings, data, cache, DIM).scorer(admits=True)
    of_texts = scorer.text_weights
    k = covariances(of_texts.texts, of_texts.texts, of_texts.text, of_texts.words).double()
    f = of_texts.factors.double()
    events = regression.gram.double() - f[:, None] * k * f
    found = scorer.as_new(h, data.texts)(Ragged.from_rows(HISTORIES))(slice(0, scorer.num_rows))
    place = {int(item): number for number, item in enumerate(regression.chosen)}
    for row, history in enumerate(HISTORIES):
        for item in set(place) - set(history):
            unmet = events.clone()
            unmet[place[item]] = unmet[:, place[item]] = 0
            full = f.clone()
            full[place[item]] = 1  # its text counts as that of an item without events
            p = torch.linalg.inv(unmet + full[:, None] * k * full + settings.ridge * torch.eye(len(k)))
            weights = (-p / p.diagonal()).fill_diagonal_(0)
            counts = [0.7**back for back in range(len(history) - 1, -1, -1)]
            expected = sum(
                count * float(weights[place[other], place[item]])
                for other, count in zip(history, counts, strict=True)
                if other in place
            )
            assert found[row, item].item() == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_text_knn_scores_an_item_as_new_as_it_does_anyway(world):
    data, cache, h = world
    scorer = fit_text_knn(TextKnnSettings(), data, cache, DIM)
    histories = Ragged.from_rows(HISTORIES)
    found = scorer.as_new(h)(histories)(torch.tensor([3, 1, 20]))
    torch.testing.assert_close(found, scorer.prepare(histories)(torch.tensor([3, 1, 20])))


def test_a_new_item_has_no_neighbours(world):
    data, cache, h = world
    scorer = fit_item_knn(ItemKnnSettings(), data, cache, DIM)
    assert (scorer.as_new(h)(Ragged.from_rows(HISTORIES))(slice(0, 21)) == 0).all()


def test_a_model_scores_an_item_as_new_by_the_vector_of_its_text_alone(world):
    data, cache, h = world
    small = ["dim=8", "sequence.ffn_dim=8", "training.epochs=2", "method.num_experts=2", "method.layers=2"]
    settings = [*small, "method.id_embeddings=true", "training.learning_rate=0.02"]
    scorer = train(data, cache, method="ssna", settings=settings, quiet=True).recommender.scorer
    histories = Ragged.from_rows(HISTORIES)
    with torch.no_grad():
        texts = F.normalize(scorer.text_projection(h).float(), dim=-1)
        users = F.normalize(scorer.user_embeddings(histories), dim=-1)
    found = scorer.as_new(h)(histories)(slice(1, 21))
    torch.testing.assert_close(found, (users @ texts.T)[:, 1:])
    assert (found - scorer.score(histories)[:, 1:]).abs().max() > 0.01
