"""From a recipe, a method, a file and ``--set`` to the settings of a run."""

import copy
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from ssna.core.errors import SettingsError
from ssna.core.settings import Tree, assign, merge, read_toml
from ssna.training import RunSettings

RECIPES = ("paper", "best", "fast", "text")


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
    settings = (settings,) if isinstance(settings, str) else tuple(settings)
    assigned = override({}, settings).get("method", {})
    if not isinstance(assigned, dict):
        raise SettingsError(f"--set method={assigned}: choose a method with --method {assigned}")
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
        raise SettingsError(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}")
    return tomllib.loads(files("ssna.recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def override(tree: Tree, settings: Iterable[str]) -> Tree:
    """A copy of ``tree`` with ``section.key=value`` settings on top; values are TOML, or else plain strings."""
    result = copy.deepcopy(tree)
    for assignment in settings:
        dotted, separator, text = assignment.partition("=")
        if not separator or not dotted.strip():
            raise SettingsError(f"--set {assignment}: write it as section.key=value")
        try:
            assign(result, dotted.strip(), _value(text.strip()))
        except SettingsError as wrong:
            raise SettingsError(f"--set {assignment}: {wrong}") from None
    return result


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
