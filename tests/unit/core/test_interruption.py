"""What an interruption says."""

import pytest

from ssna.core.errors import Interrupted, keeping, option


def interrupt():
    raise KeyboardInterrupt


def test_an_interruption_says_what_is_kept_in_the_words_of_the_side_that_called():
    with pytest.raises(KeyboardInterrupt) as stop, keeping(lambda: f"kept; {option('resume')} goes on"):
        interrupt()
    assert str(stop.value) == "kept; resume goes on"
    assert stop.value.for_command_line == "kept; --resume goes on"


def test_the_innermost_says_it():
    with pytest.raises(Interrupted, match=r"^inner$"), keeping(lambda: "outer"), keeping(lambda: "inner"):
        interrupt()


def test_other_failures_pass():
    with pytest.raises(ValueError, match="other"), keeping(lambda: "kept"):
        raise ValueError("other")
