"""``ssna encode``: texts to vectors, once."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def _layers(text: str) -> str:
    if text != "all" and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise typer.BadParameter(f"{text!r} is neither `all` nor a number of layers, at least 1")
    return text


def encode(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data folder that `ssna prepare` wrote.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="CACHE", help="The cache folder; texts it holds are not read again.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="minilm, a hub id, or a folder that save_pretrained wrote. Default: minilm; none with --vectors.",
        ),
    ] = None,
    vectors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FILE",
            help="Vectors of items (.parquet, .npy, .safetensors), or a static model; repeat it for several.",
        ),
    ] = None,
    layers: Annotated[
        str, typer.Option(metavar="all|N", callback=_layers, help="Keep all layers, or the top N.")
    ] = "all",
    pooling: Annotated[
        Literal["cls", "mean", "last"] | None,
        typer.Option(
            help="A text's vector: classification token, mean of all, or last token. "
            "Default: as the cache began, else what a sentence-transformers folder says, else mean."
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Cut longer texts here. Default: likewise, else the model's limit, at most 512."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    dtype: Annotated[
        Literal["auto", "fp32", "bf16", "fp16", "int8"],
        typer.Option(
            help="What the model computes in. auto: as the cache began, else 16 bits where they are faster. "
            "int8: faster with less accuracy, by the extra int8."
        ),
    ] = "auto",
    adapter_base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="The base model of a folder that holds an adapter of peft alone. Default: the one that it names.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Read every item text once with a frozen language model, and keep each layer's vectors in CACHE.

    With --vectors, vectors from elsewhere are kept, alone or beside those of a --model."""
    import json

    from ssna.compute.launch import launch
    from ssna.core.errors import for_shell
    from ssna.data import load
    from ssna.runs.encoding import encode_data, warnings
    from ssna.text.cache import described
    from ssna.text.options import ReadOptions

    options = ReadOptions(
        layers="all" if layers == "all" else int(layers),
        pooling=pooling,
        max_tokens=max_tokens,
        device=device,
        dtype=dtype,
        adapter_base=adapter_base,
    )
    cache, report = encode_data(load(data), model, out, options, vectors=vectors, quiet=quiet)
    if launch().rank > 0:
        return
    if as_json:
        typer.echo(json.dumps(report.tree()))
    elif not quiet:
        sources = cache.encoding.sources
        what = "items" if sources else "texts"
        speed = f" ({report.tokens_per_second:,.0f} tokens/s)" if cache.encoding.has_model else ""
        made = [f"{report.layers} layers of {cache.encoding.text_width} numbers a text, {cache.model}, {cache.pooling}"]
        made = [*(made if cache.encoding.has_model else ()), *map(described, sources or ())]
        typer.echo(
            f"{report.encoded:,} {what} encoded{speed}, {report.reused:,} reused\n{out}: {'; '.join(made)}", err=True
        )
    if not quiet:
        for line in warnings(report, cache):
            typer.echo(f"warning: {for_shell(line)}", err=True)
