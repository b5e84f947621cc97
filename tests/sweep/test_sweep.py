"""A tenth of the types, built and compared anew; the other ones as they were kept."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import transformers

from ssna.text.encoder import TextEncoder
from ssna.text.probe import Probe
from sweep.check import check, tuned
from sweep.run import KEPT

sys.path.append(str(Path(__file__).parents[2] / "docs"))

# fmt: off
SUBSET = [
    "albert", "bart", "bert", "big_bird", "bloom", "canine", "clip_text_model", "convbert", "cpmant", "deberta",
    "deberta-v2", "distilbert", "dpr", "electra", "falcon", "fnet", "fsmt", "gemma3_text", "gpt2", "gpt_neox",
    "ibert", "llama", "mamba", "mistral", "mobilebert", "modernbert", "modernvbert", "mpnet", "mra", "nystromformer",
    "opt", "phi3", "qwen2", "qwen3", "reformer", "roberta", "squeezebert", "t5", "xlm-roberta", "xlnet", "yoso",
]
# fmt: on
RESULT = json.loads(KEPT.read_text(encoding="utf-8"))


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in SUBSET if name in RESULT["types"]])
def test_a_type_is_read_as_it_was_when_all_were_compared(name):
    assert transformers.__version__ == RESULT["transformers"], "another version: run make sweep"
    kept = dict(RESULT["types"][name])
    methods = kept.pop("tuned", [])
    assert json.loads(json.dumps(check(name).tree())) == kept
    assert "tuned" not in RESULT["types"][name] or tuned(name) == methods


@pytest.mark.long
@pytest.mark.parametrize("name", ["fnet", "convbert"])
def test_padding_where_it_changes_vectors_is_found_to_be_wrong(name, monkeypatch):
    shown = Probe("padded", RESULT["types"][name]["layers"], width=64)
    monkeypatch.setattr(TextEncoder, "probe", shown)
    assert check(name).verdict == "wrong"


def test_the_kept_result_has_no_wrong_type_and_no_traceback():
    bad = [name for name, row in RESULT["types"].items() if row["verdict"] in ("wrong", "traceback")]
    assert not bad


@pytest.mark.skipif(len(RESULT["types"]) < RESULT["all"], reason="not all types are done: run make sweep")
def test_of_403_types_330_are_right_and_few_were_not_built():
    counts = Counter(row["verdict"] for row in RESULT["types"].values())
    assert sum(counts.values()) == 403
    assert counts["right"] >= 330
    assert counts["not built"] <= 14


def test_the_guides_page_is_written_from_the_kept_result():
    import generate_models

    assert generate_models.PAGE.read_text(encoding="utf-8") == generate_models.render(), "run: make sweep"


def test_refusals_have_a_reason_of_one_or_two_lines():
    refused = [row["reason"] for row in RESULT["types"].values() if row["verdict"] == "refused"]
    assert refused
    assert all(1 <= len(reason.splitlines()) <= 2 for reason in refused)
