"""``ssna evaluate``."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ssna.evaluation import Evaluation


class Split(StrEnum):
    """The splits whose ranks a run folder has."""

    valid = "valid"
    test = "test"


def evaluate(
    run: Annotated[Path, typer.Argument(help="A folder that `ssna train` made.")],
    split: Annotated[Split, typer.Option(help="The split whose targets are ranked.")] = Split.test,
    cutoffs: Annotated[list[int] | None, typer.Option("-k", min=1, help="Cut-offs; 10 and 50 if none.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="recall, ndcg, mrr, coverage, novelty, popular, diversity, or that of an installed package; may be "
            "given several times. Recall and NDCG if none.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Recall and NDCG at any cut-off, from the ranks in the run folder."""
    from ssna.core.errors import for_shell
    from ssna.runs import RunRecord
    from ssna.runs.cold_start import shortfall
    from ssna.runs.hints import hints
    from ssna.runs.record import read_evaluation

    record = RunRecord.read(run)
    evaluation = read_evaluation(run, split.value)
    ks = tuple(cutoffs or (10, 50))
    users, metrics = (
        len(evaluation.targets),
        evaluation.metrics(ks) if metric is None else _measured(run, evaluation, ks, metric),
    )
    if as_json:
        about = {
            "method": record.method,
            "split": split.value,
            "users": users,
            "fingerprint": record.fingerprint,
        }
        typer.echo(json.dumps({**about, **metrics} | ({"cold": record.cold} if record.cold else {})))
        return
    typer.echo(f"{record.method} on {split.value}, {users:,} users, {record.items:,} items, {record.fingerprint}")
    for policy, figures in metrics.items():
        typer.echo(f"{policy:13}" + _line(figures))
    if record.cold is not None:
        questions, held_out, items = (record.cold[name] for name in ("questions", "held_out", "items"))
        typer.echo(f"{questions:,} questions about {held_out:,} held-out items: ranks among these, among all {items:,}")
        for name in ("among", "all"):
            typer.echo(f"{name:13}" + _line(record.cold[name]))
        if warning := shortfall(record.cold):
            typer.echo(for_shell(f"warning: {warning}"), err=True)
    if split is Split.test:
        for hint in hints(evaluation, record.ensemble, record.method):
            typer.echo(f"hint: {hint}", err=True)


def _measured(run: Path, evaluation: "Evaluation", cutoffs: tuple[int, ...], metrics: list[str]) -> dict[str, Any]:
    from ssna.core.errors import SettingsError, option, there_are
    from ssna.recommender import Recommender
    from ssna.runs.evaluation import METRICS, figures

    if unknown := [name for name in metrics if name not in METRICS]:
        raise SettingsError(
            f"{option('metric', unknown[0])}: there is no such metric; {there_are(METRICS, unknown[0])}"
        )
    longest = evaluation.lists["exclude_seen"].shape[1]
    if max(cutoffs) > longest < evaluation.items:
        raise SettingsError(f"-k {max(cutoffs)}: a run keeps lists of {longest} items; ask for no more with --metric")
    return dict(figures(evaluation, Recommender.load(run), cutoffs, metrics))


def _line(figures: dict[str, float]) -> str:
    return "".join(
        f"  {name} {value:,.0f}" if name == "median" else f"  {name} {value:.4f}" for name, value in figures.items()
    )
