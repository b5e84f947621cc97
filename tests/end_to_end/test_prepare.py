"""``ssna prepare`` as a person calls it."""

import csv
import json
import os
import subprocess
import sys
from typing import get_args

import pytest
from command_line import ssna
from typer.testing import CliRunner

from ssna.cli import app
from ssna.data import load
from ssna.data.options import FormatName
from ssna.data.sources import FORMATS

pytestmark = pytest.mark.slow

COLUMNS = ("--user-col", "customer", "--item-col", "sku", "--time-col", "date")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = [(user, step) for user in range(6) for step in range(6)]
    purchases = [(f"c{user}", f"{(user + step) % 6:03}", f"2024-01-{step + 1:02}") for user, step in steps]
    purchases.append(("c1", "001", "yesterday"))
    for name, columns, rows in (
        ("purchases.csv", ("customer", "sku", "date"), purchases),
        ("products.csv", ("sku", "title", "brand"), [(f"{k:03}", f"Pan {k}", "ACME") for k in range(6)]),
    ):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
    return tmp_path


def prepare(*options):
    """In this process: quick, but without what ``main`` does about errors."""
    return CliRunner().invoke(app, ["prepare", "purchases.csv", "-o", "data", *map(str, options)])


def test_json_goes_to_standard_output_and_is_the_manifest(shop):
    done = prepare("--items", "products.csv", *COLUMNS, "--text-cols", "title,brand", "--json")
    assert done.exit_code == 0
    manifest = json.loads(done.stdout)
    assert manifest == json.loads((shop / "data/manifest.json").read_text())
    assert (manifest["users"], manifest["items"], manifest["interactions"], manifest["rows_read"]) == (6, 6, 36, 37)
    assert manifest["dropped"]["no_time"] == 1
    assert load(shop / "data").texts[1] == "Pan 0. ACME"


def test_the_summary_goes_to_standard_error(shop):
    done = prepare("--items", "products.csv", *COLUMNS, "--text-cols", "title", "--text-cols", "brand")
    assert (done.exit_code, done.stdout) == (0, "")
    data = load(shop / "data")
    for part in ("37 events", "no_time 1", "6, 6.0 events", data.fingerprint, "written to data"):
        assert part in done.stderr
    assert data.texts[1] == "Pan 0. ACME"


def test_thresholds_and_the_history_are_settable(shop):
    rules = ("--min-user", 4, "--min-item", 3, "--max-history", 2, "--missing-text", "id", "--format", "table")
    manifest = json.loads(prepare(*COLUMNS, *rules, "--json").stdout)
    assert (manifest["max_history"], manifest["interactions_used"]) == (2, 18)
    assert "at least 4 events and every item at least 3" in manifest["rules"]["k_core"]
    assert load(shop / "data").texts[1] == "000"


@pytest.mark.parametrize(
    "option", [("--max-history", "x"), ("--format", "criteo"), ("--missing-text", "guess"), ("--min-user", "x")]
)
def test_a_wrong_option_is_a_usage_error(shop, option):
    assert prepare(*option).exit_code == 2


def test_every_format_can_be_named():
    assert set(get_args(FormatName)) == {"auto", *FORMATS}


def said(capfd, *options):
    """What ``prepare`` writes to standard output and error, behind its exit code."""
    code = ssna("prepare", "purchases.csv", "-o", "data", *options)
    return code, *capfd.readouterr()


def test_quiet_says_nothing_at_all(shop):
    command = [sys.executable, "-m", "ssna", "prepare", "purchases.csv", "-o", "data", "--items", "products.csv"]
    done = subprocess.run([*command, *COLUMNS, "--quiet"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(load(shop / "data").users) == 6


def test_ended_from_outside_it_leaves_nothing_behind(shop, tmp_path):
    waits = (
        "import time, ssna.data.pipeline as p; p.pack = lambda *_: (print('packs', flush=True), time.sleep(60)); "
        "from ssna.cli import main; main()"
    )
    words = ["prepare", "purchases.csv", "--items", "products.csv", *COLUMNS, "-o", "data"]
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", waits, *words],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "packs\n"
    assert list(shop.glob(".data.*"))
    process.terminate()
    assert process.wait(20) == 143
    assert sorted(path.name for path in shop.iterdir() if path.name != "tmp") == ["products.csv", "purchases.csv"]
    assert not list((tmp_path / "tmp").iterdir())


def test_what_is_replaced_is_told(shop, capfd):
    first = said(capfd, "--items", "products.csv", *COLUMNS)[2]
    assert "in the place of" not in first
    again = said(capfd, "--items", "products.csv", *COLUMNS)[2]
    before = load(shop / "data").fingerprint
    assert f"data      {before}, written to data, unchanged\n" in again
    changed = said(capfd, "--items", "products.csv", *COLUMNS, "--max-history", "9")[2]
    assert load(shop / "data").fingerprint != before
    assert f"written to data, in the place of {before}\n" in changed


def test_an_error_is_one_line_exit_code_one_and_no_folder(shop, capfd):
    code, out, message = said(capfd, "--user-col", "costumer", "--item-col", "sku", "--time-col", "date")
    assert (code, out) == (1, "")
    assert message.startswith("ssna: purchases.csv has no column 'costumer'; did you mean 'customer'?")
    assert message.count("\n") == 1
    assert sorted(path.name for path in shop.iterdir()) == ["products.csv", "purchases.csv"]
