"""Texts to vectors: a frozen language model reads every text once, and the layer cache keeps what it saw.

Importing this costs little: torch and transformers load when a text is first encoded.
"""

from ssna.text import bars  # noqa: F401, before all that imports huggingface_hub
from ssna.text.cache import LayerCache
from ssna.text.encoding import Encoding
from ssna.text.fill import EncodeReport, embed, encode, without_content
from ssna.text.moved import is_moved, moved
from ssna.text.options import ReadOptions

__all__ = [
    "EncodeReport",
    "Encoding",
    "LayerCache",
    "ReadOptions",
    "embed",
    "encode",
    "is_moved",
    "moved",
    "without_content",
]
