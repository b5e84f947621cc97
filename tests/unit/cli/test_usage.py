"""What the command line says of wrong choices, numbers and names: our words, and what may be meant."""

import pytest
from typer.testing import CliRunner

from ssna.cli import app


def refused(*words: str) -> str:
    """The last line on standard error, behind the usage."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    return result.stderr.splitlines()[-1].removeprefix("Error: Invalid value for ").removeprefix("Error: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("evaluate", "RUN", "--split", "tset"),
            "'--split': there is no 'tset'; there are valid, test; did you mean test?",
        ),
        (
            ("encode", "DATA", "-o", "CACHE", "--pooling", "x"),
            "'--pooling': there is no 'x'; there are cls, mean, last",
        ),
        (
            ("export", "RUN", "--to", "fais", "-o", "OUT"),
            "'--to': there is no 'fais'; there are faiss, parquet, onnx, hub; did you mean faiss?",
        ),
        (
            ("prepare", "LOGS", "--split", "tim", "--check"),
            "'--split': there is no 'tim'; there are leave-one-out, time, predefined, none; did you mean time?",
        ),
        (("recommend", "RUN", "-k", "0"), "'-k': it must be at least 1"),
        (("recommend", "RUN", "-k", "two"), "'-k': it must be a whole number"),
        (("evaluate", "RUN", "-k", "0"), "'-k': it must be at least 1"),
        (("serve", "RUN", "--port", "99999"), "'--port': it must be at most 65535"),
        (("data", "sample", "DATA", "--users", "0", "-o", "OUT"), "'--users': it must be at least 1"),
        (("data", "holdout-items", "DATA", "-o", "OUT", "--share", "2"), "'--share': it must be at most 1"),
        (("prepare", "LOGS", "--min-user", "two", "--check"), "'--min-user': it must be a whole number"),
    ],
)
def test_a_wrong_value_is_told_in_short_words(words: tuple[str, ...], said: str) -> None:
    assert refused(*words) == said


def test_a_wrong_table_is_told_the_one_that_may_be_meant() -> None:
    said = refused("compare", "RUNS", "--table", "accurracy")
    assert said.startswith("'--table': there is no 'accurracy'; there are accuracy, improvement, ")
    assert said.endswith("; did you mean accuracy?")


def test_a_wrong_verb_is_told_the_one_that_may_be_meant() -> None:
    said = refused("trian")
    assert said.startswith("there is no command 'trian'; there are demo, prepare, ")
    assert said.endswith("; did you mean train?")


def test_a_blank_after_a_comma_in_text_cols_is_told_how_to_write_it() -> None:
    said = refused("prepare", "LOGS", "--text-cols", "name,", "kind", "-o", "DATA")
    assert said.endswith("(kind); leave no blank after the comma in --text-cols, or quote the names")
    assert "text-cols" not in refused("evaluate", "RUN", "another")
