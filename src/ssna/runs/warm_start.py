"""Training that starts from what an earlier run learned: yesterday's model, on today's data."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ssna.core.errors import ArtifactError, SettingsError, option
from ssna.core.files import write_file
from ssna.core.settings import Tree
from ssna.data.dataset import Dataset, IdMap
from ssna.methods import METHODS, ItemEncoder, TrainedMethod
from ssna.recommender.artifact import IN_RUN, ITEMS
from ssna.runs.record import RunRecord
from ssna.scoring import under
from ssna.text import LayerCache
from ssna.training import RunSettings

WEIGHTS = "weights.safetensors"
_POSITIONS = "sequence.position.weight"  # (max_history, D)

# Settings that weights do not depend on, once they are there. All others of the model must be the same.
_FREE = {
    *("method.init", "method.dropout", "method.checkpointing", "sequence.dropout"),
    *("method.orthogonality", "method.begin", "method.end"),
}
_STATES = ("revision", "pooling", "max_tokens")


def keep_weights(weights: Mapping[str, Tensor], folder: Path) -> None:
    """As ``weights.safetensors``: the best ones, of the item encoder and of the sequence model."""
    write_file(folder / WEIGHTS, save({name: weight.detach().cpu().contiguous() for name, weight in weights.items()}))


@dataclass(frozen=True, eq=False)
class WarmStart:
    """A finished run to start from.

    Attributes:
        items: the items of its rows of weights, where rows are of items.
        digest: 16 hex digits over its weights.
    """

    folder: Path
    record: RunRecord
    items: IdMap
    weights: dict[str, Tensor]
    digest: str

    @classmethod
    def of(cls, folder: Path | str, settings: RunSettings, data: Dataset, cache: LayerCache | None) -> "WarmStart":
        """For a run of ``settings``.

        Raises:
            SettingsError: it cannot start there; what differs is named.
            ArtifactError: ``folder`` is no run, is damaged, or keeps no weights.
        """
        if not isinstance(METHODS[settings.method.name], TrainedMethod):
            raise SettingsError(
                f"{settings.method.name} is fitted at once and starts from nothing; leave {option('init_from')} out"
            )
        start = cls._read(Path(folder))
        start._require_same(settings, data, cache)
        return start

    @classmethod
    def _read(cls, folder: Path) -> "WarmStart":
        record = RunRecord.read(folder)
        if not isinstance(METHODS.get(record.method), TrainedMethod):
            raise ArtifactError(f"{folder} is a run of {record.method}, which learns no weights to start from")
        try:
            content = (folder / WEIGHTS).read_bytes()
            ids = pq.read_table(folder / IN_RUN / ITEMS, columns=["id"])["id"].to_pylist()
            return cls(folder, record, IdMap(tuple(ids)), load(content), hashlib.sha256(content).hexdigest()[:16])
        except FileNotFoundError as missing:
            raise ArtifactError(
                f"{folder} keeps no weights to start from ({Path(missing.filename).name} is missing: an earlier "
                "version of ssna made it, or a part was copied); train it again"
            ) from None
        except (OSError, SafetensorError, pa.ArrowException) as cause:
            raise ArtifactError(f"{folder} is damaged ({cause}); train it again") from None

    def _require_same(self, settings: RunSettings, data: Dataset, cache: LayerCache | None) -> None:
        ours, theirs = dict(_model_of(self.record.settings)), dict(_model_of(settings.tree()))
        for key in ("method.name", *sorted(ours.keys() | theirs.keys())):
            if key not in _FREE and ours.get(key) != theirs.get(key):
                setting = option("settings", f"{key}={_toml(ours.get(key))}", "--set")
                remedy = option("method", ours[key]) if key == "method.name" else setting
                raise self._differs(key, theirs.get(key), ours.get(key), remedy)
        length = self.weights[_POSITIONS].shape[0]
        if data.max_history != length:
            raise self._differs("max_history", data.max_history, length, f"data of {option('max_history', length)}")
        if METHODS[self.record.method].needs_text and cache is not None:
            for field in _STATES:
                mine, asked = (self.record.cache or {}).get(field), getattr(cache.encoding, field)
                if mine != asked:
                    raise self._differs(f"the cache's {field}", asked, mine, f"a cache of model {self._model}")

    def weights_for(self, encoder: ItemEncoder, data: Dataset) -> dict[str, Tensor]:
        """Weights for ``encoder`` and its SASRec: the run's. Where rows are items', an item of the run has what it
        learned there, by its id, and a new one has what ``encoder`` gives it.
        """
        weights, fresh = dict(self.weights), under("encoder.", encoder.state_dict())
        mine, rows = self._shared(data)
        for name in (f"encoder.{name}" for name in encoder.item_rows()):
            weights[name] = fresh[name].index_copy(0, mine, self.weights[name][rows])
        return weights

    def about(self, data: Dataset) -> dict[str, Any]:
        """For the record: which run it was, and how many items of ``data`` it knew."""
        known = len(self._shared(data)[0]) - 1
        return {
            "run": self.folder.resolve().name,
            "fingerprint": self.record.fingerprint,
            "weights": self.digest,
            "items_known": known,
            "items_new": len(data.items) - known,
        }

    def _shared(self, data: Dataset) -> tuple[Tensor, Tensor]:
        """Rows of ``data``, and of the run, of the items in both; row 0 is padding in both."""
        theirs = self.items.rows(data.items.external)
        mine = torch.from_numpy(theirs.nonzero()[0] + 1)
        zero = torch.zeros(1, dtype=torch.int64)
        return torch.cat([zero, mine]), torch.cat([zero, torch.from_numpy(theirs[theirs > 0])])

    @property
    def _model(self) -> str:
        cache = self.record.cache or {}
        return f"{cache.get('model')}, pooling {cache.get('pooling')}, max_tokens {cache.get('max_tokens')}"

    def _differs(self, what: str, asked: Any, mine: Any, remedy: str) -> SettingsError:
        return SettingsError(
            f"{what} is {asked}, but {self.folder} was trained with {mine}: take {remedy}, "
            f"or leave {option('init_from')} out"
        )


def _model_of(settings: Tree) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of what decides the shape and the meaning of weights."""
    yield "dim", settings["dim"]
    for section in ("method", "sequence"):
        for key, value in settings[section].items():
            yield f"{section}.{key}", value


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
