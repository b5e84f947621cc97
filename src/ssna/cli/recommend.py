"""``ssna recommend``."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from ssna.errors import DataError


def recommend(
    run: Annotated[Path, typer.Argument(help="A folder that `ssna train` made.")],
    users: Annotated[
        str, typer.Option(help='JSON lines {"user", "history": [item, ...]} in a file, or - for stdin.')
    ] = "-",
    k: Annotated[int, typer.Option("-k", min=1, help="Items for each history.")] = 10,
    include_seen: Annotated[bool, typer.Option(help="Items of the history may be recommended too.")] = False,
) -> None:
    """Histories in, ranked items out, a JSON line each, streaming."""
    from ssna.recommender import Recommender

    recommender = Recommender.load(run)
    with nullcontext(sys.stdin) if users == "-" else Path(users).open(encoding="utf-8") as lines:
        questions = _parse(lines)
        while block := list(islice(questions, 256)):
            histories = [question["history"] for question in block]
            answers = recommender.recommend(histories, k, exclude_seen=not include_seen)
            for question, answer in zip(block, answers, strict=True):
                items = [{"item": item.item, "score": item.score, "text": item.text} for item in answer.items]
                line = {"user": question.get("user"), "items": items}
                typer.echo(json.dumps(line | _notes(answer.unknown, answer.fallback), ensure_ascii=False))


def _notes(unknown: tuple[str, ...], fallback: str | None) -> dict[str, Any]:
    return ({"unknown": list(unknown)} if unknown else {}) | ({"fallback": fallback} if fallback else {})


def _parse(lines: IO[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = json.loads(line)
            history = question["history"]
            if not isinstance(history, list) or not all(isinstance(item, str | int) for item in history):
                raise TypeError
        except (json.JSONDecodeError, KeyError, TypeError):
            raise DataError(
                f'line {number} is not {{"user": ..., "history": [item, ...]}}: {line.strip()[:80]}'
            ) from None
        yield question | {"history": [str(item) for item in history]}
