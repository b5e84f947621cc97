"""The reference of the command line is what the commands say of themselves."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "docs"))

from generate_cli import PAGE, render  # noqa: E402


def test_the_reference_is_generated_from_the_commands():
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python docs/generate_cli.py"


def test_every_verb_has_a_section():
    from ssna.cli import VERBS

    assert all(f"## `ssna {verb}`" in render() for verb in VERBS)
