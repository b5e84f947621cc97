"""The reference is what the commands and the settings say of themselves."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "docs"))

import generate_cli  # noqa: E402
import generate_layouts  # noqa: E402
import generate_settings  # noqa: E402

from layouts import layouts  # noqa: E402
from ssna.methods import METHODS  # noqa: E402
from ssna.training.settings import RunSettings  # noqa: E402


def test_the_reference_is_generated_from_the_commands():
    assert generate_cli.PAGE.read_text(encoding="utf-8") == generate_cli.render(), "run: python docs/generate_cli.py"


def test_every_verb_has_a_section():
    from ssna.cli import VERBS

    assert all(f"## `ssna {verb}`" in generate_cli.render() for verb in VERBS)


def test_the_page_of_settings_is_generated_from_their_classes():
    written = generate_settings.PAGE.read_text(encoding="utf-8")
    assert written == generate_settings.render(), "run: python docs/generate_settings.py"


def test_the_page_of_layouts_is_generated_from_those_that_are_tested():
    assert generate_layouts.PAGE.read_text(encoding="utf-8") == generate_layouts.render(), (
        "run: python docs/generate_layouts.py"
    )


def test_three_quarters_of_the_layouts_are_right_at_the_first_try():
    known = layouts()
    assert len({layout.name for layout in known}) == len(known) >= 60
    assert sum(layout.plain and not layout.fails for layout in known) >= 0.75 * len(known)


def test_every_method_and_every_key_of_a_run_is_on_the_page_of_settings():
    page = generate_settings.render()
    assert all(f"### {method}\n" in page for method in METHODS)
    for name, value in RunSettings.parse({"method": {"name": "ssna"}}).tree().items():
        keys = value if isinstance(value, dict) else {name: value}
        section = page.split(f"## `[{name}]`" if isinstance(value, dict) else "## Before all sections")[1]
        assert all(f"| `{key}` |" in section or key == "name" for key in keys)


def test_types_limits_defaults_and_texts_are_those_of_the_classes():
    page = generate_settings.render()
    assert "| `epochs` | whole number, at least 0 | `200` | At most so many passes" in page
    assert '| `objective` | `prefix` or `autoregressive` | `"autoregressive"` |' in page
    assert "| `checkpointing` | true or false | `false` | Keep no activations" in page  # of a base class
    assert "| `min_rating` | number | unset |" in page
