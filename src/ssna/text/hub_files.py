"""Files of a model at the hub, or as its client kept them."""

from pathlib import Path
from typing import Any

import huggingface_hub

from ssna.core.errors import EncoderError
from ssna.text.loading import errors_named
from ssna.text.sentence import MODULES

HUB_SECONDS = 5.0


def hub_answers() -> bool:
    """One short question; transformers itself would retry every file for half a minute, cached or not."""
    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=HUB_SECONDS)
    except Exception:  # requests' or httpx's errors, or the hub's own "offline mode": all mean no
        return False
    return True


def commit(name: str, options: dict[str, Any]) -> str:
    """The commit that a revision stands for; it is the folder in which the hub's client keeps the files."""
    hub = huggingface_hub.constants.ENDPOINT
    unreachable = (
        f"{name} is no folder, and {hub} cannot be reached to fetch it\n"
        "check the network and the spelling, or give a model's folder; minilm needs no network"
    )
    unknown = f"{name} cannot be fetched from {hub}; check the spelling, `hf auth login` if it is private"
    with errors_named(unreachable if options["local_files_only"] else unknown):
        try:
            return Path(huggingface_hub.hf_hub_download(name, "config.json", **options)).parent.name
        except huggingface_hub.errors.EntryNotFoundError:  # an older folder of sentence-transformers
            return Path(huggingface_hub.hf_hub_download(name, MODULES, **options)).parent.name


def file_at_hub(name: str, file: str, options: dict[str, Any]) -> Path | None:
    """Where a file lies here, fetched if need be; None where there is none."""
    try:
        return Path(huggingface_hub.hf_hub_download(name, file, **options))
    except huggingface_hub.errors.EntryNotFoundError:  # also where it was not fetched before
        return None
    except Exception as cause:
        raise EncoderError(f"{file} of {name} cannot be fetched ({type(cause).__name__}); try again") from None
