import errno
import json
import os
import shutil
import signal
from contextlib import contextmanager

import numpy as np
import pytest

from ssna.compute.launch import Launch
from ssna.core import files
from ssna.core.errors import CacheError
from ssna.text import writer as writer_module
from ssna.text.cache import LayerCache, key_of
from ssna.text.encoding import Encoding
from ssna.text.writer import writing

pytestmark = pytest.mark.slow

TEXTS = ["", *(f"text {n}" for n in range(9))]
ENCODING = Encoding(
    model="minilm", revision="r1", pooling="mean", max_tokens=64, layers=(4, 5, 6), depth=6, width=4, dtype="fp32"
)


def vectors_of(texts, encoding=ENCODING):
    """(layers, n, d) numbers that 16 bits hold exactly, decided by the text alone."""
    seeds = [int.from_bytes(key_of(text)[:4], "big") for text in texts]
    shape = (len(encoding.layers), encoding.width)
    return np.stack([np.random.default_rng(s).integers(-99, 99, shape) for s in seeds], axis=1).astype(np.float32)


def fill(folder, texts, vectors=None, encoding=ENCODING):
    with writing(folder, encoding) as writer:
        new = [text for text in texts if text and key_of(text) not in writer.known]
        writer.reserve(len(new))
        for text in new:
            one = vectors_of([text], encoding) if vectors is None else vectors[text]
            writer.append([key_of(text)], one)


def expected_top(texts, a):
    result = np.zeros((a, len(texts), ENCODING.width), np.float32)
    result[:, 1:] = vectors_of(texts[1:])[::-1][:a]
    return result


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in (".lock", ".turn")}


@pytest.fixture
def folder(tmp_path):
    fill(tmp_path / "cache", TEXTS)
    return tmp_path / "cache"


@pytest.mark.parametrize("a", [1, 2, 3])
def test_top_gives_the_last_layer_first_and_zeros_for_padding(folder, a):
    top = LayerCache.open(folder, TEXTS).top(a)
    assert top.dtype == np.float32
    np.testing.assert_array_equal(top, expected_top(TEXTS, a))


@pytest.mark.parametrize("a", [1, 3])
def test_folders_side_by_side_are_read_as_one(tmp_path, a):
    for name, part in (("one", TEXTS[:4]), ("two", TEXTS[2:6]), ("three", TEXTS[6:])):
        fill(tmp_path / name, part)
    folders = [tmp_path / name for name in ("one", "two", "three")]
    mixed = ["", *TEXTS[:0:-1]]
    cache = LayerCache.open(folders, mixed)
    np.testing.assert_array_equal(cache.top(a), expected_top(mixed, a))
    with pytest.raises(CacheError, match=r"two, .*three are caches of another data set: 1 of 9 texts are not in them"):
        LayerCache.open(folders[1:], TEXTS)


def test_folders_made_in_several_ways_are_not_read_as_one(folder, tmp_path):
    fill(tmp_path / "other", TEXTS, encoding=ENCODING.model_copy(update={"pooling": "cls"}))
    with pytest.raises(CacheError, match="other was made in another way than"):
        LayerCache.open([folder, tmp_path / "other"], TEXTS)


def test_the_cache_tells_how_its_vectors_were_made(folder):
    cache = LayerCache.open(folder, TEXTS)
    told = (cache.folder, cache.model, cache.pooling, cache.max_tokens, cache.layers, cache.width)
    assert told == (folder, "minilm", "mean", 64, (4, 5, 6), 4)


def test_the_fingerprint_follows_the_encoding_and_not_the_place_of_the_model():
    moved = ENCODING.model_copy(update={"model": "/elsewhere/minilm"})
    assert moved.fingerprint == ENCODING.fingerprint
    for field, value in {
        "revision": "r2",
        "pooling": "cls",
        "max_tokens": 32,
        "layers": (5, 6),
        "dtype": "bf16",
    }.items():
        assert ENCODING.model_copy(update={field: value}).fingerprint != ENCODING.fingerprint


@pytest.mark.parametrize("a", [0, 4])
def test_more_layers_than_there_are_is_a_named_error(folder, a):
    with pytest.raises(CacheError, match=f"holds 3 layers, {a} were asked for"):
        LayerCache.open(folder, TEXTS).top(a)


def test_texts_that_are_not_there_are_counted(folder):
    with pytest.raises(CacheError, match="is the cache of another data set") as caught:
        LayerCache.open(folder, [*TEXTS, "new", "newer"])
    said = f"{folder} is the cache of another data set: 2 of 11 texts are not in it"
    assert str(caught.value) == f"{said}; run `ssna.encode(data, out='{folder}')` to add them"
    assert caught.value.for_command_line == f"{said}; run `ssna encode DATA -o {folder}` to add them"


def test_a_folder_without_a_manifest_is_no_cache(tmp_path):
    with pytest.raises(CacheError, match=r"no folder that `ssna encode` made"):
        LayerCache.open(tmp_path, TEXTS)


def test_a_data_folder_is_told_from_a_cache_with_the_remedy_of_the_side_that_it_stands_on(folder):
    (folder / "manifest.json").write_text('{"format": 1, "fingerprint": "7d07"}')
    with pytest.raises(CacheError, match=r"not a layer cache; name the folder that `ssna encode` made$"):
        LayerCache.open(folder, TEXTS)
    with pytest.raises(CacheError, match=r"is a data folder, not a layer cache; name another output folder$"):
        fill(folder, TEXTS)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ('{"users": 3}', "is no layer cache"),
        ("{", "cannot be read"),
        ('{"format": "ssna-layers-1"}', "the cache is damaged"),
    ],
)
def test_a_foreign_or_damaged_manifest_is_a_named_error(folder, manifest, message):
    (folder / "manifest.json").write_text(manifest)
    for use in (lambda: LayerCache.open(folder, TEXTS), lambda: fill(folder, TEXTS)):
        with pytest.raises(CacheError, match=message):
            use()


def test_a_manifest_that_lists_too_few_files_is_a_named_error(folder):
    tree = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(tree | {"stored": ["f16"]}))
    with pytest.raises(CacheError, match="lists other files than layers"):
        LayerCache.open(folder, TEXTS)


@pytest.mark.parametrize("name", ["keys.bin", "layer-05.f16.bin"])
def test_a_missing_file_is_a_named_error_and_encoding_again_repairs_it(folder, name):
    (folder / name).unlink()
    with pytest.raises(CacheError, match=rf"{name} is missing; run `ssna\.encode\(data, out="):
        LayerCache.open(folder, TEXTS)
    fill(folder, TEXTS)
    np.testing.assert_array_equal(LayerCache.open(folder, TEXTS).top(3), expected_top(TEXTS, 3))


def test_a_layer_that_is_cut_short_is_a_named_error_and_encoding_again_repairs_it(folder):
    before = content(folder)
    os.truncate(folder / "layer-05.f16.bin", 3 * 8 + 1)
    with pytest.raises(CacheError, match=r"cut short; run `ssna\.encode\(data, out="):
        LayerCache.open(folder, TEXTS)
    fill(folder, TEXTS)
    assert content(folder) == before


def test_torn_trailing_bytes_are_not_read_and_the_next_writer_drops_them(folder):
    before = content(folder)
    for name in ("layer-04.f16.bin", "layer-05.f16.bin", "keys.bin"):
        with (folder / name).open("ab") as file:
            file.write(b"torn row"[:7])
    np.testing.assert_array_equal(LayerCache.open(folder, TEXTS).top(3), expected_top(TEXTS, 3))
    with writing(folder, ENCODING):
        pass
    assert content(folder) == before


def test_a_whole_key_without_its_layers_is_dropped(folder):
    before = content(folder)
    with (folder / "keys.bin").open("ab") as file:
        file.write(key_of("never encoded"))
    with writing(folder, ENCODING) as writer:
        assert key_of("never encoded") not in writer.known
    assert content(folder) == before


def test_a_value_too_large_for_16_bits_turns_its_layer_alone_to_32_bits(folder):
    large = vectors_of(["large"])
    large[1, 0, 2] = -70_000.0
    fill(folder, [*TEXTS, "large"], vectors={"large": large})
    assert sorted(p.name for p in folder.glob("layer*")) == ["layer-04.f16.bin", "layer-05.f32.bin", "layer-06.f16.bin"]
    top = LayerCache.open(folder, [*TEXTS, "large"]).top(3)
    np.testing.assert_array_equal(top[:, :-1], expected_top(TEXTS, 3))
    np.testing.assert_array_equal(top[:, -1], large[::-1, 0])


def test_a_reader_keeps_its_rows_while_a_writer_widens_the_layer_under_it(folder):
    cache = LayerCache.open(folder, TEXTS)
    fill(folder, [*TEXTS, "large"], vectors={"large": vectors_of(["large"]) * 1000})
    np.testing.assert_array_equal(cache.top(3), expected_top(TEXTS, 3))


def test_the_largest_number_of_16_bits_stays_in_16_bits(tmp_path):
    fill(tmp_path / "cache", ["", "large"], vectors={"large": np.full((3, 1, 4), 65_504.0, np.float32)})
    assert LayerCache.open(tmp_path / "cache", ["", "large"]).top(1).max() == 65_504.0
    assert len(list((tmp_path / "cache").glob("*.f16.bin"))) == 3


def test_two_writers_at_a_time_are_refused(folder):
    with (
        writing(folder, ENCODING),
        pytest.raises(CacheError, match="another process is writing"),
        writing(folder, ENCODING),
    ):
        pass
    fill(folder, [*TEXTS, "later"])


def test_a_cache_made_otherwise_is_refused_and_both_ways_are_named(folder):
    before = content(folder)
    asked = ENCODING.model_copy(update={"pooling": "cls", "layers": (5, 6), "model": "other", "revision": "r2"})
    with pytest.raises(CacheError) as caught:
        fill(folder, TEXTS, encoding=asked)
    assert str(caught.value).splitlines() == [
        f"{folder} was made with model minilm r1 (asked: other r2); pooling mean (asked: cls); "
        "layers 4 to 6 (asked: 5 to 6)",
        "name another output folder",
    ]
    assert content(folder) == before


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(CacheError, match=r"holds other files \(thesis.tex\)"):
        fill(tmp_path, TEXTS)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_a_named_error(tmp_path):
    (tmp_path / "cache").write_text("mine")
    with pytest.raises(CacheError, match="cannot be written: File exists"):
        fill(tmp_path / "cache", TEXTS)


def test_too_little_space_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=9 * (16 + 3 * 4 * 2) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CacheError, match=r"9 texts take .* MB free\nfree some space"):
        fill(tmp_path / "cache", TEXTS)
    assert content(tmp_path / "cache") == {}
    fill(tmp_path / "cache", TEXTS[:-1])


def test_a_disk_that_fills_up_leaves_the_rows_before_it_and_the_next_run_goes_on(tmp_path, monkeypatch):
    append = writer_module._append
    calls = []

    def full(path, data):
        calls.append(path)
        if len(calls) == 5 * 3 + 2:  # in the fourth row's second layer
            append(path, data[:5])
            raise OSError(errno.ENOSPC, "No space left on device")
        append(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "_append", full)
        with pytest.raises(CacheError, match="No space left on device\nonce that is settled"):
            fill(tmp_path / "cache", TEXTS)
    assert {len(data) for name, data in content(tmp_path / "cache").items() if name.startswith("layer")} == {3 * 8}
    np.testing.assert_array_equal(LayerCache.open(tmp_path / "cache", TEXTS[:4]).top(3), expected_top(TEXTS[:4], 3))
    fill(tmp_path / "cache", TEXTS)
    np.testing.assert_array_equal(LayerCache.open(tmp_path / "cache", TEXTS).top(3), expected_top(TEXTS, 3))


def test_a_disk_that_fills_up_while_a_layer_is_widened_leaves_the_cache_as_it_was(folder, monkeypatch):
    before = content(folder)

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "fsync", full)
        with pytest.raises(CacheError, match="No space left on device"):
            fill(folder, [*TEXTS, "large"], vectors={"large": vectors_of(["large"]) * 10_000})
    assert content(folder) == before


def killed_at(step, folder, vectors, texts=TEXTS[:5]):
    """Fill ``folder`` in a child that is killed in its ``step``-th dealing with the disk, if there is one."""
    child = os.fork()
    if child == 0:
        steps = iter(range(1, 10_000))

        def deadly(function, before=lambda *_: None):
            def call(*arguments, **keywords):
                if next(steps) == step:
                    before(*arguments)
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **keywords)

            return call

        append = writer_module._append
        writer_module._append = deadly(append, before=lambda path, data: append(path, data[: len(data) // 2]))
        for module, name in ((writer_module, "fsync"), (writer_module, "write_json"), (files, "fsync")):
            setattr(module, name, deadly(getattr(module, name)))
        for name in ("replace", "unlink", "mkdir", "touch"):
            setattr(type(folder), name, deadly(getattr(type(folder), name)))
        fill(folder, texts, vectors)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_killed_at_any_moment_the_next_run_ends_with_the_same_cache(tmp_path):
    vectors = {text: vectors_of([text]) for text in TEXTS[1:5]}
    vectors[TEXTS[3]][1] *= 10_000  # widens a layer that has rows
    vectors[TEXTS[4]][0] *= 10_000
    fill(tmp_path / "unbroken", TEXTS[:5], vectors)
    step = 1
    while killed_at(step, tmp_path / f"killed-{step}", vectors):
        folder = tmp_path / f"killed-{step}"
        if (folder / "manifest.json").exists():
            keys = (folder / "keys.bin").read_bytes()
            whole = ["", *(text for text in TEXTS[1:5] if key_of(text) in keys)]
            expected = np.concatenate([np.zeros((3, 1, 4)), *(vectors[text] for text in whole[1:])], axis=1)
            np.testing.assert_array_equal(LayerCache.open(folder, whole).top(3), expected[::-1])
        fill(folder, TEXTS[:5], vectors)
        assert content(folder) == content(tmp_path / "unbroken"), step
        step += 1
    assert step > 35


@pytest.fixture
def as_rank(monkeypatch):
    """Makes this process go on as if torchrun had started it, with this rank, and another."""
    return lambda rank: monkeypatch.setattr(writer_module, "launch", lambda: Launch(rank, 2, rank))


@contextmanager
def both(as_rank, folder):
    """The writers of two processes of one run."""
    as_rank(0)
    with writing(folder, ENCODING) as one:
        as_rank(1)
        with writing(folder, ENCODING) as other:
            yield one, other


def test_processes_of_one_run_write_side_by_side_and_no_text_twice(folder, as_rank):
    texts, large = [*TEXTS, *(f"more {n}" for n in range(6))], vectors_of(["large"]) * 10_000
    with both(as_rank, folder) as (one, other):
        for row, text in enumerate(texts[1:]):
            for writer in (one, other) if text == "more 3" else (one,) if row % 2 else (other,):
                writer.append([key_of(text)], vectors_of([text]))
            if text == "more 1":
                other.append([key_of("large")], large)  # the other one finds its layers widened
                one.reserve(1)
        one.append([key_of("more 3"), key_of("last")], vectors_of(["more 3", "last"]))
    top = LayerCache.open(folder, [*texts, "last", "large"]).top(3)
    np.testing.assert_array_equal(top[:, :-1], expected_top([*texts, "last"], 3))
    np.testing.assert_array_equal(top[:, -1], large[::-1, 0])
    assert (folder / "keys.bin").stat().st_size == 16 * (len(texts) - 1 + 2)


@pytest.mark.parametrize("world_size", [1, 2])
def test_another_run_is_refused_while_processes_share_a_cache(folder, as_rank, monkeypatch, world_size):
    with both(as_rank, folder):
        monkeypatch.setattr(writer_module, "launch", lambda: Launch(0, world_size, 0))
        with pytest.raises(CacheError, match="another process is writing"), writing(folder, ENCODING):
            pass


def test_a_process_killed_at_any_moment_leaves_the_others_a_whole_cache(tmp_path, as_rank):
    vectors = {text: vectors_of([text]) for text in TEXTS[1:]}
    vectors[TEXTS[3]][1] *= 10_000  # widens a layer that has rows
    mine, texts, step, killed = TEXTS[5:], TEXTS[:5], 1, True
    while killed:
        folder = tmp_path / f"killed-{step}"
        as_rank(0)
        with writing(folder, ENCODING) as writer:
            writer.reserve(len(TEXTS) - 1)
            writer.append([key_of(mine[0])], vectors[mine[0]])
            as_rank(1)
            killed = killed_at(step, folder, vectors, texts)
            for text in mine[1:]:
                writer.append([key_of(text)], vectors[text])
        expected = np.concatenate([np.zeros((3, 1, 4)), *(vectors[text] for text in mine)], axis=1)
        np.testing.assert_array_equal(LayerCache.open(folder, ["", *mine]).top(3), expected[::-1])
        fill(folder, TEXTS, vectors)
        expected = np.concatenate([np.zeros((3, 1, 4)), *(vectors[text] for text in TEXTS[1:])], axis=1)
        np.testing.assert_array_equal(LayerCache.open(folder, TEXTS).top(3), expected[::-1])
        step += 1
    assert step > 30
