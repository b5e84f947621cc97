"""What every scorer promises; a method that gives a new kind of scorer inherits these tests by its name below."""

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ragged
from ssna.nn.sasrec import RecencyMean
from ssna.runs import train
from ssna.scoring import RepeatConsumptionScorer, Scorer, VectorScorer, restore
from ssna.scoring.topk import Tiles, chunks, top

ITEMS, NEW = 20, 3
NEW_TEXTS = ("text of item 3", "another text, of item 21", "item 5")
SMALL = ["dim=8", "sequence.ffn_dim=8", "training.batch_size=64", "training.epochs=1"]
SCORERS: dict[str, list[str]] = {
    "popularity": [],
    "repeat": [],
    "item-knn": [],
    "ease": [],
    "cease": ["dim=8"],
    "cease-words": ["dim=8"],
    "text-knn": ["dim=8"],
    "text-linear": ["method.ridge=1"],
    "blend": ["dim=8"],
    "ssna": [*SMALL, "method.num_experts=2"],
    "ids": SMALL,
    "ssna ensemble": [*SMALL, "method.num_experts=2", 'ensemble.members=["item-knn", "text-knn"]'],
    "ssna ensemble with repeat consumption": [
        *SMALL,
        "method.num_experts=2",
        'ensemble.members=["cease", "text-knn"]',
        "ensemble.repeat_consumption=true",
    ],
    "ssna ensemble by frequency": [
        *SMALL,
        "method.num_experts=2",
        'ensemble.members=["cease", "text-knn"]',
        "ensemble.by_frequency=true",
        "ensemble.repeat_consumption=true",
    ],
    "ids ensemble": [*SMALL, 'ensemble.members=["item-knn", "text-knn"]'],
}
WITHOUT_TEXT = ("ids", "ids ensemble")
WITH_TEXT = [name for name in SCORERS if name not in WITHOUT_TEXT]
HISTORIES: Sequence[Sequence[int]] = [[1], [], [3, 3, 3], [5, 2, 9, 14, 1, 1, 7, 8, 2, 11, 12, 13], [20, 19], [4] * 30]


@pytest.fixture(scope="module")
def scorers(random_data: Callable, make_cache: Callable, random_states: Callable) -> dict[str, Scorer]:
    data = random_data(seed=6, items=ITEMS)
    cache = make_cache(data, random_states(seed=6, items=ITEMS))
    return {"repeat": RepeatConsumptionScorer(ITEMS + 1, 10)} | {
        name: train(data, cache, method=name.split()[0], settings=settings, quiet=True).recommender.scorer
        for name, settings in SCORERS.items()
        if name != "repeat"
    }


@pytest.fixture(params=SCORERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def scorer(name: str, scorers: dict[str, Scorer]) -> Scorer:
    return scorers[name]


def scores_of(scorer: Scorer, histories: Sequence[Sequence[int]] = HISTORIES) -> torch.Tensor:
    return scorer.score(Ragged.from_rows(histories))


def test_scores_are_a_single_precision_number_for_every_history_and_row(scorer):
    scores = scores_of(scorer)
    assert (tuple(scores.shape), scores.dtype) == ((len(HISTORIES), ITEMS + 1), torch.float32)


def test_padding_scores_minus_infinity(scorer):
    assert (scores_of(scorer)[:, 0] == -torch.inf).all()


def test_every_item_has_a_finite_score_even_after_an_empty_history(scorer):
    assert torch.isfinite(scores_of(scorer)[:, 1:]).all()


@pytest.mark.parametrize("name", [name for name in SCORERS if name != "popularity"])  # it never looks at the history
def test_an_empty_history_scores_every_item_zero(scorer):
    assert scores_of(scorer, [[]])[0, 1:].abs().max() == 0


def test_empty_histories_alone_can_be_scored(scorer):
    assert torch.isfinite(scores_of(scorer, [[], []])[:, 1:]).all()


def test_no_histories_give_no_scores(scorer):
    assert scores_of(scorer, []).shape == (0, ITEMS + 1)


def test_a_history_scores_the_same_alone_and_among_others(scorer):
    together = scores_of(scorer)
    alone = torch.cat([scores_of(scorer, [history]) for history in HISTORIES])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tile", [1, 7, ITEMS + 1])
def test_tiles_side_by_side_are_the_scores_of_the_whole_catalogue(scorer, monkeypatch, tile):
    monkeypatch.setattr("ssna.scoring.topk.TILE", tile)
    tiles = list(Tiles.of(scorer, Ragged.from_rows(HISTORIES)))
    assert [start for start, _ in tiles] == list(range(0, ITEMS + 1, tile))
    together = torch.cat([scores for _, scores in tiles], dim=1)
    torch.testing.assert_close(together, scores_of(scorer), rtol=1e-5, atol=1e-6, check_stride=False)


@pytest.mark.parametrize("tile", [2, ITEMS + 1])
def test_scores_of_single_items_are_those_that_they_have_in_their_tiles(scorer, monkeypatch, tile):
    monkeypatch.setattr("ssna.scoring.topk.TILE", tile)
    items = torch.tensor([5, 1, 20, 5, 20, 13])
    single = Tiles.of(scorer, Ragged.from_rows(HISTORIES)).at(items)
    tiles = torch.cat([scores for _, scores in Tiles.of(scorer, Ragged.from_rows(HISTORIES))], dim=1)
    assert torch.equal(single, tiles[torch.arange(len(items)), items])


def test_the_top_k_is_the_sorted_scores_of_equal_ones_the_lower_row_first_in_tiles_of_any_size(scorer, monkeypatch):
    for tile in (3, 8, ITEMS + 1):
        monkeypatch.setattr("ssna.scoring.topk.TILE", tile)
        rows, values = top(scorer, Ragged.from_rows(HISTORIES), 7)
        scores = torch.cat([tile for _, tile in Tiles.of(scorer, Ragged.from_rows(HISTORIES))], dim=1)
        expected = scores.sort(dim=1, descending=True, stable=True)
        np.testing.assert_array_equal(rows, expected.indices[:, :7].numpy())
        np.testing.assert_array_equal(values, expected.values[:, :7].numpy())


@pytest.fixture
def approximating(monkeypatch) -> None:
    """However small the catalogue, and on every processor."""
    monkeypatch.setattr("ssna.scoring.topk.SHARE", 0)
    monkeypatch.setattr("ssna.scoring.vectors.multiplies_bf16", lambda: True)


@pytest.mark.parametrize("tile", [4, 11, ITEMS + 1])
@pytest.mark.parametrize("many", [1, 8, 1000])  # none, some or all are left to the exact scores
@pytest.mark.parametrize("strand", [1, 3, 16])
@pytest.mark.usefixtures("approximating")
def test_the_top_k_from_an_approximation_is_the_top_k(scorer, monkeypatch, tile, strand, many):
    monkeypatch.setattr("ssna.scoring.topk.TILE", tile)
    histories, k = Ragged.from_rows(HISTORIES), 3
    gone = Ragged.from_rows([[2], [1, 2, 3], list(range(1, ITEMS)), [], [7], [4]])
    excluded = torch.zeros(ITEMS + 1, dtype=torch.bool).index_fill_(0, torch.tensor([6, 13]), True)
    monkeypatch.setattr("ssna.scoring.candidates.STRAND", strand)
    monkeypatch.setattr("ssna.scoring.topk.MANY", many)
    rows, values = top(scorer, histories, k, gone, excluded)
    monkeypatch.setattr("ssna.scoring.topk.SHARE", ITEMS)
    expected = top(scorer, histories, k, gone, excluded)
    np.testing.assert_allclose(values, expected[1], rtol=1e-5, atol=1e-5)
    with np.errstate(invalid="ignore"):  # minus infinity less minus infinity, where fewer are left
        clear = np.abs(np.diff(expected[1], prepend=np.inf, append=-np.inf)) > 1e-4
    clear = clear[:, :-1] & clear[:, 1:]  # neighbours nearer than that may change places
    clear[:, -1] = False  # the next one is not known
    np.testing.assert_array_equal(rows[clear], expected[0][clear])


@pytest.mark.usefixtures("approximating")
def test_no_approximate_score_is_further_from_the_exact_one_than_its_error(scorer):
    histories = Ragged.from_rows(HISTORIES)
    if (approximation := scorer.approximate(histories)) is None:
        pytest.skip("this scorer has no approximation")
    rough, right = approximation.read(slice(3, ITEMS + 1))
    exact = scorer.prepare(histories)(slice(3, ITEMS + 1))
    assert ((rough - exact).abs() <= approximation.worst + 1e-6).all()
    owner = torch.arange(len(HISTORIES)).repeat_interleave(4)
    columns = owner * 2 + torch.tensor([5, 0, 1, 5]).repeat(len(HISTORIES))
    torch.testing.assert_close(right(owner, columns), exact[owner, columns], rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("approximating")
def test_what_an_approximation_cannot_tell_apart_is_scored_exactly_and_of_equal_items_the_lower_row_comes_first():
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(64)
    vectors = torch.from_numpy(direction + 0.05 * rng.standard_normal((500, 64))).float()
    vectors[0], vectors[250:] = 0, vectors[:250].clone()
    scorer, histories = VectorScorer(vectors, RecencyMean(1, 1.0), 5), Ragged.from_rows([[n] for n in range(1, 100)])
    rows, _ = top(scorer, histories, 6)
    expected = scorer.score(histories)
    scores = expected.gather(1, torch.from_numpy(rows))
    torch.testing.assert_close(scores, expected.sort(dim=1, descending=True).values[:, :6], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(rows[:, 1::2], rows[:, ::2] + 250)


def test_scoring_twice_gives_the_same(scorer):
    assert torch.equal(scores_of(scorer), scores_of(scorer))


def test_the_caller_may_write_into_the_scores(scorer):
    before = scores_of(scorer)
    scores_of(scorer).fill_(7.0)
    assert torch.equal(scores_of(scorer), before)


def test_scores_carry_no_gradient(scorer):
    assert not scores_of(scorer).requires_grad


def test_a_restored_scorer_gives_equal_scores(scorer):
    config, tensors = scorer.state()
    assert torch.equal(scores_of(restore(scorer.kind, config, tensors)), scores_of(scorer))


def test_the_state_is_json_and_tensors(scorer):
    config, tensors = scorer.state()
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())


def test_a_restored_scorer_reads_as_many_layers(scorer):
    assert restore(scorer.kind, *scorer.state()).layers == scorer.layers


@pytest.fixture
def new_states(random_states: Callable) -> torch.Tensor:
    return torch.from_numpy(random_states(seed=9, items=NEW))


@pytest.fixture
def extended(scorer: Scorer, new_states: torch.Tensor) -> Scorer:
    return scorer.add_items(new_states, NEW_TEXTS)


@pytest.mark.parametrize("name", WITH_TEXT)
def test_items_known_before_keep_their_scores_when_others_are_added(scorer, extended):
    before, after = scores_of(scorer)[:, 1:], scores_of(extended)[:, 1 : ITEMS + 1]
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6, check_stride=False)
    for one, other in zip(before, after, strict=True):
        order, places = one.argsort(descending=True, stable=True), other.argsort(descending=True, stable=True)
        assert ((order == places) | ((one[order] - one[places]).abs() < 1e-5)).all()


@pytest.mark.parametrize("name", WITH_TEXT)
def test_every_added_item_has_a_finite_score(extended):
    scores = scores_of(extended)
    assert scores.shape[1] == ITEMS + NEW + 1
    assert torch.isfinite(scores[:, 1:]).all()


@pytest.mark.parametrize("name", WITH_TEXT)
def test_added_items_can_stand_in_a_history(extended):
    assert torch.isfinite(scores_of(extended, [[ITEMS + 1, 3, ITEMS + NEW]])[:, 1:]).all()


@pytest.mark.parametrize("name", WITH_TEXT)
def test_adding_items_leaves_the_scorer_itself_alone(scorer, extended):
    assert scores_of(scorer).shape[1] == ITEMS + 1


@pytest.mark.parametrize("name", WITH_TEXT)
def test_items_added_one_by_one_score_as_items_added_at_once(scorer, extended, new_states):
    for row in range(NEW):
        scorer = scorer.add_items(new_states[:, row : row + 1], NEW_TEXTS[row : row + 1])
    torch.testing.assert_close(scores_of(scorer), scores_of(extended), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", WITH_TEXT)
def test_a_scorer_with_added_items_survives_its_state(extended):
    assert torch.equal(scores_of(restore(extended.kind, *extended.state())), scores_of(extended))


@pytest.fixture
def reader(scorer: Scorer) -> Scorer:
    if not scorer.layers:
        pytest.skip("it reads no states")
    return scorer


@pytest.mark.parametrize("name", WITH_TEXT)
def test_an_item_whose_states_are_zero_has_no_text_and_scores_by_its_events_alone(reader, new_states):
    silent = new_states.clone()
    silent[:, 1] = 0
    scores = scores_of(reader.add_items(silent, [NEW_TEXTS[0], "", NEW_TEXTS[2]]))[:, ITEMS + 1 :]
    bias = reader.frequency.bias[0] if getattr(reader, "frequency", None) else torch.tensor(0.0)
    said = torch.tensor([1.0 if history else 0.0 for history in HISTORIES])
    torch.testing.assert_close(scores[:, 1], said * bias)
    torch.testing.assert_close(
        scores[:, [0, 2]], scores_of(reader.add_items(new_states, NEW_TEXTS))[:, [ITEMS + 1, ITEMS + 3]]
    )


@pytest.mark.parametrize("name", WITH_TEXT)
def test_states_of_another_shape_or_that_are_not_finite_are_an_error_in_words(reader, new_states):
    damaged = new_states.clone()
    damaged[0, 2, 5] = torch.nan
    for states, words in (
        (new_states[:, :, :-1], f"of {new_states.shape[2]} numbers"),
        (new_states[:0], f"of {new_states.shape[2]} numbers"),
        (new_states[0], f"of {new_states.shape[2]} numbers"),
        (damaged, "the states of new item 3 of 3 hold values that are not finite"),
        (damaged.nan_to_num(torch.inf), "not finite"),
    ):
        with pytest.raises(ArtifactError, match=words):
            reader.add_items(states, NEW_TEXTS)


@pytest.mark.parametrize("name", WITHOUT_TEXT)
def test_a_scorer_that_knows_items_by_ids_alone_admits_no_others(scorer, new_states):
    with pytest.raises(ArtifactError, match="cannot admit items by their texts"):
        scorer.add_items(new_states, NEW_TEXTS)


SELECTED = [0, *(row for row in range(1, ITEMS + 1) if row not in (1, 7, 8, 20))]


def renumbered(history: Sequence[int]) -> list[int]:
    return [SELECTED.index(row) for row in history if row in SELECTED]


def test_selected_items_keep_their_scores(scorer):
    histories = [[row for row in history if row in SELECTED] for history in HISTORIES]
    smaller = scorer.select_items(torch.tensor(SELECTED))
    expected = scores_of(scorer, histories)[:, SELECTED]
    found = scores_of(smaller, [renumbered(history) for history in histories])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_smaller_scorer_survives_its_state(scorer):
    smaller = scorer.select_items(torch.tensor(SELECTED))
    histories = [renumbered(history) for history in HISTORIES]
    assert torch.equal(scores_of(restore(smaller.kind, *smaller.state()), histories), scores_of(smaller, histories))


def test_selecting_items_leaves_the_scorer_itself_alone(scorer):
    before = scores_of(scorer)
    scorer.select_items(torch.tensor(SELECTED))
    assert torch.equal(scores_of(scorer), before)


@pytest.mark.parametrize("name", WITH_TEXT)
def test_items_can_be_added_after_others_were_removed(scorer, extended, new_states):
    wider = scorer.select_items(torch.tensor(SELECTED)).add_items(new_states, NEW_TEXTS)
    rows = [*SELECTED, *range(ITEMS + 1, ITEMS + NEW + 1)]
    expected = scores_of(extended, [[3, ITEMS + 2]])[:, rows]
    torch.testing.assert_close(
        scores_of(wider, [[SELECTED.index(3), len(SELECTED) + 1]]), expected, rtol=1e-4, atol=1e-5
    )


def test_chunks_cover_all_histories_in_their_order(monkeypatch):
    monkeypatch.setattr("ssna.scoring.topk.CHUNK", 4)
    histories = Ragged.from_rows(HISTORIES)
    found = [(start, len(part)) for start, part in chunks(histories)]
    rows = [row.tolist() for _, part in chunks(histories) for row in part]
    assert (found, rows) == ([(0, 4), (4, 2)], [list(history) for history in HISTORIES])
    assert np.array_equal(histories.values, np.concatenate([np.array(h, dtype=int) for h in HISTORIES]))
