"""The published figures of the SSNA paper: from its text to ``src/ssna/report/paper.json``.

python benchmarks/paper_figures.py [TEXT] [--out FILE]
"""

import argparse
import re
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from ssna.core.files import write_json

Rows = list[list[str]]
Tree = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
TITLE = re.compile(r"Table (S?\d): ")
MODELS = {"DistilBERT": "distilbert", "DistilRoBERTa": "distilroberta", "BERTMedium": "bert-medium"}
METHODS = {"LoRA": "lora", "ADA": "adalora", "Full": "full", "TMLP": "tmlp", "TMoE": "tmoe", "SSNA": "ssna"}
INTEGRATIONS = {"MEAN": "mean", "WEIGHTED": "weighted", "SSNA": "gru"}


def parse(text: str) -> Tree:
    """Tables 1-8 and S1-S3 of the paper under our names; letters of settings as in the paper."""
    tables = read_tables(text)
    return {
        "source": "Peng, Burns, Chen, Parthasarathy, Ning: Towards Efficient and Effective Adaptation of "
        "Large Language Models for Sequential Recommendation; Tables 1-8 and S1-S3",
        "data": statistics(tables["1"]),
        "accuracy": {model: by_data(tables[n], METHODS) for model, n in zip(MODELS.values(), "234", strict=True)},
        "improvement": improvement(tables["5"]),
        "runtime": by_model(tables["6"]),
        "memory": by_model(tables["7"]),
        "integration": by_data(tables["8"], INTEGRATIONS),
        "best_settings": {
            model: best_settings(tables[n]) for model, n in zip(MODELS.values(), ("S1", "S2", "S3"), strict=True)
        },
    }


def read_tables(text: str) -> dict[str, Rows]:
    """Number -> rows of clean cells; a blank first cell repeats the one above it."""
    lines, result = text.splitlines(), {}
    for number, line in enumerate(lines):
        if title := TITLE.match(line):
            rows = [[clean(cell) for cell in row.split("\t")] for row in takewhile(str.strip, lines[number + 2 :])]
            for above, row in pairwise(rows):
                row[0] = row[0] or above[0]
            result[title[1]] = rows
    return result


def clean(cell: str) -> str:
    """Without marks of the best and the second; a single star, which says significant, stays."""
    return re.sub(r"</?u>|\*\*", "", cell).strip()


def statistics(rows: Rows) -> Tree:
    """Table 1: data set -> users, items, interactions."""
    counts = ("users", "items", "interactions")
    return {
        name: dict(zip(counts, (int(value.replace(",", "")) for value in values), strict=False))
        for name, *values in rows[1:]
    }


def by_data(rows: Rows, columns: dict[str, str]) -> Tree:
    """Tables 2-4 and 8: data set -> column -> metric -> figure."""
    result: Tree = {}
    for data, metric, *values in rows[1:]:
        for column, value in zip(rows[0][2:], values, strict=True):
            result.setdefault(data, {}).setdefault(columns[column], {})[metric] = float(value)
    return result


def improvement(rows: Rows) -> Tree:
    """Table 5: model -> method -> metric -> per cent, and whether the paper calls it significant."""
    result: Tree = {}
    for model, metric, *values in rows[1:]:
        for method, value in zip(rows[0][2:], values, strict=True):
            figure = {"percent": float(value.rstrip("*")), "significant": value.endswith("*")}
            result.setdefault(MODELS[model], {}).setdefault(METHODS[method], {})[metric] = figure
    return result


def by_model(rows: Rows) -> Tree:
    """Tables 6 and 7: model -> data set -> method -> figure."""
    result: Tree = {}
    for model, method, *values in rows[1:]:
        for data, value in zip(rows[0][2:], values, strict=True):
            result.setdefault(MODELS[model], {}).setdefault(data, {})[METHODS[method]] = float(value)
    return result


def best_settings(rows: Rows) -> Tree:
    """Tables S1-S3: data set -> method -> letter -> value; a blank heading belongs to the method on its left."""
    methods, letters, *body = rows
    for column, method in enumerate(methods):
        methods[column] = method or methods[column - 1]
    result: Tree = {}
    for data, *values in body:
        for method, letter, value in zip(methods[1:], letters[1:], values, strict=True):
            number = float(value) if "." in value else int(value)
            result.setdefault(data, {}).setdefault(METHODS[method], {})[letter] = number
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", type=Path, default=Path("../shared/paper/ssna.txt"))
    parser.add_argument("--out", type=Path, default=ROOT / "src" / "ssna" / "report" / "paper.json")
    given = parser.parse_args()
    write_json(given.out, parse(given.text.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
