"""Commands and snippets of README and docs, but for the guide, are run as they are written; all can be parsed."""

import ast
import shlex
import subprocess

import pytest
from documented import GUIDE, PAGES, REASONS, ROOT, RUN, commands, run_all, snippets


@pytest.mark.long
@pytest.mark.parametrize(
    "path", [path for path in RUN if path not in GUIDE], ids=lambda path: str(path.relative_to(ROOT))
)
def test_documented_commands_run_as_they_are_written(path, prepared, tmp_path):
    run_all(path, prepared, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_not_run_is_marked_and_can_be_parsed(path):
    for snippet in snippets(path):
        assert snippet.language, f"{path}:{snippet.line}: a fence without a language"
        assert snippet.reason in {None, *REASONS}, f"{path}:{snippet.line}: {snippet.reason}"
        if snippet.language == "python":
            ast.parse(snippet.code)
        elif snippet.language == "sh":
            subprocess.run(["bash", "-n", "-c", snippet.code], check=True, capture_output=True)
            for line in snippet.code.replace("\\\n", " ").splitlines():
                command = shlex.split(line, comments=True)
                if command and command[0] == "ssna":
                    require_known(command[1:], f"{path}:{snippet.line}")


def require_known(arguments: list[str], where: str) -> None:
    """The verb of a command, and every long option of it, are in its help."""
    from test_vocabulary import command_words

    verb, *rest = [word for word in arguments if word not in ("--version", "--help")] or [None]
    if verb is None:
        return
    known = command_words(verb)
    unknown = [word.split("=")[0] for word in rest if word.startswith("--") and word.split("=")[0] not in known]
    assert not unknown, f"{where}: ssna {verb} has no {unknown[0]}"


def test_fences_are_found():
    assert snippets(ROOT / "README.md")
    assert ROOT / "README.md" in RUN


def test_only_a_page_that_another_one_begins_with_is_not_run_itself():
    assert {path for path in PAGES if commands(path)} - {*RUN} == {ROOT / "docs" / "index.md"}
