"""Figures that speak for a choice are said, with the choice; others are not."""

import numpy as np
import pytest

from ssna.evaluation import Evaluation
from ssna.runs import train
from ssna.runs.hints import hints

ITEMS, USERS = 100, 200


def evaluation(hits_without, hits_included):
    def ranks(hits):
        return np.where(np.arange(USERS) < hits, 1, ITEMS + 1)

    lists = {policy: np.ones((USERS, 10), dtype=np.int32) for policy in ("exclude_seen", "include_seen")}
    found = {"exclude_seen": ranks(hits_without), "include_seen": ranks(hits_included)}
    return Evaluation(np.ones(USERS, dtype=np.int64), found, lists, ITEMS)


def said(test=None, ensemble=None):
    return list(hints(test, ensemble, "ssna"))


def test_users_that_take_items_again_get_lists_with_seen_items_by_the_measured_gain():
    (hint,) = said(evaluation(50, 63))
    assert hint.startswith(
        "your users take items again: +26% recall with seen items included (R@10 0.3150, not 0.2500)"
    )
    assert "exclude_seen=False" in hint
    assert "--include-seen" in hint
    assert "recall from nothing" in said(evaluation(0, 20))[0]


@pytest.mark.parametrize(("without", "included"), [(50, 50), (50, 40), (50, 52), (20, 22), (0, 0)])
def test_a_gain_that_is_none_or_small_or_chance_is_not_said(without, included):
    assert said(evaluation(without, included)) == []


def test_a_model_without_weight_in_its_ensemble_is_named_with_those_that_have_some():
    (hint,) = said(ensemble={"ssna": 0.0, "cease": 1.0, "item-knn": 0.0})
    assert hint == "validation gives ssna no weight beside cease: these do as well without it, and need no epochs"
    assert said(ensemble={"ssna": 0.2, "cease": 0.8}) == []
    assert said(ensemble={"cease": 1.0}) == []
    assert said() == []


def test_a_run_says_its_hints_unless_quiet_and_has_them_later(make_data, capsys):
    """Everybody takes two items in turn."""
    data = make_data([[1 + user % 10, 11 + user % 10] * 4 for user in range(200)])
    run = train(data, method="item-knn")
    assert capsys.readouterr().err.count("hint: your users take items again: recall from nothing") == 1
    assert len(run.hints) == 1
    train(data, method="item-knn", quiet=True)
    assert "hint" not in capsys.readouterr().err
