"""The artefact on the disk: safetensors, Parquet and JSON in one folder, each with its checksum; no pickle."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ssna.core.errors import ArtifactError, DataError, SettingsError
from ssna.core.files import read_json, write_json
from ssna.data.attribute_values import KINDS
from ssna.data.attributes import Attributes
from ssna.data.dataset import IdMap
from ssna.scoring import Scorer, restore
from ssna.text import Encoding

FORMAT = 3
MANIFEST, TENSORS, ITEMS, ATTRIBUTES = "model.json", "scorer.safetensors", "items.parquet", "attributes.parquet"
FILES = (MANIFEST, TENSORS, ITEMS)
MAY_HAVE = (ATTRIBUTES,)
IN_RUN = "model"  # the artefact's folder within a run folder

_SCHEMA = pa.schema({"id": pa.string(), "text": pa.string(), "count": pa.int64()})


class Contents(NamedTuple):
    """What an artefact holds, with the shapes that :class:`ssna.recommender.Recommender` says."""

    scorer: Scorer
    items: IdMap
    texts: Sequence[str]
    counts: NDArray[np.int64]
    encoding: Encoding | None
    attributes: Attributes | None = None


def write(folder: Path, contents: Contents) -> None:
    """Write all files into ``folder``, which the caller moves into place."""
    scorer, items, texts, counts, encoding, attributes = contents
    config, tensors = scorer.state()
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / TENSORS)
    table = pa.table({"id": tuple(items.external), "text": texts[1:], "count": counts[1:]}, schema=_SCHEMA)
    pq.write_table(table, folder / ITEMS, compression="zstd")
    shutil.copymode(folder / ITEMS, folder / TENSORS)  # safetensors lets nobody else read its files
    manifest = {
        "format": FORMAT,
        "scorer": {"kind": scorer.kind, "config": config},
        "encoding": None if encoding is None else encoding.tree(),
    }
    if attributes is not None:
        manifest["attributes"] = attributes.kinds
        pq.write_table(attributes.columns, folder / ATTRIBUTES, compression="zstd")
    files = {name: _digest(folder / name) for name in _files(manifest)}
    write_json(folder / MANIFEST, {**manifest, "sha256": {MANIFEST: _checksum(manifest), **files}})


def read(folder: Path) -> Contents:
    """What :func:`write` wrote, on the CPU wherever it was trained; ``folder`` may be that of a run.

    Raises:
        ArtifactError: it is missing, foreign or damaged.
    """
    folder = model_folder(folder)
    manifest = read_json(folder / MANIFEST, maker="ssna train", runs=f"{IN_RUN}/{MANIFEST}")
    if manifest.get("format") != FORMAT:
        raise ArtifactError(f"{folder} has format {manifest.get('format')!r}, this ssna reads {FORMAT}; train again")
    try:
        _check(folder, manifest, manifest.pop("sha256"))
        scorer = restore(manifest["scorer"]["kind"], manifest["scorer"]["config"], load_file(folder / TENSORS))
        table = pq.read_table(folder / ITEMS).select(_SCHEMA.names).cast(_SCHEMA)
        if scorer.num_rows != len(table) + 1 or any(column.null_count for column in table.columns):
            raise ValueError(f"{ITEMS} does not list the items that are scored")
        return Contents(
            scorer,
            IdMap(tuple(table["id"].to_pylist())),
            ("", *table["text"].to_pylist()),
            np.concatenate([[0], table["count"].to_numpy()]),
            manifest["encoding"] and Encoding.parse(manifest["encoding"], str(folder / MANIFEST)),
            _attributes(folder / ATTRIBUTES, manifest["attributes"], len(table)) if "attributes" in manifest else None,
        )
    except PermissionError as cause:
        raise ArtifactError(f"{cause.filename} may not be read by this user; change its owner or its mode") from None
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OSError,
        DataError,
        SettingsError,
        SafetensorError,
        pa.ArrowException,
    ) as cause:
        reason = " ".join(str(cause).split())
        raise ArtifactError(f"{folder} is damaged or no model ({reason}); copy or train the model again") from None


def read_ids(folder: Path) -> IdMap:
    """The items of a model or run folder, without the model.

    Raises:
        ArtifactError: they are missing or damaged.
    """
    path = model_folder(folder) / ITEMS
    try:
        return IdMap(tuple(pq.read_table(path, columns=["id"])["id"].to_pylist()))
    except (OSError, ValueError, DataError, pa.ArrowException) as cause:
        raise ArtifactError(f"{path} is missing or damaged ({cause}); copy or train the model again") from None


def identity(folder: Path) -> str:
    """A digest, equal exactly for models that were saved with equal contents; files are not checked against it.

    Raises:
        ArtifactError: ``folder`` holds no model.
    """
    return _checksum(read_json(model_folder(folder) / MANIFEST, maker="ssna train", runs=f"{IN_RUN}/{MANIFEST}"))


def model_folder(folder: Path) -> Path:
    """The artefact's folder: ``folder`` itself, or that in the folder of a run."""
    return folder / IN_RUN if (folder / IN_RUN / MANIFEST).is_file() else folder


def _files(manifest: dict[str, Any]) -> tuple[str, ...]:
    """All but the manifest."""
    return (TENSORS, ITEMS, ATTRIBUTES) if "attributes" in manifest else (TENSORS, ITEMS)


def _attributes(path: Path, kinds: dict[str, str], items: int) -> Attributes:
    with pq.ParquetFile(path) as file:
        if file.metadata.num_rows != items or file.schema_arrow.names != list(kinds):
            raise ValueError(f"{ATTRIBUTES} is not of the items that are scored")
        return Attributes(file.read().cast(pa.schema({name: KINDS[kind] for name, kind in kinds.items()})))


def _check(folder: Path, manifest: dict[str, Any], expected: dict[str, str]) -> None:
    """``manifest`` is without its digests."""
    found = {MANIFEST: _checksum(manifest), **{name: _digest(folder / name) for name in _files(manifest)}}
    for name, digest in found.items():
        if digest != expected[name]:
            raise ArtifactError(f"{folder / name} is not the file that was saved; copy or train the model again")


def _checksum(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
