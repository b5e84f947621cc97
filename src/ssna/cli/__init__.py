"""``ssna``: one file a verb, loaded when it is called; no logic of its own."""

import re
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ssna import __version__
from ssna.compute.threads import shorten_waiting
from ssna.core.errors import Interrupted, SsnaError, there_are

VERBS = {
    "demo": "Everything below, on MovieLens-100K, in one go.",
    "prepare": "Logs and item texts -> a data set.",
    "data": "What is in a data set; a smaller one.",
    "encode": "Texts of a data set -> a cache of language model states.",
    "train": "A data set and a cache -> a run: a trained or fitted recommender and its figures.",
    "evaluate": "The figures of a run.",
    "grid": "Many runs from one file: what is finished is skipped, several processes may share it.",
    "compare": "Runs side by side in one table.",
    "recommend": "Histories in, ranked items out.",
    "serve": "A run as an HTTP service that learns new items and keeps users.",
    "keys": "Who may ask a server, and what.",
    "export-events": "What users of a service did -> logs for prepare.",
    "export": "A run for other programs: FAISS, Parquet, ONNX, a model hub.",
}


_UsageError: Any = typer.BadParameter.__bases__[0]  # which typer does not export


class Verbs(TyperGroup):
    """Looks a verb up in ``VERBS`` and imports its module only then."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the road from logs to recommendations."""
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """From ``VERBS`` alone: help imports no verb."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: Any) -> Any:
        """A wrong use is told in words of ours, not in those of the libraries below."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:  # typer would end without a word
            said = f"; {stop.for_command_line}" if isinstance(stop, Interrupted) else ""
            _fail(f"interrupted{said}", 130)
        except _UsageError as error:
            error.message = _plain(error)
            raise

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb's function, or its group of functions, as a command."""
        if cmd_name not in VERBS:
            return None
        name = cmd_name.replace("-", "_")
        verb = getattr(import_module(f"ssna.cli.{name}"), name)
        app = typer.Typer(name=cmd_name, help=VERBS[cmd_name], add_completion=False, rich_markup_mode=None)
        if isinstance(verb, typer.Typer):  # with verbs of its own
            app.add_typer(verb)
        else:
            app.command(cmd_name, help=VERBS[cmd_name])(verb)
        return typer.main.get_command(app)


app = typer.Typer(
    cls=Verbs,
    name="ssna",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _plain(error: Any) -> str:
    """The message of a usage error, with the name that may be meant in the place of a wrong one."""
    message = _reason(error)
    if choice := re.fullmatch(r"['\"](.*)['\"] is not one of (.*)\.", message):
        names = re.findall(r"'([^']*)'", choice[2])
        return f"there is no {choice[1]!r}; {there_are(names, choice[1])}"
    if verb := re.fullmatch(r"No such command '(.*)'\.", message):
        return f"there is no command {verb[1]!r}; {there_are(error.ctx.command.list_commands(error.ctx), verb[1])}"
    if "extra argument" in message and any(param.name == "text_cols" for param in error.ctx.command.params):
        return f"{message}; leave no blank after the comma in --text-cols, or quote the names"
    return message


def _reason(error: Any) -> str:
    from pydantic import ValidationError  # takes its time, and is needed here only

    from ssna.core.settings import reason

    cause = error.__cause__
    return reason(cause.errors()[0]) if isinstance(cause, ValidationError) else str(error.message)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"ssna {__version__}")
        raise typer.Exit


@app.callback()
def ssna(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """From interaction logs and item texts to a recommender that understands text."""


def main() -> None:
    """Run a verb. Exit codes: 0 done, 1 a named error, 2 usage, 3 done in part, 130 interrupted, 143 ended."""
    if sys.platform == "win32":
        _fail("this is no POSIX system; use Linux, macOS or the Windows Subsystem for Linux", 1)
    shorten_waiting()
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left lying about
    try:
        app()
    except SsnaError as error:
        _fail(error.for_command_line, 1)
    except FileNotFoundError as error:
        _fail(f"{error.filename} does not exist; check the path", 1)
    except FileExistsError as error:
        _fail(f"{error.filename} is a file and no folder; check the path", 1)
    except OSError as error:
        denied = isinstance(error, PermissionError)
        remedy = "give yourself the right, or name another path" if denied else "nothing was left half-written"
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}; {remedy}", 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(message: str, code: int) -> None:
    print(f"ssna: {message}", file=sys.stderr)
    sys.exit(code)
