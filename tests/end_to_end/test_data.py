"""``ssna data``, and data sets that a file describes."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import ssna
from data_files import histories, square, texts, write_csv

from ssna.core.errors import DataError
from ssna.data import load, prepare
from ssna.data.settings import PrepareSettings
from ssna.data.subset import sample

pytestmark = pytest.mark.slow

PAPER = Path(__file__).resolve().parents[2] / "grids" / "data"
TABLE_1 = {
    "sci": (8_442, 4_385, 59_427, 5),
    "pantry": (13_101, 4_898, 126_962, 5),
    "tools": (8_959, 5_871, 145_681, 11),
    "toys": (11_803, 8_569, 206_103, 10),
    "ins": (24_962, 9_964, 208_926, 5),
}


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_csv(tmp_path / "log.csv", square())


@pytest.mark.parametrize("split", ["leave-one-out", "time"])
def test_describing_a_folder_says_what_checking_its_logs_says(log, capsys, split):
    assert ssna("prepare", log, "--check", "--json", "--quiet", "--split", split) == 0
    checked = json.loads(capsys.readouterr().out)
    assert ssna("prepare", log, "-o", "data", "--quiet", "--split", split) == 0
    assert ssna("data", "describe", "data", "--json") == 0
    assert json.loads(capsys.readouterr().out) == checked
    assert ssna("data", "describe", "data") == 0
    described = capsys.readouterr().out
    assert ssna("prepare", log, "--check", "--quiet", "--split", split) == 0
    assert capsys.readouterr().out == described
    assert "6           6            36       6.0       6.0   100.00%" in described


def test_a_data_set_that_was_prepared_before_there_were_checks_is_described(log, capsys):
    assert ssna("prepare", log, "-o", "data", "--quiet") == 0
    manifest = json.loads(Path("data/manifest.json").read_text())
    del manifest["checks"], manifest["rules"]
    Path("data/manifest.json").write_text(json.dumps(manifest))
    assert ssna("data", "describe", "data") == 0
    assert "Events a user: 6 to 6" in capsys.readouterr().out


def test_a_sample_holds_whole_histories_of_some_users_and_their_items(tmp_path, capsys):
    rows = [(user, item, time, title) for user, item, time, title in square(20, 12) if int(item[1:]) % 5 != 3]
    log = write_csv(tmp_path / "log.csv", rows)
    assert ssna("prepare", log, "-o", tmp_path / "data", "--quiet") == 0
    assert ssna("data", "sample", tmp_path / "data", "--users", 7, "-o", tmp_path / "some") == 0
    whole, some = load(tmp_path / "data"), load(tmp_path / "some")
    assert len(some.users) == 7
    assert all(histories(whole)[user] == history for user, history in histories(some).items())
    assert texts(some).items() <= texts(whole).items()
    assert set(some.items.external) == {item for history in histories(some).values() for item in history}
    assert some.manifest["sample_of"] == {"fingerprint": whole.fingerprint, "users": 20}
    assert ssna("data", "describe", tmp_path / "some") == 0
    assert some.fingerprint in capsys.readouterr().err


def test_the_same_seed_chooses_the_same_users_and_another_others(tmp_path):
    data = prepare(write_csv(tmp_path / "log.csv", square(40)), quiet=True)
    chosen = [sample(data, 10, np.random.default_rng(seed)).users.external for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_a_sample_of_all_users_is_the_data_set(tmp_path):
    data = prepare(write_csv(tmp_path / "log.csv", square()), quiet=True)
    assert sample(data, 6, np.random.default_rng(0)).fingerprint == data.fingerprint


def test_more_users_than_there_are_cannot_be_sampled(tmp_path):
    data = prepare(write_csv(tmp_path / "log.csv", square()), quiet=True)
    with pytest.raises(DataError, match="there are 6 users to choose from, not 7"):
        sample(data, 7, np.random.default_rng(0))


def test_a_file_gives_options_and_what_is_typed_goes_on_top(log, tmp_path, capsys):
    columns = write_csv(tmp_path / "columns.csv", square(), ("who", "what", "when", "called"))
    config = tmp_path / "shop.toml"
    config.write_text(
        '[prepare]\nuser_col = "who"\nitem_col = "what"\ntime_col = "when"\ntext_cols = ["called"]\n'
        "min_item = 3\nmax_history = 7\n"
    )
    assert ssna("prepare", columns, "--config", config, "--max-history", 9, "-o", "data") == 0
    assert "not as shop.toml expects" not in capsys.readouterr().err
    data = load("data")
    assert data.max_history == 9
    assert "every item at least 3" in data.manifest["rules"]["k_core"]
    assert texts(data)["i1"] == "Title 1"


def test_counts_that_are_not_as_expected_are_named_with_the_difference(log, tmp_path, capsys):
    config = tmp_path / "shop.toml"
    config.write_text("[expected]\nusers = 6\nitems = 4\ninteractions = 40\n")
    assert ssna("prepare", log, "--config", config, "-o", "data", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == json.loads(Path("data/manifest.json").read_text())
    warnings = [line for line in captured.err.splitlines() if "warning" in line]
    assert warnings == [
        "warning: not as shop.toml expects: items: 6 instead of 4 (+2)",
        "warning: not as shop.toml expects: interactions: 36 instead of 40 (-4)",
    ]


@pytest.mark.parametrize(
    ("content", "culprit"),
    [
        ("[prepare]\nmin_usr = 5\n", "unknown setting prepare.min_usr; did you mean prepare.min_user?"),
        ('[prepare]\nformat = "criteo"\n', "prepare.format = 'criteo'"),
        ("[prepare]\nmin_user = -1\n", "prepare.min_user = -1"),
        ("min_user = 5\n", "did you mean prepare.min_user?"),
        ("[prepare\n", "is not a TOML file"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(log, tmp_path, capsys, content, culprit):
    (tmp_path / "bad.toml").write_text(content)
    assert ssna("prepare", log, "--config", tmp_path / "bad.toml", "-o", "data") == 1
    error = capsys.readouterr().err
    assert culprit in error
    assert "bad.toml" in error
    assert len(error.splitlines()) == 1
    assert not Path("data").exists()


@pytest.mark.parametrize("name", TABLE_1)
def test_the_papers_data_sets_expect_the_counts_of_table_1(name):
    settings = PrepareSettings.read(PAPER / f"{name}.toml")
    assert (*settings.expected.tree().values(), settings.prepare.min_user) == TABLE_1[name]
    assert settings.prepare.min_item == settings.prepare.min_user
    assert (settings.prepare.format, settings.prepare.max_history) == ("amazon", 50)


def test_one_command_prepares_a_set_of_the_paper_from_files_of_amazon(tmp_path, capsys):
    rows = [(f"B00000000{item[1:]}", f"A00000000{user[1:]}XYZ", 5.0, 86_400 * 16_000) for user, item, _, _ in square()]
    ratings, meta = tmp_path / "Industrial_and_Scientific.csv", tmp_path / "meta_Industrial_and_Scientific.json"
    ratings.write_text("".join(",".join(map(str, row)) + "\n" for row in [*rows, rows[0]]))
    meta.write_text("".join(json.dumps({"asin": f"B00000000{k}", "title": f"Pan {k}"}) + "\n" for k in range(6)))
    config = PAPER / "sci.toml"
    assert ssna("prepare", ratings, "--items", meta, "--config", config, "-o", tmp_path / "sci") == 0
    assert load(tmp_path / "sci").manifest["dropped"]["duplicate"] == 1
    error = capsys.readouterr().err
    assert "users: 6 instead of 8,442 (-8,436)" in error
    assert "test targets are last by the rule for ties alone" in error
