"""Vectors of files, frames and arrays: read with their ids, or refused in words."""

import json

import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from ssna.core.errors import CacheError
from ssna.text.given import read_vectors

IDS = ["i1", "i2", "i3"]
VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)
LAYERED = np.arange(24, dtype=np.float32).reshape(3, 2, 4)


def as_table(values, ids=IDS, names=("item", "vector")):
    return pa.table(dict(zip(names, (ids, values.tolist()), strict=True)))


def with_ids(path, ids=IDS):
    path.with_suffix(".ids.txt").write_text("\n".join(ids) + "\n")
    return path


def parquet(folder, values):
    pq.write_table(as_table(values), folder / "v.parquet")
    return folder / "v.parquet"


def npy(folder, values):
    np.save(folder / "v.npy", values)
    return with_ids(folder / "v.npy")


def safetensors(folder, values):
    save_file({"v": torch.from_numpy(values)}, folder / "v.safetensors", {"ids": json.dumps(IDS)})
    return folder / "v.safetensors"


def safetensors_with_ids_beside(folder, values):
    save_file({"v": torch.from_numpy(values)}, folder / "v.safetensors")
    return with_ids(folder / "v.safetensors")


FORMS = {
    "parquet": parquet,
    "npy": npy,
    "safetensors": safetensors,
    "safetensors-beside": safetensors_with_ids_beside,
    "arrow": lambda _, values: as_table(values),
    "pandas": lambda _, values: pandas.DataFrame({"item": IDS, "vector": list(values.tolist())}),
    "polars": lambda _, values: polars.DataFrame({"item": IDS, "vector": values.tolist()}),
    "pair": lambda _, values: (IDS, values),
    "pair of arrays": lambda _, values: (np.array(IDS), values),
    "dict": lambda _, values: dict(zip(IDS, values, strict=True)),
}


@pytest.mark.parametrize("values", [VALUES, LAYERED], ids=["one layer", "two layers"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_vectors_and_ids(tmp_path, form, values):
    found = read_vectors(FORMS[form](tmp_path, values))
    assert list(found.ids) == IDS
    expected = values if values.ndim == 3 else values[:, None]
    assert np.array_equal(found.take(np.arange(3)), expected)


def test_rows_are_taken_in_the_order_that_is_asked_for():
    assert np.array_equal(read_vectors((IDS, VALUES)).take(np.array([2, 0]))[:, 0], VALUES[[2, 0]])


@pytest.mark.parametrize(("kind", "stored"), [("f2", "f16"), ("f4", "f32"), ("f8", "f32"), ("i8", "f32")])
def test_numbers_of_16_bits_stay_so_and_others_get_32(kind, stored):
    assert read_vectors((IDS, VALUES.astype(kind))).stored == stored


def test_bf16_of_safetensors_is_read(tmp_path):
    save_file({"v": torch.from_numpy(VALUES).bfloat16()}, tmp_path / "v.safetensors", {"ids": json.dumps(IDS)})
    assert np.array_equal(read_vectors(tmp_path / "v.safetensors").take(np.arange(3))[:, 0], VALUES)


def test_ids_that_are_numbers_are_read_as_text():
    assert read_vectors((np.array([7, 8, 9]), VALUES)).ids == ["7", "8", "9"]


def test_columns_of_other_names_will_do_where_there_is_no_doubt():
    table = as_table(VALUES, names=("sku", "embedding"))
    assert read_vectors(table).ids == IDS
    doubtful = table.append_column("title", pa.array(["a", "b", "c"]))
    with pytest.raises(CacheError, match=r"has the columns sku, embedding, title; give a column `item` with ids"):
        read_vectors(doubtful)


def test_an_array_without_ids_is_refused_however_many_rows_it_has(tmp_path):
    with pytest.raises(CacheError, match=r"does not say which row is which item; give ids and array as a pair"):
        read_vectors(VALUES)
    np.save(tmp_path / "v.npy", VALUES)
    with pytest.raises(CacheError, match=r"put the ids, one a line, into v\.ids\.txt beside it"):
        read_vectors(tmp_path / "v.npy")


def test_a_pickle_in_an_npy_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    np.save(tmp_path / "v.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(CacheError, match=r"v\.npy cannot be read"):
        read_vectors(with_ids(tmp_path / "v.npy", ["i1"]))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((IDS, VALUES[:2]), r"has 2 vectors and 3 ids; give one id a vector"),
        ((IDS, VALUES[0]), r"has the shape \(4,\); give \(items, numbers\)"),
        ((IDS, np.zeros((3, 0))), r"has the shape \(3, 1, 0\)"),
        ((IDS, VALUES.astype(str)), r"vectors are of <U\d+; give numbers"),
        ((IDS, np.zeros((3, 20_000), "f2")), r"at most 256 of 16,384 can be read: reduce them"),
        ((IDS, np.zeros((3, 300, 1), "f2")), r"has 300 layers of 1 numbers an item"),
        ({"i1": VALUES[0], "i2": VALUES[1][:3]}, r"several shapes, such as \(4,\) of 'i1' and \(3,\) of 'i2'"),
        ({}, r"is a dict|holds no vector"),
        (17, r"vectors is a int; give a file, a frame, arrays by ids"),
        (([True, "i2", "i3"], VALUES), r"True is no id of an item"),
        (pa.table({"item": IDS, "vector": [[1.0], [1.0, 2.0], [1.0]]}), r"widths, such as 1 and 2 \(item 'i2'\)"),
        (pa.table({"item": IDS, "vector": [[1.0], None, [1.0]]}), r"the column 'vector' is empty in some rows"),
        (pa.table({"item": IDS, "vector": [[1.0], [None], [1.0]]}), r"has a number that is missing"),
        (pa.table({"item": IDS, "vector": [["a"], ["b"], ["c"]]}), r"lists of string; give numbers"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_remedy(given, message):
    with pytest.raises(CacheError, match=message):
        read_vectors(given)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_value_that_is_not_finite_names_its_item(bad):
    values = VALUES.astype("f8")
    values[1, 2] = bad
    with pytest.raises(CacheError, match=r"the vector of item 'i2' holds a value that is not finite"):
        read_vectors((IDS, values)).take(np.arange(3))


@pytest.mark.parametrize("suffix", [".parquet", ".npy", ".safetensors"])
def test_a_damaged_file_is_an_error_in_words(tmp_path, suffix):
    path = with_ids(tmp_path / f"v{suffix}")
    path.write_bytes(b"\0" * 100)
    with pytest.raises(CacheError, match=r"cannot be read .*; write the file again"):
        read_vectors(path)


def test_a_file_of_another_kind_or_none_is_refused(tmp_path):
    with pytest.raises(CacheError, match=r"does not exist; name a file of vectors"):
        read_vectors(tmp_path / "v.npy")
    (tmp_path / "v.csv").write_text("1,2")
    with pytest.raises(CacheError, match=r"is no file of vectors that is known; give \.parquet, \.pq, \.npy"):
        read_vectors(tmp_path / "v.csv")
