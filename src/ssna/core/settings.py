"""The strict base of all settings, and their way from TOML files to checked values."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from ssna.core.errors import SettingsError, there_are

Tree = dict[str, Any]
SettingsT = TypeVar("SettingsT", bound="Settings")


class Settings(BaseModel):
    """Frozen values, declared next to what they set; an unknown key fails and names the known ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @classmethod
    def parse(cls: type[SettingsT], tree: Mapping[str, Any], source: str = "settings") -> SettingsT:
        """Check a nested mapping. Raises :class:`SettingsError` in one line per culprit (at most three)."""
        try:
            return cls.model_validate(tree)
        except ValidationError as invalid:
            lines = [_explain(cls, error) for error in invalid.errors()[:3]]
            raise SettingsError(f"{source}: " + "; ".join(lines)) from None

    def tree(self) -> Tree:
        """Plain JSON values, unset options left out (TOML has no null)."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)

    def to_toml(self) -> str:
        """The same settings as TOML text."""
        return tomli_w.dumps(self.tree())


def read_toml(path: Path) -> Tree:
    """A TOML file as a tree. Raises :class:`SettingsError` with the culprit."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist; check the path") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise SettingsError(f"{path} is not a TOML file: {cause}") from None


def assign(tree: Tree, dotted: str, value: Any) -> None:
    """Put ``value`` at ``section.key`` of ``tree``, in place."""
    *sections, key = dotted.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise SettingsError(f"{section} is a value, not a section")
    tree[key] = value


def merge(base: Tree, top: Mapping[str, Any]) -> Tree:
    """``base`` with every leaf of ``top`` in place of its own."""
    result = dict(base)
    for key, value in top.items():
        below = result.get(key)
        result[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return result


def reason(error: Any) -> str:
    """What is wrong with a value, in a few words of ours; ``error`` is one of pydantic's ``errors()``."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return there_are(re.findall(r"'([^']*)'", context["expected"]), error["input"])
    if kind in _REASONS:
        limits = {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in context.items()}
        return f"it must be {_REASONS[kind].format(**limits)}"
    return str(error["msg"]).removeprefix("Value error, ")


_REASONS = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "text",
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("model_type", "dict_type"), "a section"),
    "too_short": "a list of at least {min_length}",
}
"""Kind of error -> what a value must be; pydantic's own words are those of a library."""


def _explain(root: type[BaseModel], error: Any) -> str:
    path = [str(part) for part in error["loc"]]
    dotted = ".".join(path)
    if error["type"] == "missing":
        return f"{dotted} is missing"
    if error["type"] != "extra_forbidden":
        return f"{dotted} = {error['input']!r}: {reason(error)}"
    known = _keys_at(root, path[:-1])
    beside = [".".join([*path[:-1], name]) for name in difflib.get_close_matches(path[-1], known, n=1)]
    close = beside or _homes(root, path[-1])
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
    return f"unknown setting {dotted}; {hint}"


def _homes(root: type[BaseModel], key: str) -> list[str]:
    """The sections that know ``key``, as dotted paths."""
    return [f"{section}.{key}" for section in _fields(root) if key in _keys_at(root, [section])]


def _keys_at(root: type[BaseModel], path: list[str]) -> list[str]:
    model: Any = root
    for part in path:
        if part.isdigit():  # a place in a list
            model = next(iter(get_args(model)), None)
        else:
            found = _fields(model).get(part) if _is_section(model) else None
            model = found.annotation if found else None
    return sorted(_fields(model)) if _is_section(model) else []


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """By the names that files and ``--set`` have for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _is_section(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, BaseModel)
