"""Tiny models with random weights of any type that transformers has: default configurations, shrunk by known names."""

import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, PreTrainedConfig, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from sweep.special import SPECIAL

VOCABULARY, POSITIONS = 128, 64
TOKENS = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
WORDS = [f"word{n}" for n in range(60)]
LARGEST = 200_000_000  # parameters

# The first pattern that a field's whole name matches gives its value.
SIZES: list[tuple[str, Any]] = [
    (r"pad_token_id", 1),
    (r"bos_token_id|cls_token_id", 0),
    (r"eos_token_id|sep_token_id|decoder_start_token_id", 2),
    (r".*vocab_size.*|text_tokens|additional_vocab_size", VOCABULARY),
    (
        r"max_position_embeddings|max_(source|target)_positions|n_positions|n_ctx|max_seq_len|max_seq_length|"
        r"max_(en|de)coder_position_embeddings|max_2d_position_embeddings|max_pos_emb|original_max_position_embeddings",
        POSITIONS,
    ),
    (
        r"num_hidden_layers|(en|de)coder_layers|n_layers?|num_layers|layers|num_decoder_layers|.*_num_hidden_layers|"
        r"t2u_.*_layers|num_blocks|num_encoder_layers|speech_encoder_layers",
        3,
    ),
    (r"depth", 2),
    (
        r"num_attention_heads|num_heads|n_heads?|(en|de)coder_attention_heads|attention_heads|.*_attention_heads|"
        r"linear_num_(key|value)_heads|swa_num_key_value_heads|linear_num_heads|index_n_heads|.*num_attention_heads|resampler_n?_?heads",
        4,
    ),
    (r".*head_dim|kv_channels|d_kv|dim_head|d_head|.*head_width|.*head_size", 16),
    (r".*(q|kv|o)_lora_rank|.*gate_rank|.*_rank|hc_lowrank", 8),
    (r".*intermediate.*size.*|.*ffn_dim|.*_ff|.*ffn_hidden_size|mlp_dim|d_inner|dff|dim_ff|.*linear_units", 64),
    (
        r"(hidden_size|d_model|n_embd|dim|embed_dim|emb_dim|embedding_dim|embedding_size|hidden_dim|.*_hidden_size|"
        r"projection_dim|project_dim|output_dim|hidden_size_global|.*projection.*dim|condition_dim|"
        r"vision_output_dim|projector_(in|out)put_dim|out_dim|adapter_(in|out)_dim|mm_embed_dim|.*embed_dim|width|"
        r"decoder_hidden|encoder_hidden|adapter_input_size|sequence_state_dim|text_embed_dim|d_embed)",
        64,
    ),
    (r"hidden_size_per_layer_input|per_layer_.*", 16),
    (r"n_routed_experts|num_experts|num_local_experts|moe_num_experts", 4),
    (r"num_experts_per_tok|moe_k|moe_topk|top_k_experts", 2),
    (r"n_group|topk_group", 1),
    (r"image_size|resolution|input_size|max_image_size|min_image_size", 32),
    (r"patch_size", 8),
    (r"sliding_window.*|index_topk|local_attention|attention_chunk_size", 8),
    (r"num_query_tokens|num_queries|latent_query_num|resampler_n_latents|resampler_num_latents", 4),
    (r"codebook_size|num_embeddings", 32),
    (r"query_pre_attn_scalar", 16),
    (r"mamba_d_state|state_size|ssm_state_size", 16),
    (r"mamba_n_heads", 8),
    (r"mamba_d_head", 16),
    (r"mamba_d_ssm", 128),
    (r".*chunk_size", 8),
    (r"num_mel_bins|n_mel_bins", 16),
    (r"deepstack_visual_indexes|fullatt_block_indexes|global_attn_indexes", [0]),
    (r"first_k_dense_replace", 1),
]


def tiny_config(model_type: str) -> PreTrainedConfig:
    """The default configuration of a type, small."""
    return _shrunk(CONFIG_MAPPING[model_type], model_type)


def _shrunk(kind: type[PreTrainedConfig], path: str) -> PreTrainedConfig:
    default = kind()
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        value = vars(default).get(field.name)
        if isinstance(value, PreTrainedConfig):
            chosen[field.name] = _shrunk(type(value), f"{path}.{field.name}")
        elif (size := _size(field.name, value)) is not None:
            chosen[field.name] = size
        elif "drop" in field.name and isinstance(value, float):
            chosen[field.name] = 0.0
    heads = vars(default).get("num_attention_heads")
    if "num_key_value_heads" in vars(default):
        keys = vars(default)["num_key_value_heads"]
        chosen["num_key_value_heads"] = 4 if keys in (heads, None) else min(keys, 2)
    chosen |= _fitted_rope(vars(default), chosen)
    chosen |= SPECIAL.get(path, {})
    return kind(**{name: value for name, value in chosen.items() if value is not ...})


def _size(name: str, value: Any) -> Any:
    if name == "head_dim" and value is None:
        return 16
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        return None
    if name in ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id"):
        value = value if isinstance(value, int) else 10**6
    for pattern, size in SIZES:
        if re.fullmatch(pattern, name):
            if isinstance(value, int) and not isinstance(size, list):
                return size if "token_id" in name else min(size, value) if value > 0 else value
            return size if isinstance(size, list) else None
    if isinstance(value, int) and re.search(r"(token|tok)(_id|_index)?$|_(id|index)$", name) and value >= VOCABULARY:
        return 70 + sum(map(ord, name)) % 50
    return None


def _fitted_rope(default: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    """Sections of multimodal positions have to add up to half a head's width."""
    parameters = copy.deepcopy(default.get("rope_parameters"))
    found = False
    for rope in (parameters, *(parameters or {}).values()):
        if isinstance(rope, dict) and rope.get("mrope_section"):
            head = chosen.get("qk_rope_head_dim") or chosen.get("head_dim") or 16
            half = int(head * rope.get("partial_rotary_factor", 1.0)) // 2
            count = len(rope["mrope_section"])
            rope["mrope_section"] = [half - (count - 1) * (half // count), *[half // count] * (count - 1)]
            found = True
    return {"rope_parameters": parameters} if found else {}


def save_tiny(model_type: str, folder: Path) -> torch.nn.Module:
    """A model of a type in a folder, as ``save_pretrained`` writes it, and its tokenizer. The same at every call."""
    config = tiny_config(model_type)
    if hasattr(config, "pad_token_id"):
        config.pad_token_id = 1
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in AutoModel.from_config(config).parameters())
    if parameters > LARGEST:
        raise ValueError(f"{parameters:,} parameters are not tiny")
    torch.manual_seed(0)
    model = AutoModel.from_config(config, dtype=torch.float32).float()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # larger than an untrained model's: mistakes show
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1 and not re.search(r"A_log|decay|conv", name):
                parameter.copy_(0.15 * noise)
            else:
                parameter.add_(0.1 * noise)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return model.eval()


def tokenizer() -> PreTrainedTokenizerFast:
    """Words by their numbers, between ``[CLS]`` and ``[SEP]``."""
    words = Tokenizer(WordLevel({word: n for n, word in enumerate([*TOKENS, *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
    )
