"""Keys: several of them, what each may do, and the file that has their digests."""

import hashlib
import json

import pytest
from clients import PUT, error, served

from ssna.core.errors import SsnaError
from ssna.serving import keys as module
from ssna.serving.access import client_of
from ssna.serving.keys import HEADER, OF_SCOPE, Keys, May, add_key, read_keys, remove_key

QUESTION = {"history": ["i1"]}
READING = [
    ("POST", "/recommend", QUESTION),
    ("POST", "/recommend/batch", {"requests": [QUESTION]}),
    ("POST", "/explain", {"history": ["i1"], "item": "i2"}),
    ("GET", "/items", None),
    ("GET", "/items/i1", None),
    ("GET", "/similar/i1", None),
    ("GET", "/runs", None),
    ("GET", "/metrics", None),
    ("GET", "/openapi.json", None),
    ("GET", "/nowhere", None),
]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


def scope(*given: str) -> dict:
    return {"headers": [(b"x-api-key", key.encode()) for key in given]}


def test_a_key_is_known_by_what_was_printed_and_only_its_digest_is_kept(file):
    key = add_key(file, "shop", May.read)
    assert len(key) > 40
    assert key not in file.read_text()
    kept = json.loads(file.read_text())["keys"]
    assert [each["sha256"] for each in kept] == [hashlib.sha256(key.encode()).hexdigest()]
    found = Keys(file=file).of(scope(key))
    assert (found.name, found.may) == ("shop", May.read)


def test_no_two_keys_are_alike(file):
    assert len({add_key(file, f"shop-{number}", May.read) for number in range(5)}) == 5
    assert len(read_keys(file)) == 5


def test_several_keys_count_at_a_time_and_no_other_value_does(file):
    keys = {name: add_key(file, name, May.read) for name in ("old", "new")}
    known = Keys("single", file)
    for name, key in {**keys, "api-key": "single"}.items():
        assert known.of(scope(key)).name == name
    for given in ((), ("",), (keys["old"][:-1],), (keys["old"] + " ",), (keys["old"].upper(),), (keys["old"],) * 2):
        assert known.of(scope(*given)) is None
    assert known.of({"headers": [(b"x-api-key", b"\xff\xfe")]}) is None


def test_a_key_that_is_taken_away_counts_until_the_file_is_read_again(file):
    lost, kept = (add_key(file, name, May.change) for name in ("lost", "kept"))
    known = Keys(file=file)
    remove_key(file, "lost")
    assert known.of(scope(lost)).name == "lost"
    known.read_again()
    assert known.of(scope(lost)) is None
    assert known.of(scope(kept)).name == "kept"


def test_a_file_that_cannot_be_read_again_changes_nothing(file):
    key = add_key(file, "shop", May.read)
    known = Keys(file=file)
    file.write_text("{")
    with pytest.raises(SsnaError, match="is no file of keys"):
        known.read_again()
    assert known.of(scope(key)).name == "shop"


def test_the_last_key_can_be_taken_away_and_then_nobody_may_read(file):
    key = add_key(file, "shop", May.read)
    remove_key(file, "shop")
    known = Keys(file=file)
    assert known.guard_reading
    assert known.of(scope(key)) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "JSON"),
        ('{"format": 2, "keys": []}', "format"),
        ('{"keys": [{"name": "a", "may": "read"}]}', "keys.0.sha256"),
        ('{"keys": [{"name": "a", "may": "all", "sha256": "%s", "made": "2026-01-01T00:00:00Z"}]}' % ("0" * 64), "may"),
        ('{"keys": [{"name": "a", "may": "read", "sha256": "0", "made": "2026-01-01T00:00:00Z"}]}', "sha256"),
        ('{"keys": [], "more": 1}', "more"),
    ],
)
def test_a_file_of_something_else_is_named_with_what_is_wrong(file, content, reason):
    file.write_text(content)
    for use in (read_keys, lambda path: add_key(path, "shop", May.read), lambda path: remove_key(path, "shop")):
        with pytest.raises(SsnaError, match=rf"keys.json is no file of keys \(.*{reason}"):
            use(file)
    assert file.read_text() == content


def test_a_missing_a_huge_and_a_forbidden_file_are_named_with_the_remedy(file, monkeypatch, tmp_path):
    with pytest.raises(SsnaError, match="does not exist; make it with `ssna keys add"):
        Keys(file=file)
    with pytest.raises(SsnaError, match="cannot be read"):
        read_keys(tmp_path)
    monkeypatch.setattr(module, "LONGEST_FILE", 10)
    file.write_text(" " * 11)
    with pytest.raises(SsnaError, match="more than 10 bytes"):
        read_keys(file)


def test_a_name_stands_for_one_key_and_is_a_short_word(file):
    add_key(file, "shop", May.read)
    with pytest.raises(SsnaError, match="has a key 'shop' already"):
        add_key(file, "shop", May.change)
    for name in ("", "a b", "x" * 65, "é", "a\n"):
        with pytest.raises(SsnaError, match="up to 64 letters"):
            add_key(file, name, May.read)
    with pytest.raises(SsnaError, match="no key 'shap'; there are shop; did you mean shop"):
        remove_key(file, "shap")
    assert [key.name for key in read_keys(file)] == ["shop"]


@pytest.fixture
def guarded(run_folders, tmp_path, file):
    headers = {name: {HEADER: add_key(file, name, may)} for name, may in (("shop", May.read), ("office", May.change))}
    with served(run_folders["ssna"], tmp_path / "state", keys=Keys("secret", file)) as client:
        client.of = headers | {"single": {HEADER: "secret"}}
        yield client


@pytest.mark.parametrize(("method", "path", "body"), READING)
def test_with_a_file_of_keys_reading_needs_one_of_them(guarded, method, path, body):
    for headers in ({}, {HEADER: "wrong"}, {HEADER: ""}):
        assert error(guarded.request(method, path, json=body, headers=headers), 401)[0] == "wrong_key"
    for headers in guarded.of.values():
        status = guarded.request(method, path, json=body, headers=headers).status_code
        assert status == (404 if path == "/nowhere" else 200)


def test_probes_and_the_files_of_the_page_need_no_key(guarded):
    for path in ("/health", "/ready", "/", "/explorer.js", "/explorer.css"):
        assert guarded.get(path).status_code == 200


def test_a_key_for_reading_changes_nothing(guarded):
    for method, path, body in (
        ("PUT", "/items", PUT),
        ("DELETE", "/items/i1", None),
        ("POST", "/reload", {"run": "x"}),
    ):
        code, message = error(guarded.request(method, path, json=body, headers=guarded.of["shop"]), 403)
        assert (code, "'shop' may only read" in message) == ("key_may_not", True)
    assert guarded.service.snapshot.added == 0


@pytest.mark.parametrize("holder", ["office", "single"])
def test_keys_for_changes_change_and_read(guarded, holder):
    assert guarded.put("/items", json=PUT, headers=guarded.of[holder]).status_code == 200
    assert guarded.get("/items/new", headers=guarded.of[holder]).status_code == 200


def test_with_keys_for_reading_alone_changes_are_off(run_folders, tmp_path, file):
    key = add_key(file, "shop", May.read)
    with served(run_folders["ssna"], tmp_path / "state", keys=Keys(file=file)) as client:
        assert error(client.put("/items", json=PUT, headers={HEADER: key}), 403)[0] == "no_key"


def test_the_log_says_whose_key_it_was_and_never_the_key(guarded, capsys):
    guarded.post("/recommend", json=QUESTION, headers=guarded.of["shop"])
    guarded.post("/recommend", json=QUESTION)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("key") for line in lines if line["event"] == "request"] == ["shop", None]
    assert all(guarded.of["shop"][HEADER] not in json.dumps(line) for line in lines)


def test_each_key_has_a_rate_of_its_own(file):
    for name in ("a", "b"):
        add_key(file, name, May.read)
    a, b = read_keys(file)
    asked = {"headers": [], "client": ("10.0.0.1", 1)}
    assert client_of(asked | {OF_SCOPE: a}) not in (client_of(asked | {OF_SCOPE: b}), client_of(asked), "10.0.0.1")
