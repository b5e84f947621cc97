#!/usr/bin/env bash
# transformers 5.24.0: AutoTokenizer makes up a tokenizer where a folder has none.
#
# A model was saved with save_pretrained, its tokenizer was not. One would expect an error, as for a folder without config.json.
# AutoTokenizer.from_pretrained gives a BertTokenizer of five special tokens instead: every word of every text is [UNK], so any
# two texts with the same number of words give the same states.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
files: ['config.json', 'model.safetensors']
BertTokenizer, vocabulary: ['[CLS]', '[MASK]', '[PAD]', '[SEP]', '[UNK]']
red shoes: ['[CLS]', '[UNK]', '[UNK]', '[SEP]']
garden hose: ['[CLS]', '[UNK]', '[UNK]', '[SEP]']
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet torch==2.13.0 transformers==5.24.0
env/bin/python - >seen <<'PYTHON'
from pathlib import Path

from transformers import AutoTokenizer, BertConfig, BertModel

config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
BertModel(config).save_pretrained("model")
print("files:", sorted(path.name for path in Path("model").iterdir()))
tokenizer = AutoTokenizer.from_pretrained("model")
print(f"{type(tokenizer).__name__}, vocabulary: {sorted(tokenizer.get_vocab())}")
for text in ("red shoes", "garden hose"):
    print(f"{text}: {tokenizer.convert_ids_to_tokens(tokenizer(text)['input_ids'])}")
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
