from importlib.resources import files

import pytest

from ssna.core.errors import SettingsError
from ssna.core.settings import read_toml
from ssna.methods import METHODS
from ssna.nn.losses import LOSSES
from ssna.runs import RECIPES, resolve
from ssna.training import RunSettings
from ssna.training.batches import OBJECTIVES
from ssna.training.settings import LossSettings, TrainingSettings


@pytest.fixture
def config(tmp_path):
    def write(content: str):
        path = tmp_path / "config.toml"
        path.write_text(content, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_valid(recipe):
    assert resolve(recipe).method.name in METHODS


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_comes_back_from_toml_as_it_was(recipe, config):
    settings = resolve(recipe)
    assert RunSettings.parse(read_toml(config(settings.to_toml()))) == settings


def test_every_recipe_file_is_listed_and_every_listed_recipe_is_there():
    shipped = {file.name.removesuffix(".toml") for file in files("ssna.recipes").iterdir() if ".toml" in file.name}
    assert shipped == set(RECIPES)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_alone_has_valid_settings_that_come_back_from_toml(method, config):
    settings = resolve(method=method)
    assert RunSettings.parse(read_toml(config(settings.to_toml()))) == settings


def test_the_recipe_paper_has_the_settings_of_the_paper():
    paper = resolve("paper")
    method, sequence, loss, training = paper.method, paper.sequence, paper.loss, paper.training
    assert (paper.dim, method.num_experts, method.integrate, method.init) == (256, 8, "gru", "random")
    assert (sequence.num_layers, sequence.num_heads, loss.name, loss.temperature) == (2, 2, "in-batch", 0.07)
    assert (training.learning_rate, training.objective, paper.text.pooling) == (3e-4, "prefix", "cls")
    assert (method.layers, training.batch_size, training.weight_decay) == (3, 256, 0)
    assert (method.id_embeddings, training.warmup_ratio, training.lr_schedule) == (False, 0, "constant")
    assert (paper.ensemble.members, paper.distillation.teacher, training.future_targets) == ((), "none", 1)


def test_without_recipe_and_method_it_is_the_recipe_best():
    assert resolve() == resolve("best")


def test_an_unknown_recipe_is_named_with_those_there_are():
    with pytest.raises(SettingsError, match=r"'bset'; there are best, fast, text, paper; did you mean best\?"):
        resolve("bset")


def test_an_unknown_method_is_named_with_those_there_are():
    with pytest.raises(SettingsError, match=r"unknown method 'ssan'; there are ssna, .*, blend; did you mean ssna\?"):
        resolve(method="ssan")


@pytest.mark.parametrize("assignment", ["method=ssna", "method.name=[1]", "method=3"])
def test_a_method_that_is_no_name_is_an_error_in_words(assignment):
    with pytest.raises(SettingsError, match=r"unknown method|choose a method with method = "):
        resolve(settings=[assignment])


def test_a_method_section_that_is_no_section_gives_way_to_the_method_named(config):
    assert resolve(config=config('method = "ssna"'), method="ids").method.name == "ids"


def test_an_unknown_key_of_a_method_is_named_with_a_suggestion():
    with pytest.raises(SettingsError, match=r"method: unknown setting num_expert; did you mean num_experts\?"):
        resolve(method="ssna", settings=["method.num_expert=3"])


def test_one_assignment_needs_no_list():
    assert resolve(settings="training.epochs=4").training.epochs == 4


def test_an_unknown_key_of_a_section_is_named_with_a_suggestion():
    with pytest.raises(SettingsError, match=r"unknown setting training\.epoch; did you mean training\.epochs\?"):
        resolve(settings=["training.epoch=3"])


def test_assignments_stand_above_the_file_and_the_file_above_the_recipe(config):
    settings = resolve(
        "paper",
        config=config("dim = 64\n[training]\nepochs = 9\nbatch_size = 32"),
        settings=["training.epochs=4"],
    )
    assert (settings.dim, settings.training.epochs, settings.training.batch_size) == (64, 4, 32)
    assert settings.training.learning_rate == 3e-4


def test_another_method_than_the_recipes_takes_the_place_of_its_section():
    settings = resolve("best", method="ids")
    assert (settings.method.tree(), settings.loss.name) == ({"name": "ids"}, "in-batch-logq")


def test_the_recipes_own_method_keeps_its_section():
    assert resolve("best", method="ssna") == resolve("best")


def test_the_seed_stands_above_everything():
    assert resolve(settings=["seed=3"], seed=5).seed == 5


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999999"])
def test_a_seed_that_no_generator_takes_is_refused(seed):
    with pytest.raises(SettingsError, match="seed"):
        resolve(settings=[f"seed={seed}"])


def test_a_dim_that_is_no_multiple_of_num_heads_is_refused():
    with pytest.raises(SettingsError, match="heads"):
        resolve(settings=["dim=256", "sequence.num_heads=3"])


@pytest.mark.parametrize(
    ("settings", "field", "table"), [(LossSettings, "name", LOSSES), (TrainingSettings, "objective", OBJECTIVES)]
)
def test_the_names_a_setting_allows_are_those_of_its_table(settings, field, table):
    assert set(settings.model_fields[field].annotation.__args__) == set(table)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_the_same_name_in_its_table_and_in_its_settings(method):
    assert METHODS[method].settings.model_fields["name"].default == method


def test_a_setting_without_its_section_gets_its_section_as_a_hint():
    with pytest.raises(SettingsError, match=r"unknown setting epochs; did you mean training\.epochs\?"):
        resolve("best", settings=["epochs=2"])


def test_assigning_another_methods_name_leaves_the_recipes_method_keys_behind():
    settings = resolve("best", settings=["method.name=ids"])
    assert settings.method == resolve(method="ids").method
    assert settings.training == resolve("best").training


def test_a_method_assigned_as_a_value_gets_the_option_as_a_hint():
    with pytest.raises(SettingsError) as caught:
        resolve("best", settings=["method=ids"])
    assert str(caught.value) == "settings = 'method=ids': choose a method with method = 'ids'"
    assert caught.value.for_command_line == "--set method=ids: choose a method with --method ids"


def test_an_assignment_without_a_value_is_told_in_the_words_of_the_side_that_gave_it():
    with pytest.raises(SettingsError) as caught:
        resolve(settings=["training.epochs"])
    assert str(caught.value) == "settings = 'training.epochs': write it as section.key=value"
    assert caught.value.for_command_line == "--set training.epochs: write it as section.key=value"


@pytest.mark.parametrize("settings", [{"training.epochs": 2}, {"training": {"epochs": 2}}, {}, [3], 3])
def test_settings_that_are_no_list_of_assignments_are_told_how_to_write_them(settings):
    with pytest.raises(SettingsError) as caught:
        resolve(settings=settings)
    expected = 'settings is a list of "section.key=value", such as ["training.epochs=5"]; it was given as '
    assert str(caught.value).startswith(expected)
    assert "--set" not in caught.value.for_command_line


@pytest.mark.parametrize("member", ["item-knn", "text-knn"])
def test_a_member_of_an_ensemble_is_set_by_its_method_name(member):
    settings = resolve(method="ids", settings=[f"ensemble.{member}.decay=0.25", f"ensemble.members=['{member}']"])
    assert settings.ensemble.of(member).decay == 0.25
    assert settings.tree()["ensemble"][member]["decay"] == 0.25


def test_a_member_of_a_blend_is_set_by_its_method_name():
    settings = resolve(method="blend", settings=["method.item-knn.decay=0.25", "method.ease.ridge=7"])
    assert (settings.method.of("item-knn").decay, settings.method.of("ease").ridge) == (0.25, 7)


def test_sections_by_method_name_come_back_from_toml(config):
    settings = resolve(method="ids", settings=["ensemble.item-knn.decay=0.25", "ensemble.text-linear.max_events=9"])
    text = settings.to_toml()
    assert "[ensemble.item-knn]" in text
    assert RunSettings.parse(read_toml(config(text))) == settings


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("ensemble.item-knn.decy=0.5", "unknown setting ensemble.item-knn.decy; did you mean ensemble.item-knn.decay?"),
        ("ensemble.item-knn.reach=9", "unknown setting ensemble.item-knn.reach; known here: decay, name, window"),
        ("ensemble.item_knn.decay=0.5", "unknown setting ensemble.item_knn; did you mean ensemble.item-knn?"),
        ("ensemble.itemknn.decay=0.5", "unknown setting ensemble.itemknn; did you mean ensemble.item-knn?"),
        ("ensemble.item-knn.decay=2", "ensemble.item-knn.decay = 2: it must be at most 1"),
        (
            "ensemble.members=['item_knn']",
            "ensemble.members.0 = 'item_knn': there are ease, cease, cease-words, item-knn,",
        ),
        ("ensemble.members=['item_knn']", "; did you mean item-knn?"),
        ("training.monitor=R@11", "training.monitor = 'R@11': it must be a sum of R@10, N@10, R@50, N@50"),
    ],
)
def test_a_wrong_setting_of_an_ensemble_member_is_one_line_with_a_hint(assignment, message):
    with pytest.raises(SettingsError) as caught:
        resolve(method="ids", settings=[assignment])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_setting_of_a_blend_member_is_named_with_a_hint():
    with pytest.raises(SettingsError, match=r"method: unknown setting item-knn\.decy; did you mean item-knn\.decay\?"):
        resolve(method="blend", settings=["method.item-knn.decy=0.5"])
