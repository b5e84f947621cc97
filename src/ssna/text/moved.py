"""Language models that lie elsewhere than when they were first read: the same by their files, whatever the path."""

from pathlib import Path

from ssna.core.errors import EncoderError, option
from ssna.text.encoding import Encoding


def moved(encoding: Encoding, model: str) -> Encoding:
    """``encoding`` with the language model read from ``model``: a folder, `minilm`, or a hub id.

    Raises:
        EncoderError: there is no model, or its files are not those that the vectors were made with.
    """
    from ssna.text.models import find

    if not encoding.has_model:
        raise EncoderError(f"no language model read these items; leave {option('model')} out")
    found = find(model, adapter_base=encoding.base_there)
    if found.revision != encoding.revision:
        raise EncoderError(
            f"{model} is not {encoding.model}, by which items were read: its files have the identity "
            f"{found.revision[:12]}, not {encoding.revision[:12]}\nname a copy of that model: {option('model')}"
        )
    return encoding.model_copy(update={"model": found.name, "adapter_base": found.adapter_base})


def is_moved(encoding: Encoding, model: str) -> bool:
    """Whether :func:`moved` takes ``model``."""
    try:
        moved(encoding, model)
    except EncoderError:
        return False
    return True


def require_there(encoding: Encoding) -> None:
    """Raises :class:`EncoderError` where the folder of the language model is gone."""
    if Path(encoding.model).is_absolute() and not Path(encoding.model).is_dir():
        raise EncoderError(
            f"the language model is no longer in {encoding.model}\nsay where it lies now: {option('model', 'FOLDER')}"
        )
