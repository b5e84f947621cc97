"""One class has the options of ``prepare``: Python, the command line and files agree with it, and with its messages."""

import inspect
from pathlib import Path
from typing import get_type_hints

import pytest
import typer
from data_files import square, write_csv

import ssna
from ssna.cli import app, main
from ssna.core.errors import SettingsError, SsnaError
from ssna.data import append, prepare
from ssna.data.options import APPENDING, PrepareOptions

FIELDS = PrepareOptions.model_fields


def test_prepare_takes_every_option_with_its_default():
    parameters = inspect.signature(prepare).parameters
    assert [name for name in parameters if name in FIELDS] == list(FIELDS)
    assert set(parameters) - set(FIELDS) == {"logs", "items", "valid_logs", "test_logs", "out", "quiet"}
    assert {name: parameters[name].default for name in FIELDS} == {name: each.default for name, each in FIELDS.items()}


def test_prepare_takes_the_types_of_the_options():
    hints, fields = get_type_hints(prepare), get_type_hints(PrepareOptions)
    differing = [name for name in FIELDS if hints[name] != fields[name]]
    assert differing == ["text_cols", "attribute_cols", "header", "accept"]  # a single name need not stand in a list


def test_append_takes_the_options_that_are_no_rules_and_has_no_defaults_of_its_own():
    parameters = inspect.signature(append).parameters
    assert set(parameters) - {"data", "logs", "items", "out", "quiet"} == set(APPENDING)
    assert {parameters[name].default for name in APPENDING} == {None}


@pytest.mark.parametrize(("function", "names"), [(ssna.prepare, FIELDS), (ssna.append, APPENDING)])
def test_python_help_says_what_every_option_is(function, names):
    for name in names:
        assert f"    {name}: {FIELDS[name].description}\n" in function.__doc__


def test_the_command_line_has_every_option_with_its_default_and_help():
    group = typer.main.get_command(app)
    command = group.get_command(None, "prepare")
    options = {option.name: option for option in command.params if option.name in FIELDS}
    assert list(options) == list(FIELDS)
    for name, option in options.items():
        assert option.opts == [f"--{name.replace('_', '-')}"]
        assert (option.default, option.help) == (FIELDS[name].default, FIELDS[name].description)


BELOW = "it must be at least"
WRONG = [
    ({"min_user": -1}, f"min_user = -1: {BELOW} 0", f"--min-user -1: {BELOW} 0"),
    ({"max_history": 0}, f"max_history = 0: {BELOW} 1", f"--max-history 0: {BELOW} 1"),
    (
        {"since": "soon"},
        "since = 'soon': it is no time; give a date such as 2024-05-31, or seconds since 1970",
        "--since soon: it is no time; give a date such as 2024-05-31, or seconds since 1970",
    ),
    (
        {"rating_col": "stars"},
        "rating_col = 'stars': it is for min_rating, which is not given",
        "--rating-col stars: it is for --min-rating, which is not given",
    ),
    (
        {"spark_master": "local[1]"},
        "spark_master = 'local[1]': it is for engine = 'spark'",
        "--spark-master 'local[1]': it is for --engine spark",
    ),
    (
        {"since": "2024-02-01", "until": "2024-01-01"},
        "since = '2024-02-01' is not before until = '2024-01-01'; nothing would be left",
        "--since 2024-02-01 is not before --until 2024-01-01; nothing would be left",
    ),
]


def ssna_command(*words: object) -> int:
    """The exit code of ``ssna`` with these words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["ssna", *map(str, words)])
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command line says of an error."""
    assert ssna_command("prepare", *arguments, "--check") == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(("given", "in_python", "on_the_command_line"), WRONG)
def test_a_wrong_option_is_named_in_the_words_of_the_side_that_gave_it(
    tmp_path, capsys, given, in_python, on_the_command_line
):
    logs = tmp_path / "nowhere.csv"
    with pytest.raises(SettingsError) as error:
        prepare(logs, **given)
    assert str(error.value) == in_python
    typed = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    assert refused(capsys, logs, *typed) == f"ssna: {on_the_command_line}\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("min_user = -1", f"prepare.min_user = -1: {BELOW} 0"),
        ('since = "soon"', "prepare.since = 'soon': it is no time"),
    ],
)
def test_a_wrong_option_in_a_file_is_named_with_the_file(tmp_path, capsys, line, said):
    config = tmp_path / "shop.toml"
    config.write_text(f"[prepare]\n{line}\n")
    assert refused(capsys, "nowhere.csv", "--config", config).startswith(f"ssna: {config}: {said}")


def test_a_column_of_a_file_waits_for_a_rating_that_is_typed(tmp_path, capsys):
    config, rows = tmp_path / "shop.toml", [(*row, 5) for row in square()]
    logs = write_csv(tmp_path / "log.csv", rows, ("user", "item", "time", "title", "stars given"))
    config.write_text('[prepare]\nrating_col = "stars given"\n')
    assert "it is for --min-rating" in refused(capsys, logs, "--config", config)
    assert ssna_command("prepare", logs, "--config", config, "--min-rating", 4, "--check", "--quiet") == 0


HINTS = [
    ("who,item,time,title", "Name it with user_col;", "Name it with --user-col;"),
    ("user,item,time,what", "name some (text_cols), ", "name some (--text-cols), "),
]


@pytest.mark.parametrize(("header", "in_python", "on_the_command_line"), HINTS)
def test_a_hint_names_options_in_the_words_of_the_side_that_is_told(
    tmp_path, capsys, header, in_python, on_the_command_line
):
    logs = write_csv(tmp_path / "log.csv", square(), header.split(","))
    with pytest.raises(SsnaError) as failed:
        prepare(logs, quiet=True)
    assert in_python in str(failed.value)
    assert on_the_command_line in refused(capsys, logs)


def test_a_wrong_choice_is_told_those_there_are():
    with pytest.raises(SettingsError) as error:
        PrepareOptions.of(split="tiem")
    assert str(error.value) == "split = 'tiem': there are leave-one-out, time, predefined, none; did you mean time?"


def test_no_sign_of_the_two_spellings_is_left_in_a_message():
    with pytest.raises(SettingsError) as error:
        PrepareOptions.of(min_item=-1)
    for said in (str(error.value), repr(error.value), error.value.for_command_line):
        assert "\0" not in said


def test_options_survive_the_manifest():
    options = PrepareOptions.of(since="2024-05-31", text_cols="title", min_user=3).for_format("table", 5)
    again = PrepareOptions.model_validate(options.model_dump(mode="json", exclude_none=True))
    assert again == options
    assert (again.min_user, again.min_item, again.format, again.text_cols) == (3, 5, "table", ("title",))


def test_examples_of_files_are_read():
    from ssna.data.settings import PrepareSettings

    grids = Path(__file__).resolve().parents[3] / "grids" / "data"
    for file in grids.glob("*.toml"):
        assert PrepareSettings.read(file).given["format"] == "amazon"
