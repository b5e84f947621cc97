"""Arguments of the wrong type, and what is said of them."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from ssna.core.arguments import checked, kinds
from ssna.core.errors import SettingsError


@checked
def made(
    rows: Sequence[str],
    k: int = 10,
    share: float = 0.5,
    quiet: bool = False,
    out: str | Path | None = None,
    kind: Literal["a", "b"] = "a",
    since: str | int | float | dt.date | None = None,
):
    """What it says."""
    return rows, k, share, quiet, out, kind, since


def test_what_fits_is_passed_on_and_scalars_of_numpy_become_those_of_python():
    given = made(["x"], np.int64(3), 1, np.bool_(True), Path("a"), "b", dt.date(2024, 5, 31))
    assert given == (["x"], 3, 1, True, Path("a"), "b", dt.date(2024, 5, 31))
    assert [type(value) for value in given[1:4]] == [int, int, bool]
    assert made(object(), out="a")[4] == "a"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": "5"}, "k = '5': it must be a whole number"),
        ({"k": 10.0}, "k = 10.0: it must be a whole number"),
        ({"k": np.float64(10)}, "k = 10.0: it must be a whole number"),
        ({"k": True}, "k = True: it must be a whole number"),
        ({"k": None}, "k is None: it must be a whole number"),
        ({"k": [10]}, "k must be a whole number, not a list"),
        ({"share": "half"}, "share = 'half': it must be a number"),
        ({"quiet": 1}, "quiet = 1: it must be True or False"),
        ({"out": 7}, "out = 7: it must be text or a path"),
        ({"out": pd.DataFrame()}, "out must be text or a path, not a pandas DataFrame"),
        ({"out": b"x" * 999}, "out must be text or a path, not a bytes"),
        ({"kind": Path("a")}, "kind must be text, not a pathlib PosixPath"),
        ({"since": [1]}, "since must be text or a whole number or a number or a date, not a list"),
        (
            {"kk": 1},
            "made: there is no argument 'kk'; there are rows, k, share, quiet, out, kind, since; did you mean k?",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_it_must_be(wrong, message):
    with pytest.raises(SettingsError) as error:
        made([], **wrong)
    assert str(error.value) == message


def test_a_missing_argument_is_named():
    with pytest.raises(SettingsError, match="made: missing a required argument: 'rows'"):
        made()


def test_help_shows_the_function_itself():
    assert made.__doc__ == "What it says."
    assert made.__wrapped__.__name__ == made.__name__ == "made"


@pytest.mark.parametrize(
    ("hint", "found"), [(int | Sequence[int], ()), (object, ()), (Literal["all"] | int, (str, int))]
)
def test_only_hints_of_plain_types_are_checked(hint, found):
    assert kinds(hint) == found
