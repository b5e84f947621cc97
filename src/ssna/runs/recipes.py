"""From a recipe, a method, a file and ``--set`` to the settings of a run."""

import copy
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from ssna.core.errors import SettingsError, option, there_are
from ssna.core.settings import Tree, assign, merge, read_toml
from ssna.training import RunSettings

RECIPES = ("best", "fast", "text", "paper")


def resolve(
    recipe: str | None = None,
    method: str | None = None,
    config: Path | None = None,
    settings: Iterable[str] = (),
    seed: int | None = None,
) -> RunSettings:
    """Settings, each source on top of the one before: recipe, ``config`` file, ``method``, ``settings``, seed.

    Without a recipe and a method it is the recipe ``best``; a method alone has its own defaults. A method other
    than the recipe's takes the place of the recipe's ``[method]`` section.

    Args:
        settings: assignments, ``section.key=value`` each.
    """
    if recipe is None and method is None and config is None:
        recipe = "best"
    tree = read_recipe(recipe) if recipe else {}
    if config is not None:
        tree = merge(tree, read_toml(config))
    settings = _assignments(settings)
    assigned = override({}, settings).get("method", {})
    if not isinstance(assigned, dict):
        culprit = option("settings", f"method={assigned}", "--set")
        raise SettingsError(f"{culprit}: choose a method with {option('method', assigned)}")
    tree = override(with_method(tree, assigned.get("name", method)), settings)
    if seed is not None:
        tree["seed"] = seed
    return RunSettings.parse(tree)


def with_method(tree: Tree, method: str | None) -> Tree:
    """``tree`` with ``method``'s defaults for its ``[method]`` section, unless it is that method's already."""
    section = tree.get("method")
    if method is None or (isinstance(section, dict) and section.get("name") == method):
        return tree
    return tree | {"method": {"name": method}}


def read_recipe(name: str) -> Tree:
    """A recipe of the package by name. Raises :class:`SettingsError` for any other name."""
    if name not in RECIPES:
        raise SettingsError(f"there is no recipe {name!r}; {there_are(RECIPES, name)}")
    return tomllib.loads(files("ssna.recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def override(tree: Tree, settings: Iterable[str]) -> Tree:
    """A copy of ``tree`` with ``section.key=value`` settings on top; values are TOML, or else plain strings."""
    result = copy.deepcopy(tree)
    for assignment in settings:
        culprit = option("settings", assignment, "--set")
        dotted, separator, text = assignment.partition("=")
        if not separator or not dotted.strip():
            raise SettingsError(f"{culprit}: write it as section.key=value")
        try:
            assign(result, dotted.strip(), _value(text.strip()))
        except SettingsError as wrong:
            raise SettingsError(f"{culprit}: {wrong}") from None
    return result


def _assignments(settings: Iterable[str]) -> tuple[str, ...]:
    """A single one need not stand in a list. Raises :class:`SettingsError` for what is no list of text."""
    if isinstance(settings, str):
        return (settings,)
    given = tuple(settings) if isinstance(settings, Iterable) else (settings,)
    if isinstance(settings, Mapping) or not all(isinstance(assignment, str) for assignment in given):
        raise SettingsError(
            f'settings is a list of "section.key=value", such as ["training.epochs=5"]; it was given as {settings!r}'
        )
    return given


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
