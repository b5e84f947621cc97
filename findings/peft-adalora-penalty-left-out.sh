#!/usr/bin/env bash
# peft 0.21.2: AdaLoRA's orthogonality penalty is missing from the loss of a model without a task type.
#
# AdaLoRA (Zhang et al., 2023, Eq. 4) adds orth_reg_weight times the mean of |P'P - I| and |QQ' - I| to the loss. peft does so in
# AdaLoraModel.forward. The forward of a PeftModel, which get_peft_model gives where task_type is left out, passes it by: the
# loss has no penalty, and nothing says so. With task_type = SEQ_CLS the same model has it. One would expect one loss.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
task_type = SEQ_CLS, PeftModelForSequenceClassification: the loss has 1.00 of the penalty
no task_type, PeftModel: the loss has 0.00 of the penalty
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet torch==2.13.0 transformers==5.24.0 peft==0.21.2
env/bin/python - >seen <<'PYTHON'
import torch
from peft import AdaLoraConfig, get_peft_model
from transformers import BertConfig, BertForSequenceClassification

SMALL = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=50)
INPUT = {"input_ids": torch.arange(1, 9).reshape(2, 4), "labels": torch.tensor([0, 1])}


def losses(task: str | None) -> str:
    torch.manual_seed(0)
    model = BertForSequenceClassification(SMALL).eval()
    plain = model(**INPUT).loss.item()
    config = AdaLoraConfig(
        task_type=task, target_modules=["query", "value"], init_r=4, target_r=2, total_step=100, orth_reg_weight=0.5
    )
    adapted = get_peft_model(model, config).eval()  # the update is zero at first
    penalties = []
    for name, weight in adapted.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            product = weight @ weight.T if "lora_A" in name else weight.T @ weight
            penalties.append(torch.linalg.norm(product - torch.eye(len(product))))
    more = adapted(**INPUT).loss.item() - plain
    due = 0.5 * torch.stack(penalties).mean().item()
    return f"{type(adapted).__name__}: the loss has {more / due:.2f} of the penalty"


print("task_type = SEQ_CLS,", losses("SEQ_CLS"))
print("no task_type,", losses(None))
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
