"""Loading from transformers and the hub: silently, and with errors of one or two lines."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import huggingface_hub
import transformers

from ssna.core.errors import EncoderError


@contextmanager
def errors_named(message: str) -> Iterator[None]:
    """Any failure inside becomes an :class:`EncoderError`: model folders fail in as many ways as there are models."""
    try:
        with quiet():
            yield
    except EncoderError:
        raise
    except Exception as cause:
        first_line = next(iter(str(cause).strip().splitlines()), "")
        reason = "" if "\n" in message else f"\n{type(cause).__name__}: {first_line[:200]}"
        raise EncoderError(message + reason) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers and the hub: ssna reports on its own."""
    ours, hub = transformers.utils.logging, huggingface_hub.utils.logging
    before = ours.get_verbosity(), hub.get_verbosity(), ours.is_progress_bar_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ours.set_verbosity(logging.ERROR)
            hub.set_verbosity(logging.ERROR)
            ours.disable_progress_bar()  # the hub's too
            yield
        finally:
            ours.set_verbosity(before[0])
            hub.set_verbosity(before[1])
            if before[2]:
                ours.enable_progress_bar()
