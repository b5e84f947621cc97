"""Old names are gone: each of ``tests/vocabulary.toml``, by its qualified name, and every coined word."""

import ast
import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

import ssna
from ssna.cli import VERBS
from ssna.core.errors import SettingsError
from ssna.runs import resolve

ROOT = Path(__file__).parents[2]
VOCABULARY = tomllib.loads((ROOT / "tests" / "vocabulary.toml").read_text(encoding="utf-8"))
COINED = set(VOCABULARY["coined"])


def resolved(qualified: str) -> Any:
    """What ``module:name.attribute`` is. Raises :class:`LookupError` if there is nothing of this name."""
    module, _, dotted = qualified.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        raise LookupError(module) from None
    for name in filter(None, dotted.split(".")):
        fields = getattr(found, "__dataclass_fields__", {})
        if not hasattr(found, name) and name not in fields:
            raise LookupError(name)
        found = getattr(found, name, fields.get(name))
    return found


@pytest.mark.parametrize("old", VOCABULARY["names"])
def test_no_old_name_resolves(old):
    with pytest.raises(LookupError):
        resolved(old)


@pytest.mark.parametrize(("old", "new"), VOCABULARY["names"].items())
def test_every_new_name_resolves(old, new):
    module, _, dotted = old.partition(":")
    if new.startswith("ssna."):
        qualified = new
    else:
        *owner, _ = dotted.split(".")
        qualified = f"{module}:{'.'.join([*owner, new])}"
    if new and not new.endswith("_extra_state"):  # torch's own names, which one method alone has
        resolved(qualified)


@pytest.mark.parametrize("old", VOCABULARY["settings"])
def test_no_old_setting_is_known(old):
    with pytest.raises(SettingsError, match="unknown setting"):
        resolve("best", settings=[f"{old}=1"])


@pytest.mark.parametrize("new", sorted(set(filter(None, VOCABULARY["settings"].values()))))
def test_every_new_setting_is_known(new):
    value: Any = resolve("best", settings=["training.limit_train_batches=1"]).tree()
    for key in new.split("."):
        assert key in value
        value = value[key]


@pytest.mark.parametrize(("key", "old"), [(key, old) for key, values in VOCABULARY["values"].items() for old in values])
def test_no_old_value_of_a_setting_is_allowed(key, old):
    with pytest.raises(SettingsError, match=re.escape(key)):
        resolve("best", settings=[f"{key}={old}"])


def command_of(verb: str):
    name = verb.replace("-", "_")
    return getattr(importlib.import_module(f"ssna.cli.{name}"), name)


def command_words(verb: str) -> set[str]:
    """Options and verbs that the help of a verb, and of the verbs below it, speaks of."""
    found = command_of(verb)
    if isinstance(found, typer.Typer):
        app = found
    else:
        app = typer.Typer()
        app.command()(found)
    command = typer.main.get_command(app)
    commands = [command, *getattr(command, "commands", {}).values()]
    options = {option for one in commands for parameter in one.params for option in parameter.opts}
    return options | set(getattr(command, "commands", {}))


@pytest.mark.parametrize(("verb", "old"), [(verb, old) for verb, olds in VOCABULARY["options"].items() for old in olds])
def test_no_old_option_is_known(verb, old):
    assert old not in command_words(verb)


@pytest.mark.parametrize("verb", VERBS)
def test_no_option_or_help_text_holds_a_coined_word(verb):
    app = command_of(verb)
    if not isinstance(app, typer.Typer):
        app, function = typer.Typer(), app
        app.command()(function)
    shown = CliRunner().invoke(app, ["--help"]).output
    assert not coined_in(shown)
    assert not {word for option in command_words(verb) for word in words(option)} & COINED


@pytest.mark.parametrize(
    ("function", "old"), [(function, old) for function, olds in VOCABULARY["arguments"].items() for old in olds]
)
def test_no_old_argument_is_taken(function, old):
    assert old not in inspect.signature(resolved(function)).parameters


def keys_of(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from keys_of(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from keys_of(value)


def test_files_of_a_run_have_no_old_key(make_data, tmp_path):
    rng = np.random.default_rng(0)
    data = make_data([rng.integers(1, 12, 6).tolist() for _ in range(20)])
    settings = ["dim=4", "training.epochs=1", "sequence.ffn_dim=4", "ensemble.members=['popularity']"]
    ssna.train(data, method="ids", settings=settings, out=tmp_path / "run", quiet=True)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    found = {*keys_of(record), *keys_of(tomllib.loads((tmp_path / "run" / "settings.toml").read_text()))}
    assert not found & {*VOCABULARY["json"]["record"], *COINED}


def test_the_manifest_of_a_data_folder_has_no_old_key(tmp_path):
    rows = "".join(f"u{user},i{item},{item + user},text {item}\n" for user in range(6) for item in range(6))
    (tmp_path / "logs.csv").write_text("user,item,time,title\n" + rows)
    data = ssna.prepare(tmp_path / "logs.csv", out=tmp_path / "data", quiet=True)
    found = {*keys_of(dict(data.manifest)), *keys_of(json.loads((tmp_path / "data" / "manifest.json").read_text()))}
    assert "interactions" in found
    assert not found & {*VOCABULARY["json"]["manifest"], *COINED}


def words(identifier: str) -> set[str]:
    """``log_chance`` for ``some_log_chance``, ``room`` for ``BatchRoom``: parts of an identifier and runs of these."""
    parts = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", identifier)]
    return {"_".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, min(i + 4, len(parts) + 1))}


def coined_in(text: str) -> set[str]:
    """Coined words of a message, blanks standing for underscores."""
    lower = re.sub(r"[^a-z]+", " ", text.lower())
    return {word for word in COINED if f" {word.replace('_', ' ')} " in f" {lower} "}


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        for attribute in ("id", "attr", "arg", "name", "asname"):
            value = getattr(node, attribute, None)
            if isinstance(value, str):
                yield getattr(node, "lineno", 0), value


def messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Strings but for docstrings, and for the names that data folders of before, whose format is the same, have."""
    left = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").startswith("_FORMER"):
            left |= {id(below) for below in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_identifier_key_or_message_is_a_coined_word(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [f"{line}: {name}" for line, name in identifiers(tree) if words(name) & COINED]
    found += [f"{line}: {text[:60]!r}" for line, text in messages(tree) if coined_in(text)]
    assert not found, f"{path}: {found}"


def test_coined_words_are_found():
    tree = ast.parse(
        "class BatchRoom:\n    left_behind = 0\nraise ValueError('3 items were left out')\nx = {'join': 1}"
    )
    assert [name for _, name in identifiers(tree) if words(name) & COINED] == ["BatchRoom", "left_behind"]
    assert [text for _, text in messages(tree) if coined_in(text)] == ["3 items were left out"]


OF_OTHERS = {
    "--no-deps",
    "--nproc-per-node",
    "--always",
    "--dirty",
    "--abbrev",
    "--exclude",
    "--error-unmatch",
}  # pip, torchrun, git


def test_every_option_that_a_message_names_exists():
    known = {word for verb in VERBS for word in command_words(verb)} | {"--help", "--version", "--set"} | OF_OTHERS
    unknown = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for line, text in messages(ast.parse(path.read_text(encoding="utf-8"))):
            named = re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)
            unknown += [f"{path.name}:{line} {option}" for option in named if option not in known]
    assert not unknown
