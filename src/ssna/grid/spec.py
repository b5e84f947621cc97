"""The file of a grid, and the runs that it asks for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from ssna.core.errors import SettingsError
from ssna.core.settings import Settings, Tree, assign, merge, read_toml
from ssna.runs.fitting import reads_text
from ssna.runs.recipes import read_recipe, with_method
from ssna.training import RunSettings

NAME = re.compile(r"\w[\w. -]*")
DRY_RUN: Tree = {"training": {"epochs": 2, "limit_train_batches": 20}}


class DataPlace(Settings):
    """A data set and the states of its texts."""

    name: str
    """What tables and folders call it."""
    folder: str
    """As ``ssna prepare`` made it; relative to the root."""
    cache: str | None = None
    """As ``ssna encode`` made it, ``{model}`` standing for each of the grid's models in turn."""

    _named = field_validator("name")(lambda name: _checked(name))


class EntryPlan(Settings):
    """One row of the tables: a method, and the settings that it is tried with."""

    name: str
    """What tables and folders call it."""
    method: str
    """A name in ``METHODS``."""
    recipe: str | None = None
    """In place of the grid's."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """On top of the grid's, for every configuration; sections, or dotted keys."""
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    """Dotted key -> values; every combination is a configuration."""
    more_seeds: list[int] | None = None
    """In place of the grid's."""

    _named = field_validator("name")(lambda name: _checked(name))


class GridSpec(Settings):
    """A grid: entries over data sets."""

    title: str
    """What the grid is for."""
    recipe: str | None = None
    """What every entry starts from."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """On top of the recipe, for every entry; sections, or dotted keys; not ``method``, which belongs to entries."""
    seeds: list[int] = Field([0], min_length=1)
    """Every configuration runs once with each."""
    more_seeds: list[int] = Field(default_factory=list)
    """The best configuration of each entry, by the mean of ``training.monitor``, runs with these seeds as well."""
    dry_run: dict[str, Any] = Field(default_factory=lambda: DRY_RUN)
    """On top of all for a dry run."""
    models: list[str] = Field(default_factory=list)
    """Names of language models; an entry that reads text runs with each, from the cache of that name."""
    data: list[DataPlace] = Field(min_length=1)
    """The data sets, ``[[data]]`` each."""
    entries: list[EntryPlan] = Field(min_length=1)
    """The methods, ``[[entries]]`` each."""

    @classmethod
    def read(cls, path: Path) -> "GridSpec":
        """From a TOML file. Raises :class:`SettingsError` with the culprit."""
        if path.is_dir():
            raise SettingsError(f"{path} is a folder; name a grid's .toml file")
        tree = read_toml(path)
        if incomplete := _incomplete(tree):
            raise SettingsError(f"{path}: {incomplete}")
        spec = cls.parse(tree, str(path))
        if "method" in _sections(spec.settings):
            raise SettingsError(
                f"{path}: [settings] holds settings of a method, which others do not have; put them in the settings of "
                "each entry that they are for"
            )
        for what, names in (
            ("data sets", [place.name for place in spec.data]),
            ("entries", [entry.name for entry in spec.entries]),
            ("models", spec.models),
        ):
            if twice := {name for name in names if names.count(name) > 1}:
                raise SettingsError(f"{path}: two {what} are called {min(twice)}; give each its own name")
        return spec

    def only(self, names: Sequence[str]) -> "GridSpec":
        """Restricted to the data sets, entries and models named; all of a kind of which none is named."""
        known = {place.name for place in self.data} | {entry.name for entry in self.entries} | set(self.models)
        if unknown := [name for name in names if name not in known]:
            raise SettingsError(f"the grid has no {unknown[0]!r}; it has {', '.join(sorted(known))}")
        data = [place for place in self.data if place.name in names] or self.data
        entries = [entry for entry in self.entries if entry.name in names] or self.entries
        models = [model for model in self.models if model in names] or self.models
        return self.model_copy(update={"data": data, "entries": entries, "models": models})


@dataclass(frozen=True)
class Task:
    """One run to be: on which data, for which row, in which configuration, with which seed."""

    place: DataPlace
    model: str | None
    entry: EntryPlan
    configuration: dict[str, Any]
    settings: RunSettings

    @property
    def label(self) -> str:
        """``layers=2,batch_size=256`` (seed 0), readable and safe as a folder's name."""
        keys = list(self.configuration)
        tails = [key.rsplit(".", 1)[-1] for key in keys]
        shown = tails if len(set(tails)) == len(tails) else keys
        parts = [f"{key}={_plain(value)}" for key, value in zip(shown, self.configuration.values(), strict=True)]
        return ",".join([*parts, f"seed={self.settings.seed}"])

    @property
    def folder(self) -> Path:
        """Below the grid's folder."""
        return Path(self.place.name, *([self.model] if self.model else []), self.entry.name, self.label)

    @property
    def cache(self) -> str | None:
        """The cache's folder; None for a run that reads no text."""
        if self.place.cache is None or not reads_text(self.settings):
            return None
        return self.place.cache.replace("{model}", self.model or "")


def tasks(spec: GridSpec, dry_run: bool = False) -> list[Task]:
    """All configurations of all entries on all data sets, with ``seeds``.

    Raises:
        SettingsError: a setting of some run is wrong.
    """
    result = []
    for place, entry in product(spec.data, spec.entries):
        for configuration in _configurations(entry):
            for seed in spec.seeds:
                settings = _settings(spec, entry, configuration, seed, dry_run)
                models = spec.models if reads_text(settings) and spec.models else [None]
                result += [Task(place, model, entry, configuration, settings) for model in models]
    return sorted(result, key=lambda task: (spec.data.index(task.place), task.model or ""))


def _settings(spec: GridSpec, entry: EntryPlan, configuration: Tree, seed: int, dry_run: bool) -> RunSettings:
    recipe = entry.recipe or spec.recipe
    tree = read_recipe(recipe) if recipe else {}
    tree = with_method(merge(tree, _sections(spec.settings)), entry.method)
    tree = merge(merge(tree, _sections(entry.settings)), _sections(configuration))
    if dry_run:
        tree = merge(tree, _sections(spec.dry_run) | {"dry_run": True})
    return RunSettings.parse(tree | {"seed": seed}, f"entry {entry.name}")


def _configurations(entry: EntryPlan) -> list[Tree]:
    return [dict(zip(entry.grid, values, strict=True)) for values in product(*entry.grid.values())]


def _sections(tree: Tree) -> Tree:
    """Dotted keys unfolded into sections."""
    result: Tree = {}
    for key, value in tree.items():
        if "." in key:
            assign(result, key, value)
        else:
            result = merge(result, {key: value})
    return result


def _incomplete(tree: Tree) -> str:
    """Which keys a grid needs and ``tree`` lacks, and which it has in vain; empty if it lacks none."""
    try:
        GridSpec.model_validate(tree)
    except ValidationError as invalid:
        wrong = [(error["type"], ".".join(map(str, error["loc"]))) for error in invalid.errors()]
        missing = [f"{key} is missing" for kind, key in wrong if kind == "missing"]
        unknown = [f"unknown setting {key}" for kind, key in wrong if kind == "extra_forbidden"]
        return "; ".join([*missing, *unknown][:3]) if missing else ""
    return ""


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("a name becomes a folder: letters, digits, blanks, . _ and - only")
    return name


def _plain(value: Any) -> str:
    return re.sub(r"[^\w.+-]+", "_", str(value)) or "_"
