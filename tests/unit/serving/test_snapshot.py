import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssna.data.dataset import IdMap
from ssna.recommender import Recommender
from ssna.scoring import PopularityScorer
from ssna.serving.additions import Additions
from ssna.serving.answer_schemas import Answer
from ssna.serving.answers import ranking_json
from ssna.serving.comparison import compare
from ssna.serving.refusal import RequestError
from ssna.serving.restoring import with_additions
from ssna.serving.schemas import RecommendRequest
from ssna.serving.snapshot import Snapshot

pytestmark = pytest.mark.slow

ITEMS = 30
KNOWN = [f"i{row}" for row in range(1, ITEMS + 1)]
METHODS = ["ssna", "text-knn", "item-knn"]


@pytest.fixture(scope="module")
def snapshots(run_folders) -> dict[str, Snapshot]:
    return {name: load(folder) for name, folder in run_folders.items()}


def load(folder: Path, additions: Additions | None = None) -> Snapshot:
    return with_additions(Recommender.load(folder), folder, 1, additions or Additions())


def ids(snapshot: Snapshot, request: RecommendRequest) -> list[str]:
    return snapshot.recommender.items.ids(snapshot.rank([request])[0].rows)


some_ids = st.lists(st.sampled_from([*KNOWN, "unknown", "ü", 'qu"ote']), max_size=12)
requests = st.builds(
    RecommendRequest,
    history=some_ids,
    k=st.integers(1, 40),
    exclude_seen=st.booleans(),
    allow=st.none() | some_ids,
    deny=some_ids,
)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=30)
@given(asked=st.lists(requests, min_size=1, max_size=6))
def test_any_requests_together_get_what_the_recommender_gives_to_each_alone(name, snapshots, asked):
    snapshot = snapshots[name]
    for request, ranking in zip(asked, snapshot.rank(asked), strict=True):
        expected = snapshot.recommender.recommend(
            [request.history], request.k, request.exclude_seen, request.allow, request.deny
        )[0]
        answer = Answer.model_validate_json(ranking_json(snapshot, ranking))
        assert (answer.unknown, answer.fallback) == (list(expected.unknown), expected.fallback)
        assert sorted(found["score"] for found in answer.items) == pytest.approx(
            sorted(found.score for found in expected.items), abs=1e-5
        )
        scores = {found.item: found.score for found in expected.items}
        texts = {found.item: found.text for found in expected.items}
        edge = min(scores.values(), default=0.0)  # near it, rounding decides which of two items is among the first k
        for position, found in enumerate(answer.items):
            assert found["score"] == pytest.approx(expected.items[position].score, abs=1e-5)
            assert found["score"] == pytest.approx(scores.get(found["item"], edge), abs=1e-5)
            assert found["text"] == texts.get(found["item"], found["text"])


def test_every_user_s_served_rank_is_the_evaluated_one(run_folders, snapshots, random_data, distinct_texts):
    import pyarrow.parquet as pq

    data = random_data(seed=8, users=60, items=ITEMS, texts=distinct_texts(ITEMS))
    split = data.split("test")
    for name, folder in run_folders.items():
        table = pq.read_table(folder / "ranks.parquet", filters=[("split", "=", "test")])
        for policy, exclude in (("exclude_seen", True), ("include_seen", False)):
            asked = [  # the view cuts histories, and what was seen before the cut leaves the ranking, too
                RecommendRequest(
                    history=data.items.ids(history),
                    k=ITEMS,
                    exclude_seen=exclude,
                    deny=data.items.ids(seen) if exclude else [],
                )
                for history, seen in zip(split.histories, split.seen, strict=True)
            ]
            served = snapshots[name].rank(asked)
            wanted = table[f"rank_{policy}"].to_pylist()
            assert len(wanted) == len(served) == 60
            for target, answer, rank in zip(split.targets.tolist(), served, wanted, strict=True):
                scores = dict(zip(answer.rows, answer.scores, strict=True))
                if rank > ITEMS:
                    assert target not in scores
                    continue
                above = sum(score > scores[target] + 1e-5 for score in answer.scores)
                near = sum(abs(score - scores[target]) <= 1e-5 for score in answer.scores)
                assert above < rank <= above + near


def test_a_k_of_one_request_does_not_lengthen_the_ranking_of_another(snapshots):
    answers = snapshots["ssna"].rank([RecommendRequest(history=["i1"], k=2), RecommendRequest(history=["i1"], k=9)])
    assert [len(answer.rows) for answer in answers] == [2, 9]
    assert list(answers[1].rows[:2]) == list(answers[0].rows)


def test_no_item_allowed_gives_no_item(snapshots):
    assert ids(snapshots["ssna"], RecommendRequest(history=["i1"], allow=[])) == []


def test_hidden_items_are_not_recommended_and_still_count_in_histories(run_folders, snapshots):
    hiding = load(run_folders["ssna"], Additions(hidden=frozenset({"i1", "i2", "not of this run"})))
    for asked in (RecommendRequest(history=["i1", "i9"], k=100), RecommendRequest(history=[], k=100)):
        expected = [item for item in ids(snapshots["ssna"], asked) if item not in ("i1", "i2")]
        assert ids(hiding, asked) == expected
    assert hiding.rank([RecommendRequest(history=["i1"])])[0].unknown == []
    assert ids(hiding, RecommendRequest(history=["i1"], allow=["i2", "i3"])) == ["i3"]
    assert len(hiding) == ITEMS - 2


def test_hidden_items_are_neither_found_nor_similar(run_folders):
    hiding = load(run_folders["ssna"], Additions(hidden=frozenset({"i2"})))
    assert "i2" not in hiding.search("i2", 10)[0]
    rows = hiding.similar("i4", 100).rows
    assert set(hiding.recommender.items.ids(rows)) == set(KNOWN) - {"i2", "i4"}


def test_added_items_are_recommended_with_their_texts(run_folders):
    wider = load(run_folders["ssna"], Additions({"new": "word1 word2"}))
    answer = json.loads(ranking_json(wider, wider.rank([RecommendRequest(history=["i1"], k=100)])[0]))
    assert {found["item"]: found["text"] for found in answer["items"]}["new"] == "word1 word2"
    assert (wider.added, len(wider)) == (1, ITEMS + 1)


def test_an_added_item_that_the_run_knows_by_itself_is_the_run_s_own(run_folders, snapshots):
    wider = load(run_folders["ssna"], Additions({"i3": "word1 word2"}))
    assert (wider.added, wider.text("i3")) == (0, snapshots["ssna"].text("i3"))


def test_inline_texts_count_in_the_history_and_are_not_recommended(snapshots):
    now = snapshots["text-knn"]
    wider = now.with_texts({"mine": now.text("i5")})
    request = RecommendRequest(history=["mine"], k=ITEMS)
    answer = wider.rank([request])[0]
    assert (answer.unknown, answer.fallback) == ([], False)
    assert ids(wider, request)[0] == "i5"
    assert "mine" not in ids(wider, request.model_copy(update={"exclude_seen": False}))
    assert "mine" not in now


def test_a_search_finds_every_word_in_ids_and_texts_whatever_their_case(snapshots):
    now = snapshots["ssna"]
    words = now.text("i7").split()
    found, total = now.search(f"{words[0].upper()} I7", 10)
    assert (found, total) == (["i7"], 1)
    everything, total = now.search("", 5)
    assert (everything, total) == (KNOWN[:5], ITEMS)
    assert now.search("word-that-is-nowhere", 5) == ([], 0)


def test_answers_are_json_whatever_ids_and_texts_hold():
    odd = ['"', "\\", "\n", "ü😀", "</script>"]
    recommender = Recommender(
        PopularityScorer(np_counts(len(odd))), IdMap(tuple(odd)), ("", *odd[::-1]), np.arange(len(odd) + 1)
    )
    snapshot = with_additions(recommender, Path("run"), 1, Additions())
    answer = json.loads(ranking_json(snapshot, snapshot.rank([RecommendRequest(history=['x"'], k=9)])[0]))
    assert {found["item"]: found["text"] for found in answer["items"]} == dict(zip(odd, odd[::-1], strict=True))
    assert answer["unknown"] == ['x"']


def np_counts(items: int):
    import torch

    return torch.arange(items + 1)


# comparing


def test_a_run_compared_with_itself_agrees_in_everything(snapshots):
    found = compare(snapshots["ssna"], snapshots["ssna"], [["i1", "i2"]])
    assert (found.overlap, found.histories, found.shared_items) == (1.0, 256, ITEMS)


def test_overlap_is_the_mean_share_of_the_first_ten(snapshots):
    a, b = snapshots["ssna"], snapshots["item-knn"]
    recent = [["i1"], ["i2", "i3"], ["i4"]] * 100
    shares = []
    for history in recent[:256]:
        asked = RecommendRequest(history=history, k=10)
        shares.append(len(set(ids(a, asked)) & set(ids(b, asked))) / 10)
    assert compare(a, b, recent).overlap == pytest.approx(np.mean(shares))


def test_a_run_of_other_items_cannot_take_over(snapshots):
    other = Recommender(PopularityScorer(np_counts(1)), IdMap(("z",)), ("", "text"), np.array([0, 1]))
    with pytest.raises(RequestError, match="knows no item"):
        compare(snapshots["ssna"], with_additions(other, Path("other"), 2, Additions()), [])
