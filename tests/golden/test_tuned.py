"""LoRA, AdaLoRA, full and top tuning against their definitions, on tiny random language models of every family."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache as remembered
from itertools import islice
from pathlib import Path

import naive
import numpy as np
import pytest
import torch
from text_models import POSITIONS, SIZES, one_at_a_time, save_tiny_model, some_texts
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from ssna.core.errors import EncoderError, SettingsError
from ssna.data.dataset import Dataset
from ssna.methods import METHODS, ItemEncoder, TrainedMethod
from ssna.methods.tuned import AdaLoraEncoder, TunedEncoder, attention_maps, top_layers
from ssna.nn.losses import LOSSES
from ssna.nn.sasrec import SASRec
from ssna.runs import Run, resolve, train
from ssna.text import LayerCache, encode
from ssna.text import encoder as text_encoder
from ssna.training import Epoch, Fit, RunSettings, fit, trainer
from ssna.training.batches import Batches, autoregressive, collate
from ssna.training.trainer import Model

ITEMS, DIM, WIDTH, DEPTH = 20, 8, 16, 3
TUNED = ("lora", "adalora", "full")
READERS = [name for name, method in METHODS.items() if method.needs_text]
SMALL = [
    f"dim={DIM}",
    "sequence.ffn_dim=8",
    "sequence.num_layers=1",
    "sequence.dropout=0",
    "loss.name=batch-items",
    "training.batch_size=8",
    "training.precision=fp32",
    "training.device=cpu",
]
ADAPTED = dict.fromkeys(SIZES, 2 * DEPTH * [(WIDTH, WIDTH)])  # (d_in, d_out) of every map to queries or values
ADAPTED["gpt2"] = DEPTH * [(WIDTH, 3 * WIDTH)]  # one map to queries, keys and values
ADAPTED["mistral"] = DEPTH * [(WIDTH, WIDTH), (WIDTH, WIDTH // 2)]


@dataclass(frozen=True)
class World:
    """A language model, some texts, and the model's states of them."""

    model: Path
    data: Dataset
    cache: LayerCache


@pytest.fixture(scope="module")
def data(random_data: Callable[..., Dataset]) -> Dataset:
    return random_data(seed=6, users=30, items=ITEMS, longest=10, texts=some_texts(ITEMS, longest=9))


@pytest.fixture(scope="module")
def world(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., World]:
    @remembered
    def model(architecture: str) -> Path:
        with torch.random.fork_rng(devices=[]):
            return save_tiny_model(tmp_path_factory.mktemp(architecture), architecture)

    @remembered
    def make(architecture: str = "bert", pooling: str = "mean") -> World:
        folder = tmp_path_factory.mktemp("cache")
        cache, _ = encode(
            data.texts, str(model(architecture)), folder, pooling=pooling, dtype="fp32", device="cpu", quiet=True
        )
        return World(model(architecture), data, cache)

    return make


def build(method: str, world: World, **settings: object) -> TunedEncoder:
    """The same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return METHODS[method].build(METHODS[method].settings(**settings), world.data, world.cache, DIM)


def settings_of(method: str, *assignments: str) -> RunSettings:
    return resolve(method=method, settings=[*SMALL, *assignments])


def fit_seeded(encoder: ItemEncoder, data: Dataset, settings: RunSettings, **listeners: Callable) -> Fit:
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


# what is added, and what it does


def projection(width: int, dim: int) -> int:
    return width * dim + dim


@pytest.mark.parametrize("rank", [1, 5])
@pytest.mark.parametrize("architecture", SIZES)
def test_lora_trains_rank_times_both_widths_of_every_adapted_map(architecture, rank, world):
    encoder = build("lora", world(architecture), rank=rank)
    expected = sum(rank * (d_in + d_out) for d_in, d_out in ADAPTED[architecture])
    assert sum(p.numel() for p in learned(encoder).values()) == expected + projection(WIDTH, DIM)


@pytest.mark.parametrize("architecture", SIZES)
def test_adalora_trains_a_singular_value_a_direction_beside(architecture, world):
    encoder = build("adalora", world(architecture), rank=2, initial_rank=5)
    expected = sum(5 * (d_in + d_out + 1) for d_in, d_out in ADAPTED[architecture])
    assert sum(p.numel() for p in learned(encoder).values()) == expected + projection(WIDTH, DIM)


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
@pytest.mark.parametrize("architecture", SIZES)
@pytest.mark.parametrize("method", TUNED)
def test_untrained_vectors_are_the_frozen_top_layer_projected(method, architecture, pooling, world):
    """Of the texts read one at a time, and of the cache as far as its 16 bits go."""
    here = world(architecture, pooling)
    encoder = build(method, here).eval()
    alone = one_at_a_time(here.model, list(here.data.texts[1:]), POSITIONS)[pooling][-1]
    for states, tolerance in ((alone, 1e-5), (here.cache.top(1)[0, 1:], 2e-3)):
        expected = encoder.project(torch.from_numpy(states))
        torch.testing.assert_close(encoder.item_embeddings(ITEMS)[1:], expected, rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize("architecture", ["bert", "gpt2", "mistral"])
@pytest.mark.parametrize(
    ("method", "settings", "scale"),
    [("lora", {"rank": 3, "alpha": 6.5}, 6.5 / 3), ("adalora", {"rank": 2, "initial_rank": 4, "alpha": 3}, 3 / 4)],
)
def test_the_update_is_the_scaled_product_of_its_factors(method, settings, scale, architecture, world, tmp_path):
    """Added to the weights of the saved model by hand, it gives the same vectors, text by text."""
    here = world(architecture)
    encoder = shaken(build(method, here, **settings)).eval()
    weights = dict(encoder.network.named_parameters())
    model = AutoModel.from_pretrained(here.model)
    for path, part in model.named_modules():
        if path.rsplit(".", 1)[-1] in {"query", "value", "q_proj", "v_proj", "c_attn"}:
            a, b, e = (weights.get(f"base_model.model.{path}.lora_{letter}.default") for letter in "ABE")
            if method == "lora":
                a, b = (weights[f"base_model.model.{path}.lora_{letter}.default.weight"] for letter in "AB")
            delta = scale * b @ (a if e is None else e * a)
            part.weight.data += delta.T if architecture == "gpt2" else delta
    model.save_pretrained(tmp_path)
    for file in here.model.glob("token*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    states = one_at_a_time(tmp_path, list(here.data.texts[1:]), POSITIONS)["mean"][-1]
    torch.testing.assert_close(
        encoder.item_embeddings(ITEMS)[1:], encoder.project(torch.from_numpy(states)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_dropout_acts_on_the_update_in_training_only(method, world):
    items = torch.arange(1, ITEMS + 1)
    without, with_it = (shaken(build(method, world(), dropout=p)) for p in (0.0, 0.5))
    with_it.project.load_state_dict(without.project.state_dict())
    torch.testing.assert_close(without.train()(items), without.eval()(items))
    torch.testing.assert_close(with_it.eval()(items), without(items))
    assert not torch.allclose(with_it.train()(items), without(items), atol=1e-2)


@pytest.mark.parametrize("method", TUNED)
def test_a_language_model_that_changed_since_the_cache_was_made_is_refused(method, data, tmp_path):
    with torch.random.fork_rng(devices=[]):
        model = save_tiny_model(tmp_path / "model")
        cache, _ = encode(data.texts, str(model), tmp_path / "cache", dtype="fp32", device="cpu", quiet=True)
        save_tiny_model(tmp_path / "model", seed=1)
    with pytest.raises(EncoderError, match="has changed"):
        build(method, World(model, data, cache))


# which maps


FAMILIES = {
    "bert": ["query", "value"],
    "roberta": ["query", "value"],
    "electra": ["query", "value"],
    "distilbert": ["q_lin", "v_lin"],
    "mpnet": ["q", "v"],
    "t5": ["q", "v"],
    "llama": ["q_proj", "v_proj"],
    "mistral": ["q_proj", "v_proj"],
    "opt": ["q_proj", "v_proj"],
    "bart": ["q_proj", "v_proj"],
    "deberta-v2": ["query_proj", "value_proj"],
    "modernbert": ["Wqkv"],
    "phi3": ["qkv_proj"],
    "gpt_neox": ["query_key_value"],
    "gpt2": ["c_attn"],
}
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


@remembered
def network_of(architecture: str) -> nn.Module:
    sizes = {**SIZES, **OTHERS}.get(architecture, SIZES["bert"])
    with torch.random.fork_rng(devices=[]):
        model = AutoModel.from_config(AutoConfig.for_model(architecture, vocab_size=60, **SPECIAL, **sizes)).eval()
    return model.get_encoder() if model.config.is_encoder_decoder else model


@pytest.mark.parametrize("architecture", FAMILIES)
def test_the_maps_to_query_and_value_are_found_in_every_family(architecture):
    assert attention_maps(network_of(architecture), architecture) == FAMILIES[architecture]


@pytest.mark.parametrize("architecture", FAMILIES)
def test_the_names_of_the_maps_stand_once_in_every_layer(architecture):
    paths = [path for path, _ in network_of(architecture).named_modules()]
    for name in FAMILIES[architecture]:
        assert sum(path.rsplit(".", 1)[-1] == name for path in paths) == DEPTH


def test_a_network_without_known_maps_is_an_error_that_names_the_remedy():
    with pytest.raises(SettingsError, match=r"^some/xlnet has no query and value maps .*train ssna or full instead$"):
        attention_maps(network_of("xlnet"), "some/xlnet")


# full


TOP_TWO = {
    "bert": ("encoder.layer.1.", "encoder.layer.2."),
    "roberta": ("encoder.layer.1.", "encoder.layer.2."),
    "mpnet": ("encoder.layer.1.", "encoder.layer.2."),
    "distilbert": ("transformer.layer.1.", "transformer.layer.2."),
    "gpt2": ("h.1.", "h.2.", "ln_f."),
    "llama": ("layers.1.", "layers.2.", "norm."),
    "mistral": ("layers.1.", "layers.2.", "norm."),
    "t5": ("block.1.", "block.2.", "final_layer_norm."),
    "opt": ("decoder.layers.1.", "decoder.layers.2.", "decoder.final_layer_norm."),  # it stands before the layers
    "bart": ("layers.1.", "layers.2."),  # behind them stands the norm of the embeddings
    "mbart": ("layers.1.", "layers.2.", "layer_norm."),
    "deberta-v2": ("encoder.layer.1.", "encoder.layer.2."),  # ..., that of the relative positions
    "roberta-prelayernorm": ("encoder.layer.1.", "encoder.layer.2.", "LayerNorm."),  # all its parts are named norm
}


@pytest.mark.parametrize("architecture", SIZES)
def test_full_changes_the_top_two_layers_and_the_final_norm_and_nothing_else(architecture, world):
    encoder = build("full", world(architecture), layers=2)
    before = {name: p.detach().clone() for name, p in encoder.network.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in encoder.network.named_buffers()}
    fit_seeded(encoder, world().data, settings_of("full", "training.epochs=2", "training.learning_rate=1e-2"))
    changed = {name for name, p in encoder.network.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name in before if name.startswith(TOP_TWO[architecture])}
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in encoder.network.named_buffers())


@pytest.mark.parametrize("architecture", TOP_TWO)
def test_the_norms_behind_the_layers_are_found_wherever_they_are_declared(architecture):
    network = network_of(architecture)
    found = {part for parts in top_layers(network, 2, DEPTH, architecture) for part in parts}
    paths = {f"{path}." for path, part in network.named_modules() if part in found}
    assert paths == set(TOP_TWO[architecture])


def test_looking_for_the_norms_leaves_no_hooks():
    network = network_of("gpt2")
    top_layers(network, 2, DEPTH, "gpt2")
    assert not any(part._forward_hooks for part in network.modules())


def test_full_can_tune_all_layers_but_not_more(world):
    assert not any("wte" in name for name in learned(build("full", world("gpt2"), layers=DEPTH)))
    with pytest.raises(SettingsError, match=r"has 3 layers; method\.layers = 4"):
        build("full", world("gpt2"), layers=DEPTH + 1)


def test_a_network_without_one_list_of_its_layers_is_an_error_that_names_the_remedy():
    with pytest.raises(SettingsError, match=r"^some/xlm keeps its layers in no list of 3; train lora or ssna instead$"):
        top_layers(network_of("xlm"), 2, DEPTH, "some/xlm")


# adalora


def ranks_of_run(encoder: AdaLoraEncoder, data: Dataset, settings: RunSettings) -> list[int]:
    """The total rank after every step."""
    ranks, after_step = [], encoder.after_step

    def listening(step: int) -> None:
        after_step(step)
        ranks.append(encoder.total_rank)

    encoder.after_step = listening
    fit_seeded(encoder, data, settings)
    return ranks


SCHEDULE = {"rank": 2, "initial_rank": 6, "begin": 0.2, "end": 0.6}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(("architecture", "pooling"), [("bert", "mean"), ("gpt2", "last"), ("mistral", "last")])
def test_the_total_rank_stays_falls_along_the_cubic_and_stays(architecture, pooling, accumulate, world):
    """Eq. 12 of Zhang et al.: 20 steps, of which 4 are before ``begin`` and 8 from ``end`` on."""
    maps = len(ADAPTED[architecture])
    encoder = build("adalora", world(architecture, pooling), **SCHEDULE)
    settings = settings_of(
        "adalora", "training.epochs=4", f"training.limit_train_batches={5 * accumulate}", f"training.gradient_accumulation_steps={accumulate}"
    )
    budgets = [int(2 * maps + (6 - 2) * maps * (1 - (step - 4) / 8) ** 3) for step in range(5, 12)]
    assert ranks_of_run(encoder, world().data, settings) == [6 * maps] * 5 + budgets + [2 * maps] * 8


@pytest.mark.parametrize(("steps", "expected"), [(1, [36]), (2, [36, 12]), (3, [36, 12, 12])])
def test_a_run_of_few_steps_has_a_schedule_too(steps, expected, world):
    encoder = build("adalora", world(), rank=2, initial_rank=6)
    settings = settings_of("adalora", "training.epochs=1", f"training.limit_train_batches={steps}")
    assert ranks_of_run(encoder, world().data, settings) == expected


def test_by_default_the_budget_is_reached_within_a_fifth_of_the_planned_steps(world):
    encoder = build("adalora", world(), rank=2, initial_rank=6)
    ranks = ranks_of_run(encoder, world().data, settings_of("adalora", "training.epochs=4", "training.limit_train_batches=5"))
    assert len(ranks) == 20
    assert (ranks[0], ranks[4:]) == (36, 16 * [12])
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("assignment", ["method.rank=12", "method.begin=0.3"])
def test_ranks_that_cannot_fall_are_refused(assignment):
    with pytest.raises(SettingsError, match=r"method\.rank < method\.initial_rank and method\.begin < method\.end"):
        settings_of("adalora", assignment)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_the_penalty_is_the_mean_distance_from_orthogonality(architecture, world):
    encoder = shaken(build("adalora", world(architecture), orthogonality=0.3))
    rows = [a.tolist() for a in updates(encoder, "A")] + [b.T.tolist() for b in updates(encoder, "B")]
    expected = 0.3 * sum(naive.distance_from_orthonormal(vectors) for vectors in rows) / len(rows)
    assert expected > 0
    assert encoder.penalty().item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_the_penalty_reaches_both_factors_of_every_map(world):
    encoder = build("adalora", world())
    encoder.penalty().backward()
    factors = updates(encoder, "A") + updates(encoder, "B")
    assert len(factors) == 4 * DEPTH
    assert all(factor.grad is not None and factor.grad.abs().max() > 0 for factor in factors)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_importance_is_weight_times_the_live_gradient_of_the_step(accumulate, world):
    """Without the penalty, so that the loss alone must make it; the first step's update is still zero."""
    encoder = build("adalora", world(), orthogonality=0.0, **SCHEDULE)
    allocator, after_step, seen = encoder.network.base_model.rankallocator, encoder.after_step, []

    def listening(step: int) -> None:
        named = {name: p for name, p in encoder.network.base_model.model.named_parameters() if "lora_" in name}
        expected = {name: (p * p.grad).detach().abs() for name, p in named.items()}
        after_step(step)
        if 1 <= step < 6:
            seen.append(step)
            assert allocator.ipt.keys() == expected.keys()
            for name, importance in expected.items():
                torch.testing.assert_close(allocator.ipt[name], importance, rtol=0, atol=0)
                assert importance.max() > 0

    encoder.after_step = listening
    settings = settings_of("adalora", "training.epochs=2", "training.limit_train_batches=10", f"training.gradient_accumulation_steps={accumulate}")
    fit_seeded(encoder, world().data, settings)
    assert seen == [1, 2, 3, 4, 5]


# steps


@pytest.fixture
def gradients(monkeypatch) -> list[list[Tensor]]:
    """Of all that learns, just before every optimizer step."""
    taken, step = [], torch.optim.AdamW.step

    def listening(self, *args, **kwargs):
        taken.append([p.grad.clone() for group in self.param_groups for p in group["params"]])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", listening)
    return taken


def naive_gradients(encoder: ItemEncoder, data: Dataset, settings: RunSettings, skip: int, count: int) -> list[Tensor]:
    """Of the mean of losses and penalties of ``count`` batches after the first ``skip``, with untouched weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        model = Model(encoder, SASRec(DIM, data.max_history, **settings.sequence.model_dump())).train()
    batches = Batches(
        data.train,
        ITEMS,
        objective="causal",
        max_history=data.max_history,
        batch_size=8,
        num_negatives=0,
        rng=np.random.default_rng(settings.seed),
    )
    model.zero_grad()
    values = [LOSSES["batch-items"](model(batch), 0.07) for batch in islice(batches, skip, skip + count)]
    (sum(value + encoder.penalty() for value in values) / count).backward()
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [p.grad for p in parameters if p.ndim >= 2] + [p.grad for p in parameters if p.ndim < 2]


@pytest.mark.parametrize(("accumulate", "groups"), [(1, [1, 1]), (2, [2, 2, 1]), (3, [3, 3]), (9, [4])])
@pytest.mark.parametrize(
    ("method", "chosen"), [("tmlp", {}), ("lora", {"dropout": 0.0}), ("adalora", {"dropout": 0.0}), ("full", {})]
)
def test_a_step_takes_the_gradient_of_the_mean_over_its_batches(method, chosen, accumulate, groups, gradients, world):
    """Penalty included. The steps are too small to change a weight."""
    settings = settings_of(
        method,
        "training.epochs=1",
        f"training.gradient_accumulation_steps={accumulate}",
        f"training.limit_train_batches={sum(groups)}",
        "training.learning_rate=1e-12",
    )
    fit_seeded(build(method, world(), **chosen), world().data, settings)
    assert len(gradients) == len(groups)
    for step, count in enumerate(groups):
        expected = naive_gradients(build(method, world(), **chosen), world().data, settings, sum(groups[:step]), count)
        torch.testing.assert_close(gradients[step], expected, rtol=1e-3, atol=1e-6)


def test_an_epoch_can_be_cut_and_the_record_says_so(gradients, world, data):
    def run(*assignments: str) -> Run:
        chosen = [*SMALL, "training.epochs=2", *assignments]
        return train(data, world().cache, method="tmlp", settings=chosen, quiet=True)

    whole = run().record
    assert {epoch["batches"] for epoch in whole.epochs} == {whole.batches}
    gradients.clear()
    cut = run("training.limit_train_batches=5", "training.gradient_accumulation_steps=2").record
    assert (cut.batches, [epoch["batches"] for epoch in cut.epochs]) == (whole.batches, [5, 5])
    assert whole.batches > 5
    assert len(gradients) == 2 * 3


def test_more_batches_than_there_are_cut_nothing(world, data):
    chosen = [*SMALL, "training.epochs=1", "training.limit_train_batches=1000"]
    record = train(data, world().cache, method="tmlp", settings=chosen, quiet=True).record
    assert record.epochs[0]["batches"] == record.batches < 1000


@pytest.mark.parametrize("method", TUNED)
def test_16_bit_training_leaves_weights_and_vectors_in_32_bits(method, world, data):
    encoder, settings = build(method, world()), settings_of(method, "training.epochs=1", "training.precision=bf16")
    fitted = fit_seeded(encoder, data, settings)
    assert np.isfinite(fitted.epochs[0].loss)
    assert {p.dtype for p in encoder.parameters()} | {fitted.scorer.vectors.dtype} == {torch.float32}


@pytest.mark.parametrize("method", TUNED)
def test_early_stopping_brings_the_best_weights_back(method, world, data, monkeypatch):
    """The ranks of AdaLoRA are among them: those of the second of five epochs."""
    told = iter([0.1, 0.3, 0.2, 0.3, 0.1, 0.9])
    monkeypatch.setattr(
        trainer, "ranks", lambda *_: np.array([1] * round(10 * (r := next(told))) + [99] * (10 - int(10 * r)))
    )
    chosen = SCHEDULE if method == "adalora" else {}
    encoder, after = build(method, world(), **chosen), []

    def keep(epoch: Epoch, weights: dict[str, Tensor]) -> None:
        after.append(learned(encoder))

    assignments = ("training.epochs=9", "training.early_stopping_patience=3", "training.limit_train_batches=2", "training.learning_rate=1e-2")
    fitted = fit_seeded(encoder, data, settings_of(method, *assignments), on_epoch=keep)
    assert (fitted.best_epoch, len(fitted.epochs)) == (2, 5)
    final = learned(encoder)
    assert all(torch.equal(final[name], weight) for name, weight in after[1].items())
    assert not any(torch.equal(final[name], weight) for name, weight in after[4].items())
    torch.testing.assert_close(fitted.scorer.vectors, encoder.eval().item_embeddings(ITEMS))


# the way through the network


@pytest.mark.parametrize("budget", [4096, 25])
@pytest.mark.parametrize("method", TUNED)
def test_each_distinct_item_of_a_batch_goes_through_the_network_once(method, budget, world, monkeypatch):
    here = world()
    histories = here.data.train
    batch = collate(histories, autoregressive(histories, 8), np.arange(12), ITEMS, 3, np.random.default_rng(0))
    assert len(batch.inputs) + len(batch.targets) > len(batch.unique)
    encoder, rows = build(method, here), []
    encoder.network.register_forward_pre_hook(
        lambda _, args, inputs: rows.extend(inputs["input_ids"].tolist()), with_kwargs=True
    )
    monkeypatch.setitem(text_encoder.TOKENS_PER_BATCH, "cpu", budget)
    Model(encoder, SASRec(DIM, 8, 1, 1, 8, 0.0)).train()(batch)
    stripped = [tuple(token for token in row if token != encoder.padding) for row in rows]
    texts = [tuple(encoder.ids[encoder.offsets[i] : encoder.offsets[i + 1]].tolist()) for i in batch.unique.tolist()]
    assert sorted(stripped) == sorted(texts)


def test_vectors_do_not_depend_on_how_many_texts_are_read_together(world, monkeypatch):
    encoder, items = build("lora", world()).eval(), torch.tensor([9, 2, 17, 20, 1, 5])
    together = encoder(items)
    monkeypatch.setitem(text_encoder.TOKENS_PER_BATCH, "cpu", 1)
    torch.testing.assert_close(encoder(items), together, rtol=1e-4, atol=1e-5)


def attention_of(encoder: TunedEncoder) -> nn.Module:
    """The top layer's, which all three methods tune."""
    return [part for part in encoder.network.modules() if type(part).__name__.endswith("Attention")][-1]


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
@pytest.mark.parametrize(
    ("method", "chosen"), [("lora", {"dropout": 0.0}), ("adalora", {"dropout": 0.0}), ("full", {})]
)
def test_checkpointing_changes_no_vector_and_no_gradient(method, chosen, architecture, world):
    vectors, grads, reads = [], [], []
    for checkpointing in (False, True):
        encoder = shaken(build(method, world(architecture), checkpointing=checkpointing, **chosen)).train()
        calls: list[int] = []
        attention_of(encoder).register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        vectors.append(encoder(torch.arange(1, ITEMS + 1)))
        vectors[-1].square().sum().backward()
        grads.append({name: p.grad for name, p in encoder.named_parameters() if p.requires_grad})
        reads.append(len(calls))
    assert reads == [1, 2]  # computed again going back
    torch.testing.assert_close(vectors[0], vectors[1], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", TUNED)
def test_checkpointing_of_a_model_that_cannot_is_an_error(method, world):
    with pytest.raises(SettingsError, match=r"^method\.checkpointing: .* leave it off$"):
        build(method, world("mpnet"), checkpointing=True)


# top tuning


@pytest.fixture
def top(world) -> list[list[float]]:
    return world().cache.top(1)[0, 1:].tolist()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_tmlp_is_linear_layers_with_gelu_between_them_over_the_top_layer(depth, world, top):
    encoder = build("tmlp", world(), depth=depth).eval()
    weights = [(layer.weight.tolist(), layer.bias.tolist()) for layer in encoder.text.layers]
    assert len(weights) == depth
    expected = []
    for h in top:
        x = naive.linear(*weights[0], h)
        for weight, bias in weights[1:]:
            x = naive.linear(weight, bias, [naive.gelu(value) for value in x])
        expected.append(x)
    torch.testing.assert_close(encoder.item_embeddings(ITEMS)[1:], torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_tmoe_is_equations_1_to_3_over_the_top_layer(world, top):
    encoder = build("tmoe", world(), heads=3).eval()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(parameter.numel()))
    adapter = encoder.text.adapters[0]
    parts = adapter.shift.tolist(), adapter.projection.permute(1, 0, 2).tolist(), adapter.route_mean.tolist()
    expected = torch.tensor([naive.adapter(h, *parts) for h in top])
    torch.testing.assert_close(encoder.item_embeddings(ITEMS)[1:], expected, rtol=1e-4, atol=1e-4)


def test_tmoe_is_ssnas_adapter_of_one_layer(world):
    tmoe, ssna = build("tmoe", world()), build("ssna", world(), layers=1, integrate="mean", heads=8)
    adapter = tmoe.text.adapters[0]
    assert {name: tuple(p.shape) for name, p in tmoe.named_parameters()} == {
        name: tuple(p.shape) for name, p in ssna.named_parameters()
    }
    ssna.load_state_dict(tmoe.state_dict())
    items, h = torch.arange(1, ITEMS + 1), torch.from_numpy(world().cache.top(1))[0, 1:]
    with torch.random.fork_rng(devices=[]):
        answers = []
        for read in (tmoe.train(), ssna.train(), lambda _: adapter(h)):
            torch.manual_seed(4)
            answers.append(read(items))
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])


# every class of models through every method


CLASSES = [("distilbert", "mean"), ("roberta", "mean"), ("bert", "mean")]
DECODERS = [(decoder, pooling) for decoder in ("gpt2", "llama") for pooling in ("cls", "last")]


@pytest.mark.parametrize(("architecture", "pooling"), CLASSES + DECODERS)
@pytest.mark.parametrize("method", READERS)
def test_every_class_of_models_goes_through_every_method_and_comes_back(
    method, architecture, pooling, world, data, tmp_path
):
    here = world(architecture, pooling)
    chosen = [*SMALL, "training.epochs=1", "training.batch_size=40"]
    run = train(data, here.cache, method=method, settings=chosen, out=tmp_path / "run", quiet=True)
    loaded = Run.load(tmp_path / "run")
    assert loaded.record == run.record
    assert all(np.isfinite(epoch["loss"]) for epoch in loaded.record.epochs)
    assert len(loaded.record.epochs) == (isinstance(METHODS[method], TrainedMethod))
    histories = [["i1", "i2"], ["i7"], []]
    assert loaded.recommender.recommend(histories) == run.recommender.recommend(histories)
