"""Trains RecTools' UniSRecModel, in an environment of its own; ``benchmarks/race.py`` starts it and scores its vectors.

python run.py FOLDER --epochs N

FOLDER holds ``text.npy (I + 1, d)``, ``users.npy``, ``items.npy`` and ``times.npy`` of the training events, and
``histories.npy (n, 50)``, item rows to rank for, 0 on the left. After every epoch ``vectors.npy (I + 1, D)`` and
``user_embeddings.npy (n, D)`` lie there, a line of JSON is printed, and a line is awaited: ``stop`` ends training.
Items without a training event get their vectors from the trained adaptor, as all others do.
"""

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule, Trainer  # type: ignore[import-not-found]
from pytorch_lightning.callbacks import Callback  # type: ignore[import-not-found]
from rectools.fast_transformers import UniSRecModel  # type: ignore[import-not-found]

MAX_HISTORY, WIDTH, BLOCKS, HEADS, USERS = 50, 256, 2, 2, 64
CHUNK = 512
GIVEN = ("text", "users", "items", "times")


class Export(Callback):  # type: ignore[misc]
    """Stops the clock between epochs, and writes what the model would rank with."""

    def __init__(self, folder: Path, text: torch.Tensor, seen: torch.Tensor) -> None:
        self.folder, self.text, self.seen = folder, text, seen
        self.histories = torch.from_numpy(np.load(folder / "histories.npy"))
        self.row = torch.zeros(len(text), dtype=torch.long)
        self.row[seen] = torch.arange(1, len(seen) + 1)
        self.started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        seconds = time.perf_counter() - self.started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.write(module.net)
        print(json.dumps({"epoch": trainer.current_epoch + 1, "seconds": seconds, "peak_rss": peak}), flush=True)
        trainer.should_stop = input().strip() == "stop"

    @torch.no_grad()
    def write(self, net: Any) -> None:
        net.eval()
        vectors = net._adapt_score(self.text)
        vectors[0] = 0
        rows = self.row[self.histories]
        user_embeddings = torch.cat([net.encode_last(left_aligned(part)) for part in rows.split(CHUNK)])
        net.train()
        np.save(self.folder / "vectors.npy", vectors.float().numpy())
        np.save(self.folder / "user_embeddings.npy", user_embeddings.float().numpy())


def left_aligned(rows: torch.Tensor) -> torch.Tensor:
    """Padding to the left again where items that the model does not know have left."""
    order = (rows > 0).long().argsort(dim=1, stable=True)
    return rows.gather(1, order)


class Watched(UniSRecModel):  # type: ignore[misc]
    """UniSRecModel as it is, with a callback."""

    callback: Export

    def _make_trainer(self, *args: Any, **kwargs: Any) -> Trainer:
        trainer = super()._make_trainer(*args, **kwargs)
        trainer.callbacks.append(self.callback)
        return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=100)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    text = torch.from_numpy(np.load(arguments.folder / "text.npy"))
    users, items, times = (
        torch.from_numpy(np.load(arguments.folder / f"{n}.npy")) for n in ("users", "items", "times")
    )
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    model = Watched(
        text,
        n_factors=WIDTH,
        n_blocks=BLOCKS,
        n_heads=HEADS,
        session_max_len=MAX_HISTORY,
        batch_size=USERS,
        loss="softmax",
        epochs=arguments.epochs,
        device="cpu",
    )
    seen = items.unique()  # RecTools numbers them so, from 1
    model.callback = Export(arguments.folder, text, seen)
    print(json.dumps({"loaded": loaded, "threads": torch.get_num_threads(), "torch": torch.__version__}), flush=True)
    model.fit(users, items, times)
    assert torch.equal(model.item_id_mapping, seen), "RecTools numbers items in another way than it did"


if __name__ == "__main__":
    main()
