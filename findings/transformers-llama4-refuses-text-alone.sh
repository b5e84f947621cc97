#!/usr/bin/env bash
# transformers 5.24.0: Llama 4, as AutoModel builds it from its configuration, fails on a text without an image.
#
# AutoModel maps the type llama4 to Llama4ForConditionalGeneration, which reads texts with images or without. Called with
# input_ids alone, it raises AttributeError: its language model's output is asked for `image_outputs`, which that output never
# has. The language model inside it reads the same ids. One would expect that a text alone is read, as by other models that
# also take images (below, Llava of the same size).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
Llama4ForConditionalGeneration: AttributeError: 'MoeCausalLMOutputWithPast' object has no attribute 'image_outputs'
Llama4ForCausalLM inside it: logits (1, 3, 64)
LlavaModel: states (1, 3, 16)
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet torch==2.13.0 transformers==5.24.0
HF_HOME=$folder/home env/bin/python - >seen 2>errors <<'PYTHON' || { cat errors; exit 1; }
import torch
from transformers import AutoModel, CLIPVisionConfig, Llama4Config, LlamaConfig, LlavaConfig

shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
text = shape | {"vocab_size": 64, "intermediate_size": 16, "num_key_value_heads": 2, "pad_token_id": 0}
ids = torch.tensor([[1, 5, 6]])

model = AutoModel.from_config(
    Llama4Config(
        text_config=text | {"intermediate_size_mlp": 16, "head_dim": 8, "num_local_experts": 2},
        vision_config=shape
        | {"intermediate_size": 64, "image_size": 8, "patch_size": 2, "vision_output_dim": 16}
        | {"projector_input_dim": 16, "projector_output_dim": 16},
    )
).eval()
try:
    model(input_ids=ids)
    print(f"{type(model).__name__}: reads it")
except AttributeError as error:
    print(f"{type(model).__name__}: AttributeError: {error}")
inside = model.language_model
print(f"{type(inside).__name__} inside it: logits {tuple(inside(input_ids=ids).logits.shape)}")
vision = CLIPVisionConfig(**shape, intermediate_size=16, image_size=8, patch_size=2, projection_dim=16)
llava = AutoModel.from_config(LlavaConfig(text_config=LlamaConfig(**text), vision_config=vision, image_token_index=60)).eval()
print(f"{type(llava).__name__}: states {tuple(llava(input_ids=ids).last_hidden_state.shape)}")
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
