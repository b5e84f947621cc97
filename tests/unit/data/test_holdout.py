"""Items held out of training: nothing of them may be left, and the questions must be what users really did."""

import numpy as np
import pytest

from ssna.core.errors import DataError
from ssna.data import load, save
from ssna.data.dataset import Dataset, HeldOut, Histories, IdMap
from ssna.data.holdout import holdout_items


def dataset(rows: list[list[int]], items: int) -> Dataset:
    names = tuple(f"i{number}" for number in range(1, items + 1))
    histories = Histories(np.concatenate(rows).astype(np.int32), None, np.cumsum([0, *map(len, rows)]).astype(np.int64))
    users = IdMap(tuple(f"u{number}" for number in range(len(rows))))
    return Dataset(users, IdMap(names), ("", *(f"text of {name}" for name in names)), histories, 50)


@pytest.fixture
def data() -> Dataset:
    rng = np.random.default_rng(1)
    return dataset([rng.integers(1, 21, size=12).tolist() for _ in range(30)], items=20)


def test_no_event_and_no_row_of_a_held_out_item_is_left(data: Dataset) -> None:
    rest, held_out = holdout_items(data, 0.2, np.random.default_rng(0))
    assert len(held_out.texts) == 4
    assert not set(held_out.texts) & set(rest.items.external)
    assert len(rest.histories.items) == sum(f"i{item}" not in held_out.texts for item in data.histories.items)


def test_every_event_that_stays_keeps_its_item_and_its_place(data: Dataset) -> None:
    rest, held_out = holdout_items(data, 0.2, np.random.default_rng(0))
    for user, items in enumerate(rest.histories.ragged):
        original = data.items.ids(data.histories.ragged[user].tolist())
        assert rest.items.ids(items.tolist()) == [item for item in original if item not in held_out.texts]
    assert all(
        rest.texts[row] == f"text of {name}" for name, row in zip(rest.items.external, range(1, 99), strict=False)
    )


def test_a_question_is_what_a_user_did_before_the_last_held_out_item(data: Dataset) -> None:
    _, held_out = holdout_items(data, 0.2, np.random.default_rng(0))
    expected = {}
    for items in data.histories.ragged:
        names = data.items.ids(items.tolist())
        places = [place for place, name in enumerate(names) if name in held_out.texts]
        known = [name for name in names[: places[-1]] if name not in held_out.texts] if places else []
        if known:
            expected[tuple(known)] = names[places[-1]]
    assert dict(zip(held_out.histories, held_out.targets, strict=True)) == expected


def test_a_user_with_too_few_events_left_still_asks_but_does_not_train() -> None:
    data = dataset([[1, 2, 3, 4], *[[1, 2, 5, 6, 7, 8, 9, 10]] * 3], items=10)
    for seed in range(1000):
        rest, held_out = holdout_items(data, 0.2, np.random.default_rng(seed))
        if set(held_out.texts) == {"i3", "i4"}:
            break
    assert set(held_out.texts) == {"i3", "i4"}
    assert "u0" not in rest.users
    assert held_out.histories == (("i1", "i2"),)
    assert held_out.targets == ("i4",)


def test_questions_survive_the_disk_with_the_data(data: Dataset, tmp_path) -> None:
    rest, held_out = holdout_items(data, 0.2, np.random.default_rng(0))
    save(rest, tmp_path / "data")
    loaded = load(tmp_path / "data")
    assert loaded.fingerprint == rest.fingerprint
    assert (loaded.held_out.texts, loaded.held_out.histories, loaded.held_out.targets) == (
        held_out.texts,
        held_out.histories,
        held_out.targets,
    )
    assert loaded.manifest["held_out_of"] == {"fingerprint": data.fingerprint, "items": 20, "held_out": 4}


def test_data_that_replaces_other_data_has_no_questions_of_those(data: Dataset, tmp_path) -> None:
    save(holdout_items(data, 0.2, np.random.default_rng(0))[0], tmp_path / "data")
    save(data, tmp_path / "data")
    assert load(tmp_path / "data").held_out is None


@pytest.mark.parametrize("file", ["held_out.parquet", "questions.parquet"])
def test_damaged_questions_are_an_error_in_words(data: Dataset, tmp_path, file: str) -> None:
    save(holdout_items(data, 0.2, np.random.default_rng(0))[0], tmp_path / "data")
    (tmp_path / "data" / file).write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is damaged"):
        load(tmp_path / "data")


def test_a_question_about_an_item_that_is_not_held_out_is_refused() -> None:
    with pytest.raises(DataError, match="as its target"):
        HeldOut({"a": "text"}, (("b",),), ("c",))


@pytest.mark.parametrize("share", [0.0, 1.0, 0.01])
def test_a_share_that_leaves_a_side_empty_is_refused(data: Dataset, share: float) -> None:
    with pytest.raises(DataError, match="share"):
        holdout_items(data, share, np.random.default_rng(0))
