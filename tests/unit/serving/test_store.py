import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kills import kill_while_putting

from soak import FACTOR
from ssna.core.errors import ArtifactError, SsnaError
from ssna.recommender.admission import NewItems
from ssna.serving import sqlite as sqlite_module
from ssna.serving import store as module
from ssna.serving.additions import Additions, Change
from ssna.serving.refusal import RequestError
from ssna.serving.sqlite import JOURNAL, STORE, SQLiteDatabase
from ssna.serving.store import ChangedElsewhereError, Store
from ssna.text import Encoding

ids = st.text(st.characters(codec="utf-8"), max_size=3) | st.sampled_from(["a", "b", "c"])
names = st.lists(ids, max_size=3, unique=True).map(tuple)
changes = st.builds(
    Change, put=st.dictionaries(ids, st.text(st.characters(codec="utf-8"), max_size=5), max_size=3), delete=names,
    hide=names, show=names,
)  # fmt: skip
ENCODING = Encoding(
    model="m", revision="r", pooling="mean", max_tokens=8, layers=(1, 2, 3), depth=3, width=4, dtype="fp32"
)
OTHER = ENCODING.model_copy(update={"revision": "another"})


def read(*items: str, seed: int = 0, layers: int = 2) -> NewItems:
    states = torch.randn(layers, len(items), 4, generator=torch.Generator().manual_seed(seed))
    return NewItems({item: f"text {item}" for item in items}, states, [item == "b" for item in items])


def put(*items: str) -> Change:
    return Change(put={item: f"text {item}" for item in items})


def kept(folder: Path) -> Additions:
    return Store(folder).load()


def recorded(folder: Path, *steps: Change) -> Additions:
    store = Store(folder)
    store.load()
    for step in steps:
        store.record(step)
    store.close()
    return store.additions


def test_nothing_is_made_before_the_first_change(tmp_path):
    assert kept(tmp_path / "new") == Additions()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("step", ["TABLES.create_all", "fsync"])
def test_a_store_that_could_not_be_made_whole_is_none(tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError(5, "Input/output error")

    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(f"ssna.serving.sqlite.{step}", fail)
        refused(store, put("a"), "Input/output error")
    assert list(tmp_path.iterdir()) == []
    assert kept(tmp_path) == Additions()
    store.record(put("a"))
    assert list(kept(tmp_path).texts) == ["a"]


def test_a_store_that_another_server_made_meanwhile_stays(tmp_path, monkeypatch):
    first, second = Store(tmp_path), Store(tmp_path)
    made = SQLiteDatabase._make

    def slower(database):
        monkeypatch.setattr(SQLiteDatabase, "_make", made)
        first.record(put("a"))
        first.close()
        made(database)

    monkeypatch.setattr(SQLiteDatabase, "_make", slower)
    with pytest.raises(ChangedElsewhereError):
        second.record(put("b"))
    assert list(kept(tmp_path).texts) == ["a"]


def test_changes_are_there_after_a_restart(tmp_path):
    recorded(tmp_path, Change(put={"a": "x", "b": "y"}), Change(delete=("a",), hide=("i1",)), Change(put={"b": "z"}))
    assert kept(tmp_path) == Additions({"b": "z"}, frozenset({"i1"}), 3)


def test_an_item_that_was_hidden_can_be_shown_again(tmp_path):
    assert recorded(tmp_path, Change(hide=("i1", "i2")), Change(show=("i1",))).hidden == {"i2"}
    assert kept(tmp_path).hidden == {"i2"}


def test_a_replaced_text_takes_its_place_at_the_end(tmp_path):
    recorded(tmp_path, Change(put={"a": "x", "b": "y"}), Change(put={"a": "z"}))
    assert list(kept(tmp_path).texts.items()) == [("b", "y"), ("a", "z")]


@settings(max_examples=20 * FACTOR)
@given(steps=st.lists(changes, max_size=6))
def test_any_changes_are_read_as_they_were_made(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("state")
    made = recorded(folder, *steps)
    again = kept(folder)
    assert (again, list(again.texts)) == (made, list(made.texts))


def test_what_a_model_read_comes_back_bit_by_bit_in_the_order_asked_for(tmp_path):
    store, new = Store(tmp_path), read("a", "b", "c")
    store.record(put("a", "b", "c"), new, ENCODING)
    found = Store(tmp_path).known(["c", "unknown", "b"], ENCODING, 2)
    assert dict(found.texts) == {"c": "text c", "b": "text b"}
    assert found.silent == [False, True]
    np.testing.assert_array_equal(found.states, new.states[:, [2, 1]])
    np.testing.assert_array_equal(store.known(["a"], ENCODING, 1).states, new.states[:1, [0]])


def test_a_model_gets_only_what_it_read_itself_and_enough_of_its_layers(tmp_path):
    store = Store(tmp_path)
    store.record(put("a"), read("a"), ENCODING)
    assert not store.known(["a"], OTHER, 2).texts
    assert not store.known(["a"], ENCODING, 3).texts
    store.keep(read("a", seed=1), OTHER)
    store.keep(read("a", seed=2, layers=3), ENCODING)
    np.testing.assert_array_equal(store.known(["a"], OTHER, 2).states, read("a", seed=1).states)
    np.testing.assert_array_equal(store.known(["a"], ENCODING, 3).states, read("a", seed=2, layers=3).states)


def test_what_was_read_of_an_earlier_text_goes_with_it(tmp_path):
    store = Store(tmp_path)
    store.record(put("a"), read("a"), ENCODING)
    store.record(Change(put={"a": "another"}))
    assert not store.known(["a"], ENCODING, 2).texts
    with sqlite3.connect(tmp_path / STORE) as connection:
        assert connection.execute("select count(*) from item_states").fetchone() == (0,)


@pytest.mark.parametrize("content", [b"", bytes(31), bytes(33), b"\xff" * 32])
def test_states_that_are_damaged_are_not_known(tmp_path, content):
    store = Store(tmp_path)
    store.record(put("a", "c"), read("a", "c"), ENCODING)
    with sqlite3.connect(tmp_path / STORE) as connection:
        connection.execute("update item_states set states = ? where number = 1", (content,))
    assert list(store.known(["a", "c"], ENCODING, 2).texts) == ["c"]


@pytest.mark.parametrize(
    "change", [Change(put={"a" * 257: "x"}), Change(put={"a": "x" * 10_001}), Change(hide=("a" * 257,))]
)
def test_a_row_that_is_longer_than_any_request_can_be_is_refused(tmp_path, change):
    store = Store(tmp_path)
    with pytest.raises(RequestError, match="CHECK constraint failed"):
        store.record(change)
    assert kept(tmp_path) == Additions()


def test_more_items_than_one_statement_takes(tmp_path, monkeypatch):
    monkeypatch.setattr("ssna.serving.item_vectors.AT_ONCE", 3)
    items = [f"i{number}" for number in range(10)]
    store = Store(tmp_path)
    store.record(put(*items), read(*items), ENCODING)
    assert list(store.known(items, ENCODING, 2).texts) == items
    store.record(Change(delete=tuple(items[1:])))
    assert list(kept(tmp_path).texts) == ["i0"]


def test_of_two_servers_the_second_changes_nothing_before_it_has_read_again(tmp_path):
    first, second = Store(tmp_path), Store(tmp_path)
    assert not second.is_behind()
    first.record(put("a"))
    assert second.is_behind()
    with pytest.raises(ChangedElsewhereError, match=r"other servers have changed .* \(1 changes\)"):
        second.record(put("b"))
    second.load()
    assert not second.is_behind()
    second.record(put("b"))
    assert list(kept(tmp_path).texts) == ["a", "b"]


# what disks do


def refused(store: Store, change: Change, words: str) -> None:
    before = store.additions
    with pytest.raises(RequestError, match=words) as found:
        store.record(change)
    assert (found.value.status, found.value.code) == (503, "disk")
    assert "\n" not in str(found.value)
    assert store.additions is before


def test_a_full_disk_takes_nothing_and_all_that_was_there_can_be_read(tmp_path, capsys):
    store = Store(tmp_path)
    store.record(put("a"))
    with store.database._writer.begin() as connection:  # as pragmas are each connection's own, and there is one
        (pages,) = connection.exec_driver_sql("pragma page_count").one()
    with store.database._writer.connect() as connection:
        connection.exec_driver_sql(f"pragma max_page_count={pages}")
    refused(store, Change(put={f"b{n}": "x" * 10**4 for n in range(99)}), "the disk is full.; nothing was changed")
    assert '"event": "store"' in capsys.readouterr().err
    assert kept(tmp_path) == store.additions
    store.record(put("c"))
    assert list(kept(tmp_path).texts) == ["a", "c"]


def test_a_store_that_another_process_holds_refuses_changes_and_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr("ssna.serving.sqlite.LOCKED_SECONDS", 0.05)
    store = Store(tmp_path)
    store.record(put("a"))
    holder = sqlite3.connect(tmp_path / STORE, isolation_level=None)
    holder.execute("begin immediate")
    refused(store, put("b"), "another process is writing to it")
    assert list(kept(tmp_path).texts) == ["a"]
    holder.close()
    store.record(put("b"))
    assert list(kept(tmp_path).texts) == ["a", "b"]


READER = """
import os, sys, types
package = types.ModuleType("ssna.serving")
package.__path__ = [sys.argv[2]]
sys.modules["ssna.serving"] = package
from pathlib import Path
from ssna.serving.store import Change, Store
if os.getuid() == 0:
    os.setuid(65534)
store = Store(Path(sys.argv[1]))
print(sorted(store.load().texts), store.trouble, flush=True)
try:
    store.record(Change(put={"b": "y"}))
except Exception as refused:
    print(refused)
"""


@pytest.mark.slow
@pytest.mark.fork
def test_a_store_that_may_only_be_read_is_read_with_what_a_kill_left_beside_it(tmp_path):
    folder = tmp_path / "state"
    store = Store(folder)
    store.record(put("a"))  # it is in the log beside the file only, since nobody has closed it
    (folder / f"{STORE}-shm").unlink()  # which a copy of both files does not have
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    for above in tmp_path.parents:
        if above.stat().st_uid == os.getuid() and len(above.parts) > 2:
            above.chmod(above.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    try:
        words = [sys.executable, "-c", READER, str(folder), str(Path(module.__file__).parent)]
        found = subprocess.run(words, capture_output=True, text=True, timeout=60)
    finally:
        folder.chmod(0o755)
    listed, said = found.stdout.splitlines()
    assert listed == "['a'] None", found.stderr
    assert "cannot be written (it may" in said


def test_a_store_that_may_only_be_read_is_copied_once_for_each_change(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.record(put("a"))
    copied = []
    copy = shutil.copyfile
    monkeypatch.setattr(sqlite_module, "may_be_written", lambda path: False)
    monkeypatch.setattr(sqlite_module.shutil, "copyfile", lambda *paths: copied.append(paths) or copy(*paths))
    reader = Store(tmp_path)
    assert list(reader.load().texts) == ["a"]
    files = len(copied)
    assert not reader.is_behind()
    assert len(copied) == files
    store.record(put("b"))
    assert reader.is_behind()
    assert list(reader.load().texts) == ["a", "b"]
    assert len(copied) == 2 * files
    folder = Path(copied[-1][1]).parent
    assert folder.exists()
    reader.close()
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["header", "pages", "cut", "other", "empty"])
def test_a_damaged_store_is_told_in_one_line_and_takes_no_changes(tmp_path, damage, capsys):
    recorded(tmp_path, *(put(*(f"{letter}{n}" for n in range(60))) for letter in "abc"))
    path = tmp_path / STORE
    whole = path.read_bytes()
    path.write_bytes({
        "header": b"x" * 100 + whole[100:], "pages": whole[:4096] + bytes(len(whole) - 4096), "cut": whole[:9000],
        "other": b"no database at all" * 99, "empty": b"",
    }[damage])  # fmt: skip
    store = Store(tmp_path)
    assert store.load() == Additions()
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path} cannot be read (it is damaged" in line
    assert "POST /reload" in line
    refused(store, put("b"), "it is damaged")


def test_a_file_of_a_later_version_is_refused(tmp_path):
    recorded(tmp_path, put("a"))
    with sqlite3.connect(tmp_path / STORE) as connection:
        connection.execute("update state set format = 99")
    store = Store(tmp_path)
    store.load()
    assert "has format 99, this ssna reads 1" in store.trouble


def test_a_state_of_a_journal_is_refused_with_the_remedy(tmp_path):
    (tmp_path / JOURNAL).write_bytes(b"")
    assert kept(tmp_path) == Additions()
    (tmp_path / JOURNAL).write_bytes(b'01234567 {"put": {"a": "x"}}\n')
    with pytest.raises(ArtifactError, match=r"additions\.journal is of an ssna before 0\.3.*--state.*delete the file"):
        Store(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="file is a file; name a folder"):
        Store(tmp_path / "file")


@pytest.mark.long
@pytest.mark.fork
def test_kills_while_items_are_put_lose_nothing_that_was_answered(tmp_path):
    kill_while_putting(str(tmp_path), 10 * FACTOR)  # 100 in `make soak`


def test_a_state_in_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SsnaError, match=r"needs psycopg, which is not installed\npip install 'ssna\[postgres\]'"):
        Store("postgresql://me:secret@host/shop")


def test_an_address_that_cannot_be_read_is_told_how_it_is_written_without_its_password():
    with pytest.raises(ArtifactError, match="write postgresql://user@host/name") as wrong:
        Store("postgres://me:secret@host:port/x")
    assert "secret" not in str(wrong.value)


def test_a_folder_may_have_a_name_that_is_nearly_an_address(tmp_path):
    assert Store(str(tmp_path / "postgresql:")).database.name == str(tmp_path / "postgresql:" / STORE)
