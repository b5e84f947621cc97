"""Everything that ssna raises on purpose.

    SsnaError                 one or two lines: the culprit, what is wrong, and the remedy
    ├── SettingsError         an unknown key, a value out of range, a recipe that does not exist
    ├── DataError             logs, item files and data folders
    ├── EncoderError          a language model that cannot be found, loaded or run
    ├── CacheError            a layer cache that is damaged, or belongs to other texts
    ├── TrainingError         a run that cannot go on (a loss that is not finite, no targets to learn from)
    ├── ProcessError          another process of the same run (torchrun) ended, or does not answer
    └── ArtifactError         a run or model folder that is missing, foreign or damaged

The command line prints the message and exits with 1; a traceback is always a defect of ssna.
"""

import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

_VERY_MANY = 30  # names, in one message
_WORDED = re.compile("\0([^\0]*)\0([^\0]*)\0")


def worded(*, python: str, shell: str) -> str:
    """Words for the message of an :class:`SsnaError`; whoever prints it chooses those of Python or of the shell."""
    return f"\0{python}\0{shell}\0"


def for_python(message: str) -> str:
    """A message with :func:`worded` parts, as Python has them."""
    return _WORDED.sub(r"\1", message)


def for_shell(message: str) -> str:
    """A message with :func:`worded` parts, as the command line has them."""
    return _WORDED.sub(r"\2", message)


def option(name: str, value: object = None, flag: str | None = None) -> str:
    """How an option stands in the message of an :class:`SsnaError`, with its value where there is one.

    It is ``min_user = 3`` in Python and ``--min-user 3`` on the command line; ``flag`` is for an option that is called
    otherwise there.
    """
    python, shell = name, flag or f"--{name.replace('_', '-')}"
    if value is not None:
        words = ",".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
        python, shell = f"{python} = {value!r}", f"{shell} {shlex.quote(words)}"
    return worded(python=python, shell=shell)


def there_are(known: Iterable[str], given: object) -> str:
    """For a message about ``given``, which is none of the ``known`` names: what they are, and which may be meant. Of
    very many, only this."""
    names = list(known)
    close = difflib.get_close_matches(str(given), names, n=1)
    if close and len(names) > _VERY_MANY:
        return f"did you mean {close[0]}?"
    return f"there are {', '.join(names)}" + (f"; did you mean {close[0]}?" if close else "")


class SsnaError(Exception):
    """The base of the tree above. ``str(error)`` is meant for people, and names options as Python does."""

    def __str__(self) -> str:
        return for_python(super().__str__())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    @property
    def for_command_line(self) -> str:
        """The message, with options as the command line has them."""
        return for_shell(super().__str__())


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or the interruption of a cell; the message says what is kept, and how to go on."""

    def __str__(self) -> str:
        return for_python(super().__str__())

    @property
    def for_command_line(self) -> str:
        """The message, with options as the command line has them."""
        return for_shell(super().__str__())


@contextmanager
def keeping(what: Callable[[], str]) -> Iterator[None]:
    """An interruption inside says ``what()`` is kept."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise stop if isinstance(stop, Interrupted) else Interrupted(what()) from None


class SettingsError(SsnaError):
    """A setting is unknown, or its value is not allowed."""


class DataError(SsnaError):
    """Logs, item texts or a data folder cannot be used."""


class EncoderError(SsnaError):
    """A language model cannot be found, loaded or run."""


class CacheError(SsnaError):
    """A layer cache is damaged, or does not hold the texts asked for."""


class TrainingError(SsnaError):
    """Training cannot start or go on."""


class ProcessError(SsnaError):
    """Another process of the same run ended, or does not answer."""


class ArtifactError(SsnaError):
    """A run folder or a saved model is missing, foreign or damaged."""
