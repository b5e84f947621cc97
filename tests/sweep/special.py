"""What some types need besides sizes by name: ``type`` or ``type.sub_config`` -> fields; ``...`` leaves the default."""

from typing import Any

TEXT_ROPE = {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}
TEXT_ROPE |= {"sliding_attention": TEXT_ROPE["full_attention"]}

MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}}
HALF_MROPE = {"rope_parameters": {**MROPE["rope_parameters"], "mrope_section": [2, 1, 1], "partial_rotary_factor": 0.5}}

SPECIAL: dict[str, dict[str, Any]] = {
    "apertus1p5.audio_config": {"codebook_dim": 64},
    "apertus1p5": {"image_token_offset": 64, "audio_token_offset": 96},
    "blt": {"encoder_hash_byte_group_vocab": 64},
    "chameleon": {"vocabulary_map": {"<image>": 101}},
    "codegen": {"rotary_dim": 16},
    "cohere_compass.text_config": {"rope_parameters": TEXT_ROPE},
    "cohere_compass_text": {"rope_parameters": TEXT_ROPE},
    "csm.codec_config": {
        "hidden_size": ...,
        "num_filters": ...,
        "codebook_dim": ...,
        "vector_quantization_hidden_dimension": ...,
    },
    "dbrx.attn_config": {"rope_theta": 1e4, "clip_qkv": 8.0},
    "deepseek_v2": {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1},
    "gptj": {"rotary_dim": 16},
    "deepseek_ocr2.text_config": {"num_experts_per_tok": 2, "mlp_layer_types": ["dense", "sparse", "sparse"]},
    "diffusion_gemma.text_config": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32},
    "dots3_note.vision_config": {"num_hidden_layers": ...},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "moe_intermediate_size": 32, "num_experts_per_tok": 2},
    "emu3": {"vocabulary_map": {"<image>": 101, "<|extra_200|>": 102}},
    "emu3.vq_config": {"base_channels": 32, "channel_multiplier": [1, 1], "attn_resolutions": []},
    "esmc": {"vocab_size": 128},
    **dict.fromkeys(("glm46v.text_config", "glm4v.text_config", "glm4v_text", "glm_image.text_config"), MROPE),
    **dict.fromkeys(("glm_image_text", "glm_ocr.text_config", "glm_ocr_text", "glmga.text_config"), MROPE),
    **dict.fromkeys(("glm4v_moe.text_config", "glm4v_moe_text"), HALF_MROPE),
    "layoutlmv3": {"coordinate_size": 10, "shape_size": 12},
    "led": {"attention_window": 8, "max_encoder_position_embeddings": 128},
    "lilt": {"hidden_size": 96},
    **dict.fromkeys(
        ("minicpm_ocr.text_config", "minicpmv4_6.text_config", "minicpmv4_7.text_config"), {"num_hidden_layers": 4}
    ),
    "esm": {"vocab_size": 128, "mask_token_id": 4},
    "falcon_h1": {"mamba_d_ssm": 128, "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 1},
    "fun_asr_nano.adaptor_config": {"intermediate_size": 16},
    "funnel": {
        "block_sizes": [1, 1, 1],
        "d_model": 64,
        "n_head": 4,
        "d_head": 16,
        "d_inner": 64,
        "num_hidden_layers": ...,
        "architectures": ["FunnelModel"],
    },
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "glm5_next.text_config": {"num_hidden_layers": 4, "index_kpool": 4},
    "glm5_next_text": {"num_hidden_layers": 4, "index_kpool": 4},
    "gpt_neo": {"num_layers": 2, "attention_types": [[["global", "local"], 1]]},
    "granite4_vision": {"downsample_rate": "1/2", "deepstack_layer_map": [[0, 0], [1, 1]]},
    "granite_speech.encoder_config": {"context_size": 8, "max_pos_emb": 16},
    "granite_speech_plus.encoder_config": {"context_size": 8, "max_pos_emb": 16},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
    "mamba2": {"num_heads": 8, "head_dim": 16, "n_groups": 1},
    "molmo2.adapter_config": {"vision_feature_layer": [2, 1]},
    "muse_spark.audio_config": {"num_hidden_layers": ...},
    "muse_spark.vision_config": {"num_hidden_layers": ...},
    "reformer": {
        "hidden_size": 64,
        "axial_pos_embds_dim": [16, 48],
        "axial_pos_shape": [8, 8],
        "attn_layers": ["lsh", "local", "lsh"],
        "local_attn_chunk_length": 8,
        "lsh_attn_chunk_length": 8,
        "num_buckets": 4,
    },
    "t5gemma2_encoder.text_config": {"dropout_rate": 0.0},
    "vibevoice.audio_config": {"depths": [1] * 7, "num_filters": 4},
    "vibevoice.semantic_model_config": {"depths": [1] * 7, "num_filters": 4},
    "vibevoice_asr.acoustic_tokenizer_encoder_config": {"depths": [1] * 7, "num_filters": 4, "hidden_size": 64},
    "vibevoice_asr.semantic_tokenizer_encoder_config": {"depths": [1] * 7, "num_filters": 4, "hidden_size": 64},
    "vibevoice_asr": {"acoustic_tokenizer_chunk_size": 3200},
    "zamba": {"num_hidden_layers": 12},
    "zamba2": {
        "num_hidden_layers": 4,
        "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
        "num_mem_blocks": 1,
    },
}
