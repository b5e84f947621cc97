import subprocess
import sys
from importlib import import_module

import pytest

import ssna

PUBLIC = [
    "Dataset",
    "LayerCache",
    "Recommender",
    "Run",
    "SsnaError",
    "append",
    "compare",
    "encode",
    "evaluate",
    "load_data",
    "load_run",
    "prepare",
    "query",
    "train",
    "union",
]


def in_a_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_public_names_are_these():
    assert sorted(ssna.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_imported(name):
    assert getattr(ssna, name) is not None


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name):
    assert getattr(ssna, name).__doc__


def test_the_names_for_type_checkers_are_those_loaded_lazily():
    assert sorted(ssna._HOME) == sorted(ssna.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ssna.nothing  # noqa: B018


def test_completion_lists_the_public_names():
    assert set(ssna.__all__) <= set(dir(ssna))


def test_importing_the_package_loads_no_heavy_library():
    heavy = ("torch", "transformers", "numpy", "pandas", "pyarrow", "scipy", "pydantic", "matplotlib")
    assert in_a_new_process(f"import sys, ssna; print([m for m in {heavy!r} if m in sys.modules])") == "[]"


def test_training_and_tables_load_no_library_that_only_plots_and_tests_of_significance_need():
    heavy = ("matplotlib", "scipy.stats")
    code = f"import sys, ssna.report, ssna.runs; print([m for m in {heavy!r} if m in sys.modules])"
    assert in_a_new_process(code) == "[]"


@pytest.mark.slow
@pytest.mark.fork
def test_preparing_a_small_frame_loads_no_library_that_computes_draws_or_serves():
    heavy = ("torch", "transformers", "scipy", "sklearn", "matplotlib", "sqlalchemy", "typer", "huggingface_hub")
    heavy += ("rich.progress", "jinja2", "threadpoolctl", "pyspark", "polars", "peft", "multiprocessing")
    columns = {"user": ["a", "b"] * 20, "item": list("ccddeeffgg") * 4, "time": [*range(40)], "title": ["t"] * 40}
    names = {"user_col": "user", "item_col": "item", "time_col": "time", "text_cols": ["title"]}
    code = f"import sys, pyarrow, ssna; ssna.prepare(pyarrow.table({columns}), **{names})"
    assert in_a_new_process(f"{code}; print([m for m in {heavy} if m in sys.modules])").splitlines()[-1] == "[]"


def test_importing_the_command_line_does_not_load_torch():
    assert in_a_new_process("import sys, ssna.cli; print('torch' in sys.modules)") == "False"


def test_a_server_listens_before_it_loads_what_ranks():
    heavy = ("torch", "transformers", "numpy", "scipy", "pyarrow", "sqlalchemy")
    wanted = f"import sys, ssna.serving.server; print([m for m in {heavy!r} if m in sys.modules])"
    assert in_a_new_process(wanted) == "[]"


@pytest.mark.parametrize(
    "package", ["ssna.data", "ssna.evaluation", "ssna.runs", "ssna.methods", "ssna.text", "ssna.training"]
)
def test_every_name_a_package_lists_is_there(package):
    module = import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
