"""How histories become batches, for histories of any lengths."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssna.core.ragged import Ragged
from ssna.nn.batch import Batch
from ssna.nn.losses import LossInputs, cosine_logits, in_batch_logq
from ssna.training.batches import OBJECTIVES, Batches, Teacher, collate, inclusion_counts, sample_negatives

pytestmark = pytest.mark.slow

lengths_of_users = st.lists(st.integers(0, 25), min_size=1, max_size=8)
max_histories = st.integers(1, 10)
objectives = st.sampled_from(sorted(OBJECTIVES))


def numbered(lengths: list[int]) -> Ragged:
    """Histories in which every event is an item of its own, numbered from 1: a packed batch tells where it is from."""
    ends = np.cumsum(lengths)
    return Ragged.from_rows([range(end - length + 1, end + 1) for end, length in zip(ends, lengths, strict=True)])


def all_in_one(
    histories: Ragged,
    objective: str,
    max_history: int,
    future_targets: int = 1,
    num_negatives: int = 0,
    teacher: Teacher | None = None,
) -> Batch:
    segments = OBJECTIVES[objective](histories, max_history)
    items = len(histories.values)
    chosen, rng = np.arange(len(segments.user)), np.random.default_rng(0)
    return collate(
        histories, segments, chosen, items, num_negatives, rng, future_targets=future_targets, teacher=teacher
    )


def contrasted(batch: Batch) -> Tensor:
    """The items of targets, then of negatives."""
    items = batch.candidates.items
    return torch.cat([items[: batch.candidates.num_targets], items[batch.candidates.num_in_batch :]])


def samples(batch: Batch) -> list[tuple[list[int], int]]:
    """Each target with the inputs that its user embedding has read, oldest first."""
    sequence = torch.bucketize(batch.targets.input_row, batch.sequences.offsets, right=True) - 1
    starts = batch.sequences.offsets[sequence]
    return [
        (batch.sequences.items[start : row + 1].tolist(), target)
        for start, row, target in zip(
            starts.tolist(), batch.targets.input_row.tolist(), batch.targets.items.tolist(), strict=True
        )
    ]


def some_batches(lengths: list[int], objective: str, max_history: int, batch_size: int, seed: int) -> Batches:
    histories = numbered(lengths)
    return Batches(
        histories,
        len(histories.values) + 5,
        objective=objective,
        max_history=max_history,
        batch_size=batch_size,
        num_negatives=2,
        rng=np.random.default_rng(seed),
    )


@given(lengths_of_users, max_histories, objectives)
def test_every_event_but_the_first_of_a_history_is_a_target_exactly_once(lengths, max_history, objective):
    histories = numbered(lengths)
    expected = [item for row in histories for item in row[1:].tolist()]
    assert sorted(all_in_one(histories, objective, max_history).targets.items.tolist()) == expected


@given(lengths_of_users, max_histories, objectives)
def test_a_target_is_predicted_from_the_events_directly_before_it(lengths, max_history, objective):
    for inputs, target in samples(all_in_one(numbered(lengths), objective, max_history)):
        assert inputs == list(range(target - len(inputs), target))


@given(lengths_of_users, max_histories, objectives, st.integers(1, 6))
def test_an_input_predicts_its_future_targets_each_for_half_the_weight(lengths, max_history, objective, future_targets):
    histories = numbered(lengths)
    batch = all_in_one(histories, objective, max_history, future_targets)
    weights = [1.0] * len(batch.targets) if batch.targets.weights is None else batch.targets.weights.tolist()
    end = histories.offsets[1:][histories.row_of_value]  # the number of the last event of each event's user
    rows = all_in_one(histories, objective, max_history)
    expected = [
        (item, item + k, 0.5 ** (k - 1))
        for item in rows.sequences.items[rows.targets.input_row].tolist()
        for k in range(1, future_targets + 1)
        if item + k <= end[item - 1]
    ]
    found = zip(
        batch.sequences.items[batch.targets.input_row].tolist(), batch.targets.items.tolist(), weights, strict=True
    )
    assert sorted(found) == sorted(expected)


@given(lengths_of_users, max_histories, objectives)
def test_inputs_are_of_the_targets_own_user(lengths, max_history, objective):
    histories = numbered(lengths)
    for inputs, target in samples(all_in_one(histories, objective, max_history)):
        assert len(set(histories.row_of_value[np.array([*inputs, target]) - 1])) == 1


@given(lengths_of_users, max_histories, objectives)
def test_a_batch_has_the_user_of_every_target(lengths, max_history, objective):
    histories = numbered(lengths)
    batch = all_in_one(histories, objective, max_history)
    whose = histories.row_of_value[batch.targets.items.numpy() - 1]
    assert batch.targets.users.tolist() == np.unique(whose, return_inverse=True)[1].tolist()


@given(lengths_of_users, max_histories, objectives)
def test_no_sequence_has_more_than_max_history_inputs(lengths, max_history, objective):
    batch = all_in_one(numbered(lengths), objective, max_history)
    assert (batch.sequences.offsets.diff() <= max_history).all()


@given(lengths_of_users, max_histories)
def test_the_prefix_objective_reads_all_that_max_history_allows(lengths, max_history):
    histories = numbered(lengths)
    for inputs, target in samples(all_in_one(histories, "prefix", max_history)):
        assert len(inputs) == min(int(histories.position_of_value[target - 1]), max_history)


@given(lengths_of_users, max_histories)
def test_the_autoregressive_objective_reads_at_least_half_of_max_history(lengths, max_history):
    histories = numbered(lengths)
    for inputs, target in samples(all_in_one(histories, "autoregressive", max_history)):
        assert len(inputs) >= min(int(histories.position_of_value[target - 1]), max_history // 2)


@given(lengths_of_users, max_histories, objectives)
def test_positions_count_from_zero_in_every_sequence(lengths, max_history, objective):
    batch = all_in_one(numbered(lengths), objective, max_history)
    assert batch.sequences.positions.tolist() == [
        place for n in batch.sequences.offsets.diff().tolist() for place in range(n)
    ]


@given(lengths_of_users, max_histories, objectives, st.integers(1, 30), st.integers(0, 99))
def test_an_epoch_has_every_target_once(lengths, max_history, objective, batch_size, seed):
    batches = some_batches(lengths, objective, max_history, batch_size, seed)
    found = [target for batch in batches for target in batch.targets.items.tolist()] if len(batches) else []
    assert sorted(found) == [item for row in batches.histories for item in row[1:].tolist()]


@given(lengths_of_users, max_histories, objectives, st.integers(1, 30))
def test_a_step_holds_batch_size_targets_give_or_take_one_sequence(lengths, max_history, objective, batch_size):
    batches = some_batches(lengths, objective, max_history, batch_size, seed=0)
    if not len(batches):
        return
    even, longest = batches.targets / len(batches), int(batches.segments.fresh.max())
    assert all(abs(len(batch.targets) - even) <= longest for batch in batches)


@given(st.integers(1, 12), st.integers(1, 12))
def test_a_step_holds_batch_size_targets_exactly_where_they_divide(users, steps):
    batches = some_batches([4] * users * steps, "autoregressive", 9, batch_size=3 * users, seed=0)
    assert [len(batch.targets) for batch in batches] == [3 * users] * steps


@given(lengths_of_users, max_histories, objectives, st.integers(1, 30))
def test_the_length_of_batches_is_the_number_of_steps_of_an_epoch(lengths, max_history, objective, batch_size):
    batches = some_batches(lengths, objective, max_history, batch_size, seed=0)
    assert len(batches) == (len(list(batches)) if len(batches) else 0)


@given(lengths_of_users, max_histories, objectives)
def test_inputs_and_targets_are_found_again_through_the_distinct_items(lengths, max_history, objective):
    histories = Ragged(numbered(lengths).values % 4 + 1, numbered(lengths).offsets)
    batch = all_in_one(histories, objective, max_history)
    assert torch.equal(batch.candidates.items[batch.sequences.index], batch.sequences.items)
    assert torch.equal(batch.candidates.items[batch.targets.index], batch.targets.items)


@given(lengths_of_users, max_histories, objectives)
def test_every_distinct_item_of_a_step_stands_once_in_front_of_the_negatives(lengths, max_history, objective):
    histories = Ragged(numbered(lengths).values % 4 + 1, numbered(lengths).offsets)
    batch = all_in_one(histories, objective, max_history)
    present = {*batch.sequences.items.tolist(), *batch.targets.items.tolist()}
    assert sorted(batch.candidates.items[: batch.candidates.num_in_batch].tolist()) == sorted(present)


@given(st.sets(st.integers(1, 30)), st.integers(0, 40), st.integers(0, 99))
def test_negatives_are_distinct_items_that_are_not_in_the_batch(present, count, seed):
    drawn = sample_negatives(np.array(sorted(present), dtype=np.int64), 30, count, np.random.default_rng(seed)).tolist()
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(range(1, 31)) - present


@given(st.sets(st.integers(1, 30)), st.integers(0, 40))
def test_as_many_negatives_are_sampled_as_asked_for_until_the_catalogue_runs_out(present, count):
    drawn = sample_negatives(np.array(sorted(present), dtype=np.int64), 30, count, np.random.default_rng(0))
    assert len(drawn) == min(count, 30 - len(present))


def test_negatives_are_sampled_uniformly_from_absent_items():
    rng = np.random.default_rng(0)
    drawn = np.concatenate([sample_negatives(np.array([2, 5]), 7, 2, rng) for _ in range(3000)])
    np.testing.assert_allclose(np.bincount(drawn, minlength=8)[[1, 3, 4, 6, 7]] / 6000, 0.2, atol=0.02)


def tensors(batch: Batch) -> list[list[int]]:
    parts = (batch.sequences, batch.targets, batch.candidates)
    found = [value.tolist() for part in parts for value in vars(part).values() if isinstance(value, Tensor)]
    assert len(found) == 10
    return found


@given(lengths_of_users.filter(lambda lengths: max(lengths) > 1), objectives, st.integers(0, 99))
def test_equal_seeds_give_equal_batches_in_every_epoch(lengths, objective, seed):
    first, second = (some_batches(lengths, objective, 5, 4, seed) for _ in range(2))
    for _ in range(2):
        assert [tensors(batch) for batch in first] == [tensors(batch) for batch in second]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_epoch_has_another_order(objective):
    batches = some_batches([6] * 20, objective, 5, 8, seed=0)
    orders = [tuple(target for batch in batches for target in batch.targets.items.tolist()) for _ in range(3)]
    assert len(set(orders)) == 3


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_other_seeds_give_other_orders(objective):
    first, second = (
        [target for batch in some_batches([6] * 20, objective, 5, 8, seed) for target in batch.targets.items.tolist()]
        for seed in (0, 1)
    )
    assert first != second


@given(lengths_of_users, max_histories, objectives)
def test_targets_stand_in_front_of_items_that_are_inputs_alone(lengths, max_history, objective):
    histories = Ragged(numbered(lengths).values % 4 + 1, numbered(lengths).offsets)
    batch = all_in_one(histories, objective, max_history)
    assert set(batch.candidates.items[: batch.candidates.num_targets].tolist()) == set(batch.targets.items.tolist())


@given(lengths_of_users, max_histories, objectives, st.integers(1, 4))
def test_inclusion_counts_are_the_segments_that_have_an_item(lengths, max_history, objective, future_targets):
    histories = Ragged(numbered(lengths).values % 4 + 1, numbered(lengths).offsets)
    segments, rng = OBJECTIVES[objective](histories, max_history), np.random.default_rng(0)
    expected = np.zeros((2, 5), dtype=np.int64)
    for segment in range(len(segments.user)):
        alone = collate(histories, segments, np.array([segment]), 4, 0, rng, future_targets=future_targets)
        expected[0, np.unique(alone.targets.items)] += 1
        expected[1, alone.candidates.items] += 1
    assert inclusion_counts(histories, segments, 4, future_targets).tolist() == expected.tolist()


@given(lengths_of_users.filter(lambda lengths: max(lengths) > 1), st.integers(1, 4))
def test_a_step_of_all_segments_includes_every_target_with_probability_one(lengths, future_targets):
    batch = all_in_one(numbered(lengths), "autoregressive", 50, future_targets)
    assert batch.candidates.log_inclusion_prob.tolist() == [0.0] * batch.candidates.num_targets


def test_with_negatives_an_item_is_a_target_or_else_may_be_sampled():
    histories = Ragged.from_rows([[1, 2, 3], [4, 2], [5, 1]])  # item 2 is a target of two of three segments
    segments = OBJECTIVES["autoregressive"](histories, 4)
    batch = collate(histories, segments, np.array([0]), 9, 4, np.random.default_rng(0))
    assert batch.candidates.items[: batch.candidates.num_targets].tolist() == [2, 3]
    targets, standing = {1: 1, 2: 2, 3: 1, 4: 0, 5: 0}, {1: 2, 2: 2, 3: 1, 4: 1, 5: 1}  # in how many segments
    expected = [
        1 - (2 / 3) ** targets.get(i, 0) + (2 / 3) ** standing.get(i, 0) * 4 / 6
        for i in [2, 3, *batch.candidates.items[batch.candidates.num_in_batch :].tolist()]
    ]
    assert batch.candidates.log_inclusion_prob.exp().tolist() == pytest.approx(expected)


def popular_steps(
    num_negatives: int, objective: str = "autoregressive", max_history: int = 9, steps: int = 5
) -> Iterator[Batch]:
    """Of 240 users, half with 2 events and half with 20, of items of very unequal popularity, in 300 steps."""
    rng = np.random.default_rng(3)
    histories = Ragged.from_rows([rng.choice(200, (2, 20)[user % 2], p=POPULARITY) + 1 for user in range(240)])
    batches = Batches(
        histories,
        200,
        objective=objective,
        max_history=max_history,
        batch_size=2400 // steps,
        num_negatives=num_negatives,
        future_targets=3,
        rng=rng,
    )
    assert len(batches) == steps
    for _ in range(300 // steps):
        yield from batches


def once_a_target() -> Tensor:
    return torch.cat([batch.targets.items for batch in islice(popular_steps(0), 5)]).unique()


POPULARITY = 0.98 ** np.arange(200) / (0.98 ** np.arange(200)).sum()


@pytest.mark.parametrize(
    ("num_negatives", "objective", "max_history", "steps"),
    [
        (0, "autoregressive", 9, 5),
        (30, "autoregressive", 9, 5),
        (0, "prefix", 9, 5),
        (30, "prefix", 9, 5),
        (0, "autoregressive", 50, 50),
    ],
)
def test_over_many_steps_an_item_counts_once_when_divided_by_its_inclusion_probability(
    num_negatives, objective, max_history, steps
):
    counted = np.zeros(201)
    for batch in popular_steps(num_negatives, objective, max_history, steps):
        counted[contrasted(batch)] += np.exp(-batch.candidates.log_inclusion_prob.numpy()) / 300
    often = counted[counted > 0]
    assert len(often) > 180
    assert often.mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("num_negatives", [0, 30])
def test_over_many_steps_logq_contrasts_a_target_with_the_whole_catalogue(num_negatives):
    generator = torch.Generator().manual_seed(0)
    table, user = torch.randn(201, 4, generator=generator), torch.randn(1, 4, generator=generator)
    exponents = torch.exp(cosine_logits(user, table, 0.5))[0]
    ever = torch.arange(1, 201) if num_negatives else once_a_target()
    others, found = [], []
    for batch in popular_steps(num_negatives):
        row = int((batch.targets.users == 0).nonzero()[0])
        theirs = batch.targets.items[batch.targets.users == 0].unique()
        one = LossInputs(
            user,
            table[batch.candidates.items],
            replace(batch.targets, own=slice(row, row + 1)),
            batch.candidates,
        )
        target = exponents[batch.targets.items[row]]
        found.append((in_batch_logq(one, 0.5).exp() - 1) * target)
        others.append(exponents[ever].sum() - exponents[theirs].sum())
    torch.testing.assert_close(torch.stack(found).mean(), torch.stack(others).mean(), rtol=0.03, atol=0)


@given(lengths_of_users, max_histories, objectives, st.integers(1, 3), st.integers(0, 30))
def test_a_teacher_gives_logits_of_targets_and_negatives_after_every_input(
    lengths, max_history, objective, future_targets, num_negatives
):
    histories = numbered(lengths)

    def teacher(events: np.ndarray, items: np.ndarray) -> np.ndarray:
        assert len(np.unique(events)) == len(events) or objective == "prefix"
        return (1000 * events[:, None] + items).astype(np.float32)

    batch = all_in_one(histories, objective, max_history, future_targets, num_negatives, teacher)
    event = batch.sequences.items[batch.targets.input_row] - 1  # items are numbered as events are
    assert torch.equal(batch.teacher.logits[batch.teacher.row].long(), 1000 * event[:, None] + contrasted(batch))
    assert len(batch.teacher.logits) == len(batch.targets.input_row.unique())
