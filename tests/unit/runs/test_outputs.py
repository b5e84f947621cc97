"""``ranks.parquet`` and ``lists.parquet``: ids for people, and back to rows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssna.core.errors import ArtifactError
from ssna.runs import train
from ssna.runs.record import LISTS, RANKS, read_evaluation


@pytest.fixture(scope="module")
def finished(random_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "item-knn"
    data = random_data(seed=3, users=30, items=20)
    return data, train(data, method="item-knn", out=folder, quiet=True), folder


def test_ranks_and_lists_have_the_ids_of_the_logs(finished):
    data, run, folder = finished
    ranks, lists = (pq.read_table(folder / name, filters=[("split", "=", "test")]) for name in (RANKS, LISTS))
    assert ranks["user"].to_pylist() == lists["user"].to_pylist() == data.users.ids(data.test.users + 1)
    assert ranks["target"].to_pylist() == data.items.ids(data.test.targets)
    best = run.evaluations["test"].lists["exclude_seen"]
    assert lists["top_exclude_seen"].to_pylist() == [data.items.ids(row[row > 0]) for row in best]
    assert not any(pa.types.is_integer(lists.schema.field(name).type) for name in lists.column_names)


def test_what_is_written_is_read_back_also_where_lists_are_shorter(finished):
    _, run, folder = finished
    read, kept = read_evaluation(folder, "test"), run.evaluations["test"]
    assert (kept.lists["exclude_seen"] == 0).any()
    np.testing.assert_array_equal(read.targets, kept.targets)
    for policy, lists in kept.lists.items():
        np.testing.assert_array_equal(read.lists[policy], lists)


def test_runs_of_earlier_versions_that_have_rows_are_still_read(finished, tmp_path):
    data, run, folder = finished
    kept = run.evaluations["test"]
    (tmp_path / "model").symlink_to(folder / "model")
    ranks = pq.read_table(folder / RANKS, filters=[("split", "=", "test")])
    at = ranks.schema.get_field_index("target")
    pq.write_table(ranks.set_column(at, "target", pa.array(kept.targets)), tmp_path / RANKS)
    rows = {f"top_{policy}": pa.array(list(lists)) for policy, lists in kept.lists.items()}
    pq.write_table(pa.table({"split": ["test"] * len(data.test), **rows}), tmp_path / LISTS)
    read = read_evaluation(tmp_path, "test")
    np.testing.assert_array_equal(read.targets, kept.targets)
    np.testing.assert_array_equal(read.lists["include_seen"], kept.lists["include_seen"])


def test_an_id_that_the_model_does_not_have_is_damage(finished, tmp_path):
    _, _, folder = finished
    (tmp_path / "model").symlink_to(folder / "model")
    ranks = pq.read_table(folder / RANKS)
    at = ranks.schema.get_field_index("target")
    pq.write_table(ranks.set_column(at, "target", pa.array(["nobody"] * len(ranks))), tmp_path / RANKS)
    (tmp_path / LISTS).symlink_to(folder / LISTS)
    with pytest.raises(ArtifactError, match="damaged ranks or lists \\(nobody is no item of the model\\); train again"):
        read_evaluation(tmp_path, "test")
