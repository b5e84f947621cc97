"""The made shop: the same bytes for the same seed, the counts asked for, and customers who follow kind and order."""

import csv
from pathlib import Path

import numpy as np
import pytest

import ssna
from shop import CATALOGUE, make_products, make_purchases, write

pytestmark = pytest.mark.slow


def _bytes(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("purchases.csv", "products.csv")]


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    write(tmp_path / "a", seed=3, customers=40, products=60)
    write(tmp_path / "b", seed=3, customers=40, products=60)
    write(tmp_path / "c", seed=4, customers=40, products=60)
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    assert all(a != c for a, c in zip(_bytes(tmp_path / "a"), _bytes(tmp_path / "c"), strict=True))


def test_the_counts_are_those_asked_for(tmp_path: Path) -> None:
    write(tmp_path)
    with (tmp_path / "purchases.csv").open(encoding="utf-8", newline="") as file:
        purchases = list(csv.DictReader(file))
    with (tmp_path / "products.csv").open(encoding="utf-8", newline="") as file:
        products = list(csv.DictReader(file))
    assert len({row["customer"] for row in purchases}) == 3000
    assert 31_000 <= len(purchases) <= 33_000
    assert len({row["sku"] for row in products}) == len({row["title"] for row in products}) == 800
    assert {row["category"] for row in products} == set(CATALOGUE)
    assert {row["sku"] for row in purchases} <= {row["sku"] for row in products}
    assert purchases == sorted(purchases, key=lambda row: row["date"])


@pytest.mark.parametrize("seed", [0, 1])
def test_a_device_is_followed_by_its_accessories_and_never_preceded_as_often(seed: int) -> None:
    rng = np.random.default_rng(seed)
    goods = make_products(800, rng)
    purchases = make_purchases(goods, 500, rng)
    by_customer = np.lexsort((purchases.second, purchases.customer))
    customer, product = purchases.customer[by_customer], purchases.product[by_customer]
    last, then = (part[customer[1:] == customer[:-1]] for part in (product[:-1], product[1:]))
    same = goods.kind[last] == goods.kind[then]
    forward = same & goods.device[last] & ~goods.device[then]
    backward = same & ~goods.device[last] & goods.device[then]
    assert forward.sum() > 4 * backward.sum()
    assert same.mean() > 0.25  # 40 kinds: 0.025 by chance


@pytest.mark.slow
def test_texts_and_neighbours_help_far_beyond_popularity(tmp_path: Path) -> None:
    write(tmp_path)
    data = ssna.prepare(
        tmp_path / "purchases.csv",
        items=tmp_path / "products.csv",
        user_col="customer",
        item_col="sku",
        time_col="date",
        text_cols=["title", "brand"],
    )
    cache = ssna.encode(data, model="minilm")
    methods = ("popularity", "text-knn", "cease")  # measured: 0.038, 0.110, 0.185
    runs = [ssna.train(data, cache, method=method, quiet=True) for method in methods]
    popularity, text, cease = (run.record.test["exclude_seen"]["R@10"] for run in runs)
    assert text > 2 * popularity
    assert cease > 1.3 * text
