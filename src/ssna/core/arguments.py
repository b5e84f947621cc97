"""Arguments of the wrong type are an error in words, where Python alone would go on and fail elsewhere."""

import datetime as dt
import functools
import inspect
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from ssna.core.errors import SettingsError, option, there_are

P = ParamSpec("P")
R = TypeVar("R")

_WORDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    Path: "a path",
    dt.date: "a date",
    dt.datetime: "a date",
    type(None): "None",
}
_LONGEST = 60  # of a value that is shown


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, with a :class:`SettingsError` for an argument that is none of the plain types of its annotation.

    Arguments of other types are the function's own to check. Scalars of NumPy count as those of Python.
    """
    signature = inspect.signature(function)

    @functools.cache
    def plain() -> dict[str, tuple[type, ...]]:
        hints = {name: kinds(hint) for name, hint in get_type_hints(function).items() if name in signature.parameters}
        return {name: found for name, found in hints.items() if found}

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as wrong:
            raise SettingsError(f"{function.__name__}: {_with_names(str(wrong), signature)}") from None
        for name, allowed in plain().items():
            if name in bound.arguments:
                bound.arguments[name] = _converted(name, bound.arguments[name], allowed)
        return function(*bound.args, **bound.kwargs)

    return call


def kinds(hint: Any) -> tuple[type, ...]:
    """The plain types that a hint allows; none where it allows others, too."""
    if get_origin(hint) in (Union, types.UnionType):
        parts = [kinds(part) for part in get_args(hint)]
        return tuple(dict.fromkeys(kind for part in parts for kind in part)) if all(parts) else ()
    if get_origin(hint) is Literal:
        return (str,)
    return (hint,) if hint in _WORDS else ()


def _converted(name: str, value: Any, allowed: tuple[type, ...]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        fits = bool in allowed
    elif isinstance(value, os.PathLike):
        fits = Path in allowed
    else:
        fits = isinstance(value, allowed) or (isinstance(value, int) and float in allowed)
    if fits:
        return value
    words = [_WORDS[kind] for kind in allowed if kind is not type(None)]
    wanted = " or ".join(dict.fromkeys(words))
    if isinstance(value, str | int | float | bool | None) and len(repr(value)) <= _LONGEST:
        given = f"{name} is None" if value is None else option(name, value)
        raise SettingsError(f"{given}: it must be {wanted}")
    module = type(value).__module__.partition(".")[0]
    kind = type(value).__name__ if module == "builtins" else f"{module} {type(value).__name__}"
    raise SettingsError(f"{name} must be {wanted}, not a {kind}")


def _with_names(wrong: str, signature: inspect.Signature) -> str:
    """What ``inspect`` says, and the names that there are where one is not known."""
    if "unexpected keyword" not in wrong:
        return wrong
    given = wrong.rsplit("'", 2)[1]
    return (
        f"there is no argument {given!r}; {there_are([name for name in signature.parameters if name != 'self'], given)}"
    )
