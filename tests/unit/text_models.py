"""Tiny random language models of several architectures, made offline, and the plain reference to compare with."""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast

WORDS = [f"word{n}" for n in range(50)]
SPECIAL = ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]  # padding is 1, as in RoBERTa and MPNet, which count positions from 2
POSITIONS = 40
SIZES = {
    "bert": {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32},
    "distilbert": {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32},
    "gpt2": {"n_embd": 16, "n_layer": 3, "n_head": 2},
    "t5": {"d_model": 16, "num_layers": 3, "num_heads": 2, "d_ff": 32, "d_kv": 8},
}
SIZES |= dict.fromkeys(("roberta", "mpnet", "llama"), SIZES["bert"])
SIZES["mistral"] = {**SIZES["bert"], "num_key_value_heads": 1}  # its keys and values are half as wide as its queries
DECODERS = ("gpt2", "llama", "mistral")


def save_tiny_model(folder: Path, architecture: str = "bert", seed: int = 0) -> Path:
    """A folder as ``save_pretrained`` writes it: 3 layers, width 16, 40 positions, no token limit of its own."""
    torch.manual_seed(seed)
    positions = {} if architecture == "t5" else {"max_position_embeddings": POSITIONS}
    config = AutoConfig.for_model(
        architecture, vocab_size=60, pad_token_id=1, bos_token_id=0, eos_token_id=2, **positions, **SIZES[architecture]
    )
    for name, value in config.to_dict().items():  # so few numbers drown in the noise of dropout when they are to learn
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    model = AutoModel.from_config(config)
    for parameter in model.parameters():  # larger than an untrained model's, so that mistakes show
        if parameter.ndim > 1:
            parameter.data.normal_(0.0, 0.3)
    model.save_pretrained(folder)
    _tokenizer(architecture).save_pretrained(folder)
    return folder


def _tokenizer(architecture: str) -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({word: n for n, word in enumerate([*SPECIAL, *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    if architecture in DECODERS:  # no padding token, no special tokens around a text
        return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", eos_token="[SEP]")
    words.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    )


def some_texts(count: int, seed: int = 0, longest: int = 30) -> list[str]:
    """Distinct texts of 1 to ``longest`` words."""
    generator = np.random.default_rng(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[" ".join(generator.choice(WORDS, generator.integers(1, longest + 1)))] = None
    return list(texts)


def one_at_a_time(folder: Path, texts: list[str], max_tokens: int) -> dict[str, np.ndarray]:
    """(layers, n, d) by pooling: no batch, no padding, no mask, fp32."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    states = []
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=max_tokens)["input_ids"]
        with torch.no_grad():
            states.append(torch.cat(model(torch.tensor([ids]), output_hidden_states=True).hidden_states[1:]))
    places = {"cls": slice(0, 1), "last": slice(-1, None), "mean": slice(None)}
    return {
        pooling: torch.stack([layers[:, place].mean(dim=1) for layers in states], dim=1).numpy()
        for pooling, place in places.items()
    }
