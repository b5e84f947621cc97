"""How histories become batches, for histories of any lengths."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssna.core.ragged import Ragged
from ssna.nn.losses import Candidates, cosine_logits, in_batch_logq
from ssna.training.batches import OBJECTIVES, Batch, Batches, Teacher, sample_negatives, inclusion_counts, collate

lengths_of_users = st.lists(st.integers(0, 25), min_size=1, max_size=8)
max_histories = st.integers(1, 10)
formulations = st.sampled_from(sorted(OBJECTIVES))


def numbered(lengths: list[int]) -> Ragged:
    """Histories in which every event is an item of its own, numbered from 1: a packed batch tells where it is from."""
    ends = np.cumsum(lengths)
    return Ragged.from_rows([range(end - length + 1, end + 1) for end, length in zip(ends, lengths, strict=True)])


def all_in_one(
    histories: Ragged,
    formulation: str,
    max_history: int,
    ahead: int = 1,
    draws: int = 0,
    teacher: Teacher | None = None,
) -> Batch:
    segments = OBJECTIVES[formulation](histories, max_history)
    items = len(histories.values)
    chosen, rng = np.arange(len(segments.user)), np.random.default_rng(0)
    return collate(histories, segments, chosen, items, draws, rng, future_targets=ahead, teacher=teacher)


def samples(batch: Batch) -> list[tuple[list[int], int]]:
    """Each target with the inputs that its intent has read, oldest first."""
    sequence = torch.bucketize(batch.predict, batch.offsets, right=True) - 1
    starts = batch.offsets[sequence]
    return [
        (batch.inputs[start : row + 1].tolist(), target)
        for start, row, target in zip(starts.tolist(), batch.predict.tolist(), batch.targets.tolist(), strict=True)
    ]


def some_batches(lengths: list[int], formulation: str, max_history: int, batch_size: int, seed: int, samples: int = 2):
    histories = numbered(lengths)
    return Batches(
        histories,
        len(histories.values) + 5,
        objective=formulation,
        max_history=max_history,
        batch_size=batch_size,
        num_negatives=samples,
        rng=np.random.default_rng(seed),
    )


@given(lengths_of_users, max_histories, formulations)
def test_every_event_but_the_first_of_a_history_is_a_target_exactly_once(lengths, max_history, formulation):
    histories = numbered(lengths)
    expected = [item for row in histories for item in row[1:].tolist()]
    assert sorted(all_in_one(histories, formulation, max_history).targets.tolist()) == expected


@given(lengths_of_users, max_histories, formulations)
def test_a_target_is_predicted_from_the_events_directly_before_it(lengths, max_history, formulation):
    for inputs, target in samples(all_in_one(numbered(lengths), formulation, max_history)):
        assert inputs == list(range(target - len(inputs), target))


@given(lengths_of_users, max_histories, formulations, st.integers(1, 6))
def test_a_row_predicts_the_next_events_of_its_user_each_for_half_the_weight(lengths, max_history, formulation, ahead):
    histories = numbered(lengths)
    batch = all_in_one(histories, formulation, max_history, ahead)
    weights = [1.0] * len(batch.targets) if batch.weights is None else batch.weights.tolist()
    end = histories.offsets[1:][histories.row_of_value]  # the number of the last event of each event's user
    rows = all_in_one(histories, formulation, max_history)
    expected = [
        (item, item + k, 0.5 ** (k - 1))
        for item in rows.inputs[rows.predict].tolist()
        for k in range(1, ahead + 1)
        if item + k <= end[item - 1]
    ]
    found = zip(batch.inputs[batch.predict].tolist(), batch.targets.tolist(), weights, strict=True)
    assert sorted(found) == sorted(expected)


@given(lengths_of_users, max_histories, formulations)
def test_inputs_are_of_the_targets_own_user(lengths, max_history, formulation):
    histories = numbered(lengths)
    for inputs, target in samples(all_in_one(histories, formulation, max_history)):
        assert len(set(histories.row_of_value[np.array([*inputs, target]) - 1])) == 1


@given(lengths_of_users, max_histories, formulations)
def test_a_batch_knows_whose_each_target_is(lengths, max_history, formulation):
    histories = numbered(lengths)
    batch = all_in_one(histories, formulation, max_history)
    whose = histories.row_of_value[batch.targets.numpy() - 1]
    assert batch.users.tolist() == np.unique(whose, return_inverse=True)[1].tolist()


@given(lengths_of_users, max_histories, formulations)
def test_no_sequence_has_more_than_max_history_inputs(lengths, max_history, formulation):
    batch = all_in_one(numbered(lengths), formulation, max_history)
    assert (batch.offsets.diff() <= max_history).all()


@given(lengths_of_users, max_histories)
def test_prefixes_read_all_that_max_history_allows(lengths, max_history):
    histories = numbered(lengths)
    for inputs, target in samples(all_in_one(histories, "prefixes", max_history)):
        assert len(inputs) == min(int(histories.position_of_value[target - 1]), max_history)


@given(lengths_of_users, max_histories)
def test_causal_reads_at_least_half_of_max_history_where_the_history_has_it(lengths, max_history):
    histories = numbered(lengths)
    for inputs, target in samples(all_in_one(histories, "causal", max_history)):
        assert len(inputs) >= min(int(histories.position_of_value[target - 1]), max_history // 2)


@given(lengths_of_users, max_histories, formulations)
def test_positions_count_from_zero_in_every_sequence(lengths, max_history, formulation):
    batch = all_in_one(numbered(lengths), formulation, max_history)
    assert batch.positions.tolist() == [place for n in batch.offsets.diff().tolist() for place in range(n)]


@given(lengths_of_users, max_histories, formulations, st.integers(1, 30), st.integers(0, 99))
def test_an_epoch_has_every_target_once(lengths, max_history, formulation, batch_size, seed):
    batches = some_batches(lengths, formulation, max_history, batch_size, seed)
    found = [target for batch in batches for target in batch.targets.tolist()] if len(batches) else []
    assert sorted(found) == [item for row in batches.histories for item in row[1:].tolist()]


@given(lengths_of_users, max_histories, formulations, st.integers(1, 30))
def test_a_step_holds_batch_size_targets_give_or_take_one_sequence(lengths, max_history, formulation, batch_size):
    batches = some_batches(lengths, formulation, max_history, batch_size, seed=0)
    if not len(batches):
        return
    even, longest = batches.targets / len(batches), int(batches.segments.fresh.max())
    assert all(abs(len(batch.targets) - even) <= longest for batch in batches)


@given(st.integers(1, 12), st.integers(1, 12))
def test_a_step_holds_batch_size_targets_exactly_where_they_divide(users, steps):
    batches = some_batches([4] * users * steps, "causal", 9, batch_size=3 * users, seed=0)
    assert [len(batch.targets) for batch in batches] == [3 * users] * steps


@given(lengths_of_users, max_histories, formulations, st.integers(1, 30))
def test_the_length_is_the_number_of_steps_of_an_epoch(lengths, max_history, formulation, batch_size):
    batches = some_batches(lengths, formulation, max_history, batch_size, seed=0)
    assert len(batches) == (len(list(batches)) if len(batches) else 0)


@given(lengths_of_users, max_histories, formulations)
def test_inputs_and_targets_are_found_again_through_the_distinct_items(lengths, max_history, formulation):
    histories = Ragged(numbered(lengths).values % 4 + 1, numbered(lengths).offsets)
    batch = all_in_one(histories, formulation, max_history)
    assert torch.equal(batch.unique[batch.input_index], batch.inputs)
    assert torch.equal(batch.unique[batch.target_index], batch.targets)


@given(lengths_of_users, max_histories, formulations)
def test_every_distinct_item_of_a_step_stands_once_in_front_of_the_draws(lengths, max_history, formulation):
    histories = Ragged(numbered(lengths).values % 4 + 1, numbered(lengths).offsets)
    batch = all_in_one(histories, formulation, max_history)
    present = {*batch.inputs.tolist(), *batch.targets.tolist()}
    assert sorted(batch.unique[: batch.in_batch].tolist()) == sorted(present)


@given(st.sets(st.integers(1, 30)), st.integers(0, 40), st.integers(0, 99))
def test_random_draws_are_distinct_items_that_do_not_stand_in_the_batch(present, count, seed):
    drawn = sample_negatives(np.array(sorted(present), dtype=np.int64), 30, count, np.random.default_rng(seed)).tolist()
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(range(1, 31)) - present


@given(st.sets(st.integers(1, 30)), st.integers(0, 40))
def test_as_many_are_drawn_as_asked_for_until_the_catalogue_runs_out(present, count):
    drawn = sample_negatives(np.array(sorted(present), dtype=np.int64), 30, count, np.random.default_rng(0))
    assert len(drawn) == min(count, 30 - len(present))


def test_every_absent_item_is_drawn_equally_often():
    rng = np.random.default_rng(0)
    drawn = np.concatenate([sample_negatives(np.array([2, 5]), 7, 2, rng) for _ in range(3000)])
    np.testing.assert_allclose(np.bincount(drawn, minlength=8)[[1, 3, 4, 6, 7]] / 6000, 0.2, atol=0.02)


def tensors(batch: Batch) -> list[list[int]]:
    return [value.tolist() for value in vars(batch).values() if isinstance(value, torch.Tensor)]


@given(lengths_of_users.filter(lambda lengths: max(lengths) > 1), formulations, st.integers(0, 99))
def test_equal_seeds_give_equal_batches_in_every_epoch(lengths, formulation, seed):
    first, second = (some_batches(lengths, formulation, 5, 4, seed) for _ in range(2))
    for _ in range(2):
        assert [tensors(batch) for batch in first] == [tensors(batch) for batch in second]


@pytest.mark.parametrize("formulation", OBJECTIVES)
def test_every_epoch_has_another_order(formulation):
    batches = some_batches([6] * 20, formulation, 5, 8, seed=0)
    orders = [tuple(target for batch in batches for target in batch.targets.tolist()) for _ in range(3)]
    assert len(set(orders)) == 3


@pytest.mark.parametrize("formulation", OBJECTIVES)
def test_other_seeds_give_other_orders(formulation):
    first, second = (
        [target for batch in some_batches([6] * 20, formulation, 5, 8, seed) for target in batch.targets.tolist()]
        for seed in (0, 1)
    )
    assert first != second


@given(lengths_of_users, max_histories, formulations)
def test_targets_stand_in_front_of_what_is_input_alone(lengths, max_history, formulation):
    histories = Ragged(numbered(lengths).values % 4 + 1, numbered(lengths).offsets)
    batch = all_in_one(histories, formulation, max_history)
    assert set(batch.unique[: batch.in_targets].tolist()) == set(batch.targets.tolist())


@given(lengths_of_users, max_histories, formulations, st.integers(1, 4))
def test_an_item_occurs_in_as_many_segments_as_have_it_as_a_target(lengths, max_history, formulation, ahead):
    histories = Ragged(numbered(lengths).values % 4 + 1, numbered(lengths).offsets)
    segments, rng = OBJECTIVES[formulation](histories, max_history), np.random.default_rng(0)
    expected = np.zeros((2, 5), dtype=np.int64)
    for segment in range(len(segments.user)):
        alone = collate(histories, segments, np.array([segment]), 4, 0, rng, future_targets=ahead)
        expected[0, np.unique(alone.targets)] += 1
        expected[1, alone.unique] += 1
    assert inclusion_counts(histories, segments, 4, ahead).tolist() == expected.tolist()


@given(lengths_of_users.filter(lambda lengths: max(lengths) > 1), st.integers(1, 4))
def test_a_step_of_all_segments_has_every_target_for_certain(lengths, ahead):
    batch = all_in_one(numbered(lengths), "causal", 50, ahead)
    assert batch.log_inclusion_prob.tolist() == [0.0] * batch.in_targets


def test_with_draws_an_item_is_a_target_or_else_may_be_drawn():
    histories = Ragged.from_rows([[1, 2, 3], [4, 2], [5, 1]])  # item 2 is a target of two of three segments
    segments = OBJECTIVES["causal"](histories, 4)
    batch = collate(histories, segments, np.array([0]), 9, 4, np.random.default_rng(0))
    assert batch.unique[: batch.in_targets].tolist() == [2, 3]
    targets, standing = {1: 1, 2: 2, 3: 1, 4: 0, 5: 0}, {1: 2, 2: 2, 3: 1, 4: 1, 5: 1}  # in how many segments
    expected = [
        1 - (2 / 3) ** targets.get(i, 0) + (2 / 3) ** standing.get(i, 0) * 4 / 6
        for i in [2, 3, *batch.unique[batch.in_batch :].tolist()]
    ]
    assert batch.log_inclusion_prob.exp().tolist() == pytest.approx(expected)


def popular_steps(samples: int, formulation: str = "causal", max_history: int = 9, steps: int = 5) -> Iterator[Batch]:
    """Of 240 users, half with 2 events and half with 20, of items of very unequal popularity, in 300 steps."""
    rng = np.random.default_rng(3)
    histories = Ragged.from_rows([rng.choice(200, (2, 20)[user % 2], p=POPULARITY) + 1 for user in range(240)])
    batches = Batches(
        histories,
        200,
        objective=formulation,
        max_history=max_history,
        batch_size=2400 // steps,
        num_negatives=samples,
        future_targets=3,
        rng=rng,
    )
    assert len(batches) == steps
    for _ in range(300 // steps):
        yield from batches


def once_a_target() -> Tensor:
    return torch.cat([batch.targets for batch in islice(popular_steps(0), 5)]).unique()


POPULARITY = 0.98 ** np.arange(200) / (0.98 ** np.arange(200)).sum()


@pytest.mark.parametrize(
    ("samples", "formulation", "max_history", "steps"),
    [(0, "causal", 9, 5), (30, "causal", 9, 5), (0, "prefixes", 9, 5), (30, "prefixes", 9, 5), (0, "causal", 50, 50)],
)
def test_over_many_steps_an_item_counts_once_when_divided_by_its_chance(samples, formulation, max_history, steps):
    counted = np.zeros(201)
    for batch in popular_steps(samples, formulation, max_history, steps):
        contrasted = np.r_[batch.unique[: batch.in_targets], batch.unique[batch.in_batch :]]
        counted[contrasted] += np.exp(-batch.log_inclusion_prob.numpy()) / 300
    often = counted[counted > 0]
    assert len(often) > 180
    assert often.mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("samples", [0, 30])
def test_over_many_steps_logq_contrasts_a_target_with_the_whole_catalogue(samples):
    generator = torch.Generator().manual_seed(0)
    table, intent = torch.randn(201, 4, generator=generator), torch.randn(1, 4, generator=generator)
    exponents = torch.exp(cosine_logits(intent, table, 0.5))[0]
    ever = torch.arange(1, 201) if samples else once_a_target()
    others, found = [], []
    for batch in popular_steps(samples):
        row = int((batch.users == 0).nonzero()[0])
        theirs = batch.targets[batch.users == 0].unique()
        one = Candidates(
            intent,
            table[batch.unique],
            batch.target_index,
            batch.in_batch,
            batch.in_targets,
            batch.users,
            batch.log_inclusion_prob,
            own=slice(row, row + 1),
        )
        target = exponents[batch.targets[row]]
        found.append((in_batch_logq(one, 0.5).exp() - 1) * target)
        others.append(exponents[ever].sum() - exponents[theirs].sum())
    torch.testing.assert_close(torch.stack(found).mean(), torch.stack(others).mean(), rtol=0.03, atol=0)


@given(lengths_of_users, max_histories, formulations, st.integers(1, 3), st.integers(0, 30))
def test_a_teacher_is_asked_for_each_row_about_the_items_that_are_contrasted(
    lengths, max_history, formulation, ahead, draws
):
    histories = numbered(lengths)

    def teacher(events: np.ndarray, items: np.ndarray) -> np.ndarray:
        assert len(np.unique(events)) == len(events) or formulation == "prefixes"
        return (1000 * events[:, None] + items).astype(np.float32)

    batch = all_in_one(histories, formulation, max_history, ahead, draws, teacher)
    contrasted = torch.cat([batch.unique[: batch.in_targets], batch.unique[batch.in_batch :]])
    event = batch.inputs[batch.predict] - 1  # items are numbered as events are
    assert torch.equal(batch.teacher_logits[batch.teacher_row].long(), 1000 * event[:, None] + contrasted)
    assert len(batch.teacher_logits) == len(batch.predict.unique())
