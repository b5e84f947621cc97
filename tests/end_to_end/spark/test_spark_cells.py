"""One grammar of times and numbers: a generated cell is read alike by DuckDB and Spark."""

import random
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from soak import examples
from ssna.data.grammar import MOMENT, NUMBER
from ssna.data.sources.time_formats import known_formats
from ssna.data.sources.values import as_id, as_microseconds, as_number

pytestmark = pytest.mark.spark

CELLS = 2_000
DATES = (
    "2024-07-05",
    "2024-7-5",
    "0001-01-01",
    "9999-12-31",
    "2023-02-29",
    "1969-12-31",
    "2024-13-01",
    "20240705",
    "2024",
)
BETWEEN = (" ", "T", "  ", "t", "", "-")
CLOCKS = (
    "10:20:30",
    "1:2",
    "23:59:59.999999",
    "24:00:00",
    "10:60",
    "10:20:30.",
    "10:20:30,5",
    "12:00:00.123456789",
    "7",
)
ZONES = (
    "",
    "Z",
    "z",
    "+02:00",
    "+0230",
    "-14",
    "+15:00",
    " UTC",
    " GMT",
    " utc",
    " PST",
    " Europe/Paris",
    " +02:00",
    " (BC)",
)
SIGNS, DIGITS = (
    ("", "+", "-", "--", " "),
    ("0", "1", "007", "17", "1700000000", "1700000000123", "9" * 30, "1_000", "", "0x1f"),
)
FRACTIONS, EXPONENTS = ("", ".", ".5", ".000001", ",5", ".."), ("", "e5", "E-7", "e+300", "e400", "e1_0", "d", "f", "e")
WORDS = ("nan", "inf", "-Infinity", "true", "FALSE", "null", "epoch", "now", "today", "None", "\\N", "")
AROUND = ("", "", "", " ", "\t", "\u00a0", "\n")
LETTERS = "0123456789-:T+. /eEZ_,"


def put_together(chance, *parts):
    """One of each part, in most cases the first, which is well formed."""
    return "".join(part[0] if chance.random() < 0.6 else chance.choice(part) for part in parts)


def moment(chance):
    return put_together(chance, DATES, BETWEEN, CLOCKS, ZONES)


def number(chance):
    return put_together(chance, SIGNS, [str(chance.randint(0, 2 * 10**9)), *DIGITS], FRACTIONS, EXPONENTS)


def damaged(chance):
    """A good cell with a letter in the place of another."""
    cell = list(chance.choice((moment, number))(chance))
    cell[chance.randrange(len(cell)) if cell else 0 :][:1] = []
    cell.insert(chance.randint(0, len(cell)), chance.choice(LETTERS))
    return "".join(cell)


def noise(chance):
    return "".join(chance.choices(LETTERS, k=chance.randint(0, 12)))


def generated(seed):
    chance = random.Random(seed)
    kinds = (moment, moment, number, number, damaged, noise, lambda chance: chance.choice(WORDS))
    for _ in range(CELLS):
        cell = chance.choice(kinds)(chance)
        yield chance.choice(AROUND) + cell + chance.choice(AROUND)


def read(engine, cells, chosen):
    table = engine.import_arrow(pa.table({"cell": pa.array(cells)}))
    expressions = {name: convert(table.cell) for name, convert in chosen.items()}
    found = engine.materialize(table.select("cell", **expressions)).to_pyarrow().to_pylist()
    return {row.pop("cell"): {name: str(value) for name, value in row.items()} for row in found}


def agree(engines, cells, chosen):
    duck, spark = (read(engine, cells, chosen) for engine in engines)
    assert {cell: (duck[cell], spark[cell]) for cell in duck if duck[cell] != spark[cell]} == {}
    return duck


@pytest.mark.parametrize("seed", range(examples(2)))
def test_a_cell_of_times_or_numbers_is_read_alike(engines, seed):
    cells = list(dict.fromkeys(generated(seed)))
    found = agree(engines, cells, {"when": as_microseconds, "number": as_number, "id": as_id})
    read_as = [sum(row[name] != "None" for row in found.values()) for name in ("when", "number")]
    assert min(read_as) > CELLS // 20
    assert max(read_as) < len(cells)


@pytest.mark.parametrize("name", [each.name for each in known_formats()])
def test_a_time_in_any_known_format_is_read_alike(engines, name):
    chance = random.Random(name)
    form = next(each for each in known_formats() if each.name == name)
    moments = [datetime.fromtimestamp(chance.randint(0, 4_000_000_000), UTC) for _ in range(40)]
    good = [str(638_000_000_000_000_000 + k * 7_654_321) for k in range(40)] if "%" not in name else []
    good = good or [each.strftime(name) for each in moments]
    bad = ["".join(chance.sample(cell, len(cell))) for cell in good] + [cell[:-1] for cell in good]
    found = agree(engines, list(dict.fromkeys([*good, *bad, *generated(name)][:400])), {"when": form.microseconds})
    assert all(found[cell]["when"] != "None" for cell in good)


def test_the_grammar_itself_has_no_letter_that_the_two_read_differently():
    assert MOMENT.isascii()
    assert NUMBER.isascii()
    assert not set("\\") & set(MOMENT + NUMBER)
