"""Tiny language models of every family, and encoders over them."""

from dataclasses import dataclass
from functools import cache as remembered
from pathlib import Path
from typing import Any

import torch
from text_models import SIZES
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from ssna.data.dataset import Dataset
from ssna.methods import METHODS, ItemEncoder, TrainedMethod
from ssna.methods.tuned import TunedEncoder
from ssna.runs import resolve
from ssna.text import LayerCache
from ssna.training import Fit, RunSettings, fit

ITEMS, DIM, WIDTH, DEPTH = 20, 8, 16, 3
TUNED = ("lora", "adalora", "full")
READERS = [name for name, method in METHODS.items() if method.needs_text]
SMALL = [
    f"dim={DIM}",
    "sequence.ffn_dim=8",
    "sequence.num_layers=1",
    "sequence.dropout=0",
    "loss.name=sampled",
    "training.batch_size=8",
    "training.precision=fp32",
    "training.device=cpu",
]
ADAPTED = dict.fromkeys(SIZES, 2 * DEPTH * [(WIDTH, WIDTH)])  # (d_in, d_out) of every map to queries or values
ADAPTED["gpt2"] = DEPTH * [(WIDTH, 3 * WIDTH)]  # one map to queries, keys and values
ADAPTED["mistral"] = DEPTH * [(WIDTH, WIDTH), (WIDTH, WIDTH // 2)]
SCHEDULE = {"rank": 2, "initial_rank": 6, "begin": 0.2, "end": 0.6}
SPECIAL = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0)
BART = {"d_model": 16, "encoder_layers": DEPTH, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
BART |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
OTHERS = {  # not saved with a tokenizer, as those of SIZES are
    "bart": BART,
    "mbart": BART,
    "opt": SIZES["bert"] | {"ffn_dim": 32, "word_embed_proj_dim": 16},
    "deberta-v2": SIZES["bert"] | {"relative_attention": True, "norm_rel_ebd": "layer_norm", "pos_att_type": ["c2p"]},
    "xlm": {"emb_dim": 16, "n_layers": DEPTH, "n_heads": 2, "n_words": 60},
    "xlnet": {"d_model": 16, "n_layer": DEPTH, "n_head": 2, "d_inner": 32},
}


@dataclass(frozen=True)
class World:
    """A language model, some texts, and the model's states of them."""

    model: Path
    data: Dataset
    cache: LayerCache


def build(method: str, world: World, **settings: Any) -> ItemEncoder:
    """The same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        chosen = METHODS[method]
        assert isinstance(chosen, TrainedMethod)
        return chosen.build(chosen.settings(name=method, **settings), world.data, world.cache, DIM)


def settings_of(method: str, *assignments: str) -> RunSettings:
    return resolve(method=method, settings=[*SMALL, *assignments])


def fit_seeded(encoder: ItemEncoder, data: Dataset, settings: RunSettings, **listeners: Any) -> Fit:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        return fit(encoder, data, settings, **listeners)


def shaken(encoder: TunedEncoder) -> TunedEncoder:
    """Updates are zero at the start, so that mistakes in them do not show."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in encoder.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(0.0, 0.4, generator=generator)
    return encoder


def learned(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}


def updates(encoder: TunedEncoder, letter: str) -> list[Tensor]:
    return [p for name, p in encoder.named_parameters() if f"lora_{letter}" in name]


@remembered
def network_of(architecture: str) -> nn.Module:
    known: dict[str, Any] = {**SIZES, **OTHERS}
    sizes = known.get(architecture, SIZES["bert"])
    with torch.random.fork_rng(devices=[]):
        model = AutoModel.from_config(AutoConfig.for_model(architecture, vocab_size=60, **SPECIAL, **sizes)).eval()
    return model.get_encoder() if model.config.is_encoder_decoder else model
