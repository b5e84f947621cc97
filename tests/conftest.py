"""What all tests share: tiny data sets, layer caches with given states, and a tiny random language model.

The fixtures return functions, so that Hypothesis can call them too.
"""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from filelock import FileLock

from ssna.core.files import write_file, write_json
from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset, Histories, IdMap
from ssna.text import LayerCache
from ssna.text.cache import KEYS, key_of
from ssna.text.manifest import MANIFEST, STORED_DTYPES, Manifest, layer_file

os.environ.setdefault("NUMBA_DISABLE_JIT", "1")  # compiling ranx takes a minute and a half

for folder in ("", "unit"):  # shop; text_models, two_processes, ...
    sys.path.append(str(Path(__file__).parent / folder))

from soak import FACTOR, examples  # noqa: E402

torch.set_num_threads(1)
hypothesis.settings.register_profile("ssna", deadline=None, max_examples=examples(40), derandomize=FACTOR == 1)
hypothesis.settings.load_profile("ssna")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes do not name a test: packed ones may hold the time of collection, which differs between two workers."""
    return argname if isinstance(val, bytes) else None


# What takes minutes begins first, so that no process is left with it at the end. Two processes take turns: both files
# of documented commands need the same folder, which the first one has made when the fourth one begins.
LONGEST = (
    "long/test_documentation_of_the_guide.py",
    "end_to_end/spark/test_spark.py",
    "contract/test_method_patterns.py",
    "long/test_documentation.py",
    "long/test_tutorials.py",
    "end_to_end/test_grid.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {Path(__file__).parent / file: number for number, file in enumerate(LONGEST)}
    assert all(path.exists() for path in place), place
    items.sort(key=lambda item: place.get(item.path, len(place)))


gc.disable()  # while tests are collected


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """For the garbage collector, which every training calls: going through all that is imported would take longer."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """``(name, make)`` -> the folder that ``make`` has filled, for all processes of a session: nobody changes it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def folder_of(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of another process, where make failed
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def make_data() -> Callable[..., Dataset]:
    """Histories as lists of item rows -> a data set of users ``u0``, ... and items ``i1``, ... (row 1 is ``i1``)."""

    def make(
        rows: Sequence[Sequence[int]],
        items: int | None = None,
        texts: Sequence[str] | None = None,
        max_history: int = 50,
    ) -> Dataset:
        packed = Ragged.from_rows(rows)
        items = int(packed.values.max()) if items is None else items
        texts = [f"text of item {row}" for row in range(1, items + 1)] if texts is None else texts
        return Dataset(
            IdMap(tuple(f"u{user}" for user in range(len(rows)))),
            IdMap(tuple(f"i{row}" for row in range(1, items + 1))),
            ("", *texts),
            Histories(packed.values.astype(np.int32), None, packed.offsets),
            max_history,
        )

    return make


@pytest.fixture(scope="session")
def random_data(make_data: Callable[..., Dataset]) -> Callable[..., Dataset]:
    """A data set of random histories, repeats included."""

    def make(
        seed: int = 0,
        users: int = 30,
        items: int = 20,
        longest: int = 12,
        texts: Sequence[str] | None = None,
        max_history: int = 8,
    ) -> Dataset:
        rng = np.random.default_rng(seed)
        rows = [rng.integers(1, items + 1, rng.integers(3, longest + 1)).tolist() for _ in range(users)]
        return make_data(rows, items, texts, max_history)

    return make


@pytest.fixture(scope="session")
def make_cache(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., LayerCache]:
    """``(data, states (a, I, d), top layer first)`` -> a layer cache that holds just these; texts must be distinct."""

    def make(data: Dataset, states: np.ndarray, pooling: str = "mean") -> LayerCache:
        depth, _, width = states.shape
        folder = tmp_path_factory.mktemp("cache")
        manifest = Manifest(
            model="none",
            revision="0" * 40,
            pooling=pooling,
            max_tokens=16,
            layers=tuple(range(1, depth + 1)),
            depth=depth,
            width=width,
            dtype="fp32",
            stored=("f32",) * depth,
        )
        write_json(folder / MANIFEST, manifest.tree())
        write_file(folder / KEYS, b"".join(key_of(text) for text in data.texts[1:]))
        for layer, h in zip(manifest.layers, states[::-1], strict=True):
            write_file(folder / layer_file(layer, "f32"), h.astype(STORED_DTYPES["f32"]).tobytes())
        return LayerCache.open(folder, data.texts)

    return make


@pytest.fixture(scope="session")
def random_states() -> Callable[..., np.ndarray]:
    """``(layers, items, width)``, top layer first."""

    def make(seed: int = 0, layers: int = 3, items: int = 20, width: int = 12) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(layers, items, width)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny random BERT: 3 layers, width 16."""
    from text_models import save_tiny_model

    with torch.random.fork_rng(devices=[]):
        return str(save_tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="session")
def distinct_texts() -> Callable[[int], list[str]]:
    """Distinct texts in the vocabulary of :func:`language_model`."""
    from text_models import some_texts

    return some_texts


@pytest.fixture
def new_name(tmp_path: Path) -> Callable[[], Path]:
    """Paths in the test's folder that do not exist yet."""
    numbers = count()
    return lambda: tmp_path / f"new-{next(numbers)}"


@pytest.fixture(scope="session")
def run_folders(
    random_data: Callable[..., Dataset],
    distinct_texts: Callable[[int], list[str]],
    language_model: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Method -> a run folder; all lie side by side, over items ``i1`` to ``i30``. To be copied before it is changed."""
    from ssna.runs import train
    from ssna.text import ReadOptions, encode

    small = ["dim=8", "sequence.ffn_dim=8", "training.batch_size=64", "training.epochs=1"]
    methods = {
        "ssna": [*small, "method.num_experts=2", "method.init=whitened", 'ensemble.members=["item-knn", "text-knn"]'],
        "text-knn": ["dim=8"],
        "item-knn": [],
    }
    data = random_data(seed=8, users=60, items=30, texts=distinct_texts(30))
    folder = tmp_path_factory.mktemp("runs")
    cache, _ = encode(data.texts, language_model, folder / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    for name, settings in methods.items():
        train(data, cache, method=name, settings=settings, out=folder / name, quiet=True)
    return {name: folder / name for name in methods}
