"""The bars of huggingface_hub are tqdm's, which warns in a notebook without ipywidgets; none of them is shown here."""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "IProgress not found")
    import tqdm.auto  # type: ignore[import-untyped]  # noqa: F401
