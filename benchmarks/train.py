"""Seconds an epoch and peak memory, side by side: ours, the paper read to the letter, LoRA, AdaLoRA, RecTools.

python benchmarks/train.py DATA CACHE -o benchmarks/results/train.json [--against literal --against lora] [--width 768]

A round times some optimizer steps of each, one method after the other; an epoch is extrapolated from the median over
rounds of a step's seconds. All have 256 targets a step. ``literal`` is fp32 (see ``literal.py``), the others run at the
trainer's precision. Beside the seconds stand the operations that a step executes, as torch counts them (padding that is
computed included), and their share of the machine's matrix-product rate; and the peak memory of some steps above the
loaded method, each in a process of its own.

``--width W`` puts random states of that width in the place of the cache's; with ``--depth L`` LoRA and AdaLoRA tune a
BERT of L layers of that width with random weights, on the same texts. ``--against rectools`` races RecTools'
UniSRecModel to its best validation N@10 (see ``race.py``).
"""

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from literal import Literal, padded
from side import alternate, conditions, in_child, keep, product_rate, ratio, say, seconds
from torch.utils.flop_counter import FlopCounterMode

from ssna.compute.allocator import tune_allocator
from ssna.compute.device import choose_device
from ssna.compute.memory import MemoryMeter
from ssna.data import Dataset, load
from ssna.methods import METHODS, TrainedMethod
from ssna.methods.ssna import SSNASettings, over_states
from ssna.nn.adapter import LayerAdapters
from ssna.nn.losses import Loss
from ssna.nn.sasrec import SASRec
from ssna.runs.recipes import resolve
from ssna.text import LayerCache, ReadOptions
from ssna.training import RunSettings
from ssna.training.batches import prefix
from ssna.training.loop import batches_of
from ssna.training.trainer import Model, Trainer

TARGETS = 256
TUNED = {"batch_size": 32, "gradient_accumulation_steps": 8}  # the paper's grouping
STEPS = {"ours": 40, "literal": 2, "lora": 1, "adalora": 1}  # optimizer steps a round
MEMORY_STEPS = {"ours": 40, "literal": 2, "lora": 2, "adalora": 2}
HEAD_WIDTH = 64

Steps = tuple[Iterator[float], int]
"""Seconds of one optimizer step after the other, and how many an epoch has."""


def paper_settings(*more: str) -> RunSettings:
    """The paper's configuration with the autoregressive objective."""
    changes = ["training.objective=autoregressive", f"training.batch_size={TARGETS}", *more]
    return resolve("paper", None, None, changes, 0)


def ours(data: Dataset, cache: LayerCache, width: int | None, singly: bool = False) -> Steps:
    """SSNA, over the cache's states or over random ones; ``singly``: never a whole step as a CUDA graph."""
    settings, method = paper_settings(), SSNASettings()
    torch.manual_seed(0)
    states = torch.from_numpy(cache.top(method.layers)) if width is None else random_states(data, width)
    return _steps(data, over_states(states, settings.dim, method), settings, singly)


def tuned(data: Dataset, cache: LayerCache, name: str, width: int | None, depth: int | None) -> Steps:
    """A method that tunes the language model: the cache's own, or one of random weights."""
    changes = [f"training.{key}={value}" for key, value in TUNED.items()]
    settings = resolve("paper", name, None, ["training.objective=autoregressive", *changes], 0)
    if depth is None:
        return _trained(data, cache, settings)
    with TemporaryDirectory() as folder:
        return _trained(data, random_model(cache, width or cache.width, depth, Path(folder)), settings)


def literal(data: Dataset, cache: LayerCache, width: int | None) -> Steps:
    """``literal.py``."""
    settings = resolve("paper", None, None, [], 0)
    states = torch.from_numpy(cache.top(3)) if width is None else random_states(data, width)
    encoder = over_states(states, settings.dim, SSNASettings())
    adapters, sequence = encoder.text, SASRec(settings.dim, data.max_history, **settings.sequence.model_dump())
    assert isinstance(adapters, LayerAdapters)
    model = Literal(encoder.states, adapters, sequence).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.training.learning_rate)
    targets = len(prefix(data.train, data.max_history).user)
    rng = np.random.default_rng(0)

    def step() -> None:
        optimizer.zero_grad()
        chosen = rng.choice(targets, TARGETS, replace=False)
        model.loss(*padded(data.train, data.max_history, chosen), settings.loss.temperature).backward()
        optimizer.step()

    return _timed(step), -(-targets // TARGETS)


def steps_of(name: str, data: Dataset, cache: LayerCache, width: int | None, depth: int | None) -> Steps:
    """Of a method by name."""
    if name in ("lora", "adalora"):
        return tuned(data, cache, name, width, depth)
    return {"ours": ours, "literal": literal}[name](data, cache, width)


def random_states(data: Dataset, width: int) -> torch.Tensor:
    """``(3, I + 1, width)``, in 16 bits as a cache holds them."""
    states = torch.randn(3, len(data.items) + 1, width, generator=torch.Generator().manual_seed(0)).half()
    states[:, 0] = 0
    return states


def random_model(cache: LayerCache, width: int, depth: int, folder: Path) -> Any:
    """A BERT with random weights and the tokenizer of the cache's model, in the place of a cache for tuned methods."""
    from transformers import BertConfig, BertModel

    from ssna.text.encoder import TextEncoder
    from ssna.text.models import find

    tokenizer = find(cache.model).tokenizer
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=width // HEAD_WIDTH,
        intermediate_size=4 * width,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    limit = min(cache.max_tokens, config.max_position_embeddings)
    encoder = TextEncoder.find(
        str(folder), ReadOptions(pooling=cache.pooling, max_tokens=limit, device="cpu", dtype="fp32")
    )
    return SimpleNamespace(encoding=encoder.encoding())


def _trained(data: Dataset, cache: Any, settings: RunSettings) -> Steps:
    torch.manual_seed(0)
    method = METHODS[settings.method.name]
    assert isinstance(method, TrainedMethod)
    return _steps(data, method.build(settings.method, data, cache, settings.dim), settings)


def _steps(data: Dataset, encoder: Any, settings: RunSettings, singly: bool = False) -> Steps:
    batches = batches_of(data, settings)
    model = Model(encoder, SASRec(settings.dim, data.max_history, **settings.sequence.model_dump()))
    model.to(choose_device(settings.training.device))
    steps = -(-len(batches) // settings.training.gradient_accumulation_steps)
    loss = Loss(settings.loss.name, settings.loss.temperature, settings.distillation.weight)
    trainer = Trainer(model, settings.training, loss, total_steps=steps * 200)
    if singly:
        trainer.graph_step = None
    forever = trainer.steps((batch for _ in cycle([None]) for batch in batches), lambda loss: None)
    return _timed(lambda: next(forever)), steps


def _timed(step: Callable[[], object]) -> Iterator[float]:
    while True:
        yield seconds(step)


def executed(steps: Iterator[float]) -> float:
    """Floating-point operations of one step's matrix products, forward and backward, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        next(steps)
    return float(counter.get_total_flops())


def peak_memory(arguments: argparse.Namespace, name: str) -> int:
    """Bytes above the loaded method that some steps need at most."""
    data, cache = opened(arguments)
    steps, _ = steps_of(name, data, cache, arguments.width, arguments.depth)
    meter = MemoryMeter(choose_device("auto"))
    for _ in range(MEMORY_STEPS[name]):
        next(steps)
    return meter.peak


def opened(arguments: argparse.Namespace) -> tuple[Dataset, LayerCache]:
    """The data set and its cache."""
    data = load(arguments.data)
    return data, LayerCache.open(arguments.cache, data.texts)


def side_by_side(arguments: argparse.Namespace, data: Dataset, cache: LayerCache, names: list[str]) -> dict[str, Any]:
    """Seconds, operations and memory of each method."""
    runs = {name: steps_of(name, data, cache, arguments.width, arguments.depth) for name in names}
    counted = {}
    for name, (steps, epoch) in runs.items():
        next(steps)  # the first one sets up what the others keep
        counted[name] = executed(steps)
        next(steps)
        if name == "ours" and choose_device("auto").type == "cuda":  # a graph is captured until all batches find room
            seconds(lambda steps=steps, epoch=epoch: statistics.fmean(islice(steps, epoch)))  # type: ignore[misc]
            alone, _ = ours(data, cache, arguments.width, singly=True)
            next(alone)
            counted[name] = executed(alone)
    actions: dict[str, Callable[[], float]] = {
        name: lambda name=name: statistics.fmean(islice(runs[name][0], STEPS[name]))  # type: ignore[misc]
        for name in names
    }
    rates = {"bf16": torch.bfloat16, "fp32": torch.float32}
    products = {f"{name} product": lambda dtype=dtype: product_rate(dtype) for name, dtype in rates.items()}
    rounds = alternate({**actions, **products}, arguments.rounds)
    epochs = {name: statistics.median(rounds[name]) * runs[name][1] for name in names}
    per_epoch = {name: ratio(rounds, name, "ours") * runs[name][1] / runs["ours"][1] for name in names}
    shares = {
        name: counted[name] / statistics.median(rounds[name]) / statistics.median(rounds[f"{rate} product"])
        for name in names
        for rate in (["fp32"] if name == "literal" else ["bf16"])
    }
    runs.clear()
    peaks = {name: in_child(__file__, [*again(arguments), "--memory-of", name]) for name in names}
    return {
        "steps_an_epoch": {name: round(epochs[name] / statistics.median(rounds[name])) for name in names},
        "seconds_a_step": {name: rounds[name] for name in names},
        "seconds_an_epoch": epochs,
        "ratio": per_epoch,
        "operations_a_step": counted,
        "product_rate": {name: rounds[f"{name} product"] for name in rates},
        "share_of_product_rate": shares,
        "peak_memory_bytes": peaks,
        "peak_memory_ratio": {name: peak / peaks["ours"] for name, peak in peaks.items()},
    }


def again(arguments: argparse.Namespace) -> list[str]:
    """The arguments that decide what is built."""
    numbers = {"--width": arguments.width, "--depth": arguments.depth}
    given = [word for name, value in numbers.items() if value is not None for word in (name, str(value))]
    return [str(arguments.data), str(arguments.cache), *given]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--width", type=int)
    parser.add_argument("--depth", type=int, help="Layers of a language model of random weights.")
    parser.add_argument("--against", action="append", choices=["literal", "lora", "adalora", "rectools"], default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--rectools", type=Path, help="Python of the environment that benchmarks/rectools/setup.sh made."
    )
    parser.add_argument("--text", type=Path, help="A mean-pooled cache for RecTools; CACHE unless named.")
    parser.add_argument("--epochs", type=int, default=100, help="At most so many of RecTools and of ours.")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print(json.dumps(peak_memory(arguments, arguments.memory_of)))
        return
    found = conditions(__file__)
    data, cache = opened(arguments)
    found |= {
        "data": {"name": arguments.data.name, "fingerprint": data.fingerprint},
        "width": arguments.width or cache.width,
        "depth": arguments.depth or cache.encoding.depth,
        "random": arguments.width is not None,
        "targets_a_step": TARGETS,
    }
    names = ["ours", *(name for name in arguments.against if name != "rectools")]
    if len(names) > 1 or not arguments.against:
        with tune_allocator():  # as training has it; all of them run in this process
            found |= side_by_side(arguments, data, cache, names)
        memory = found["peak_memory_bytes"], found["peak_memory_ratio"]
        for name in names:
            print(
                f"{name:8} {found['seconds_an_epoch'][name]:10.1f} s an epoch {found['ratio'][name]:8.1f} times ours   "
                f"{found['share_of_product_rate'][name]:4.0%} of the product rate   "
                f"peak {memory[0][name] / 1e6:8.0f} MB {memory[1][name]:6.2f} times ours"
            )
    if "rectools" in arguments.against:
        from race import race

        say("RecTools trains to its best epoch, then ours to the same validation N@10")
        found["rectools"] = race(data, cache, arguments)
        print(found["rectools"]["in_words"])
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
