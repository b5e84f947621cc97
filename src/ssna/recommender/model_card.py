"""The model card: what a recommender is, how good it was, and how to load it; the README.md of a model hub."""

from collections.abc import Mapping
from typing import Any

from ssna.evaluation.ranking import POLICIES
from ssna.recommender.artifact import Contents
from ssna.scoring import describe_weights

CARD = "README.md"
HEAD = """---
library_name: ssna
tags:
- recommender-system
- sequential-recommendation
---
"""


def model_card(contents: Contents, repo: str, record: Mapping[str, Any] | None = None) -> str:
    """Markdown with the head that hubs read.

    Args:
        repo: ``owner/name``, or a folder: what :meth:`ssna.recommender.Recommender.from_pretrained` takes.
        record: ``record.json`` of the run, for figures.
    """
    parts = [HEAD + f"# {repo.rstrip('/').rsplit('/', 1)[-1]}", _about(contents, record)]
    parts += [] if record is None else [_figures(record)]
    return "\n\n".join([*parts, _use(contents, repo), _contents(contents)]) + "\n"


def _about(contents: Contents, record: Mapping[str, Any] | None) -> str:
    method = "" if record is None else f"Method: `{record['method']}`{_ensemble(record)}, seed {record['seed']}. "
    model = contents.encoding
    reads = "It reads no item text." if model is None else f"Item texts were read by `{_name(model.model)}`, frozen."
    return (
        f"A recommender made by ssna: it ranks {len(contents.items):,} items for a history of item ids. {method}{reads}"
    )


def _figures(record: Mapping[str, Any]) -> str:
    data, names = record["data"], list(record["test"][POLICIES[0]])
    head = ["| test split |" + "".join(f" {name} |" for name in names), "|---" * (len(names) + 1) + "|"]
    rows = [
        f"| {policy.replace('_', ' ')} |" + "".join(f" {record['test'][policy][name]:.4f} |" for name in names)
        for policy in POLICIES
    ]
    cut = " **A dry run: training was cut short on purpose.**" if record["settings"].get("dry_run") else ""
    note = (
        f"{record['users']:,} users, all {record['items']:,} items ranked, split {data['split']}; "
        f"data set {_named(data['name'])}`{record['fingerprint']}`.{cut}"
    )
    return "## Figures\n\n" + "\n".join([*head, *rows]) + "\n\n" + note


def _use(contents: Contents, repo: str) -> str:
    history = list(contents.items.external[:2])
    return f"""## Use

```python
import ssna

recommender = ssna.Recommender.from_pretrained({repo!r})
recommender.recommend([{history!r}], k=10)
```"""


def _contents(contents: Contents) -> str:
    by = "vectors" if contents.encoding is not None and not contents.encoding.reads_text else "texts"
    admits = (
        f"New items are admitted by their {by} with `add_items`, without training."
        if contents.encoding is not None and contents.scorer.layers
        else "New items cannot be admitted by their texts."
    )
    columns = "" if contents.attributes is None else f" Attributes: {', '.join(contents.attributes.kinds)}."
    return (
        "## Inside\n\nSafetensors, Parquet and JSON with checksums, no pickle: vectors or neighbours of the items, and "
        "their ids, texts and numbers of training events. No user and no history is kept. " + admits + columns
    )


def _ensemble(record: Mapping[str, Any]) -> str:
    weights = record.get("ensemble") or {}
    if len(weights) < 2:
        return ""
    return ", an ensemble with the weights " + describe_weights(weights)


def _named(data: str | None) -> str:
    return "" if data is None else f"{data!r}, fingerprint "


def _name(model: str) -> str:
    """A folder's own name, without the path on the machine where it lay."""
    return model.rstrip("/").rsplit("/", 1)[-1] if model.startswith("/") else model
