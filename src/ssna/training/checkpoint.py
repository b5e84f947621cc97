"""The state of training, in one file that is whole at any moment: training resumes from it as if never cut off."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ssna.compute import distributed
from ssna.compute.threads import go_on_in
from ssna.core.errors import ArtifactError, SettingsError, option, worded
from ssna.core.files import write_file

FORMAT = 3


@dataclass
class Position:
    """A position between two optimizer steps.

    Attributes:
        epochs: figures of the finished ones, as JSON. best: the number of the best one, 0 before the first.
        sampler_rng_state: of the generator that orders batches and samples negatives, as it was when this epoch began.
        done: batches of this epoch that are done. total, targets: sum of their losses, and over how many.
        seconds: that this epoch has taken so far.
        step: optimizer steps done, since training began or restarted.
        discarded_epochs: how many of the finished epochs were a trial, after which training restarted.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: int = 0
    sampler_rng_state: dict[str, Any] = field(default_factory=dict)
    done: int = 0
    total: float = 0.0
    targets: int = 0
    seconds: float = 0.0
    step: int = 0
    discarded_epochs: int = 0


class Checkpoint:
    """The file of one run; ``identity`` (JSON) says which: settings, data, states. Of several processes, the first one
    writes and reads it for all.

    Args:
        path: written aside, flushed and renamed, so that a kill leaves the last one.
        every: seconds between two writes, at least.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], every: float = 60.0) -> None:
        self.path, self.identity, self.every = path, {**identity, "processes": distributed.world_size()}, every
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._written >= self.every

    def write(self, position: Position, tensors: Mapping[str, Tensor]) -> None:
        """Keep ``position`` and all state that is not derived from it."""
        threads = {"threads": str(torch.get_num_threads())}
        about = threads | {
            "format": str(FORMAT),
            "identity": json.dumps(self.identity),
            "position": json.dumps(vars(position)),
        }
        if distributed.is_main():
            write_file(self.path, save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, about))
        self._written = time.monotonic()

    def read(self) -> tuple[Position, dict[str, Tensor]] | None:
        """What was written last, or None. From then on, this process computes in as many threads as the one that wrote.

        Raises:
            SettingsError: it belongs to a run of other settings or data, or of more or fewer processes.
            ArtifactError: it is damaged or foreign.
        """
        return distributed.run_on_main(self._read)

    def _read(self) -> tuple[Position, dict[str, Tensor]] | None:
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                about = file.metadata() or {}
                if (found := about.get("format")) != str(FORMAT):
                    raise ArtifactError(f"{self.path} has format {found!r}, this ssna reads {FORMAT}; delete it")
                identity, position = json.loads(about["identity"]), Position(**json.loads(about["position"]))
                threads = int(about.get("threads", 0))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as cause:
            raise ArtifactError(f"{self.path} is damaged ({cause}); delete it, and the run begins anew") from None
        if identity != self.identity:
            differs = next(key for key in {**identity, **self.identity} if identity.get(key) != self.identity.get(key))
            then = f"{identity.get(differs)} {differs}" if differs == "processes" else f"other {differs}"
            remedy = f"train without {option('resume')} to begin anew"
            raise SettingsError(f"{self.path} was left by a run with {then}; {remedy}")
        if threads:
            go_on_in(threads)
        return position, tensors

    def kept(self) -> str:
        """For a run that is interrupted: what is kept of it, and how to go on."""
        try:
            with safe_open(self.path, "pt") as file:
                position = Position(**json.loads((file.metadata() or {})["position"]))
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            return "no epoch was finished, so nothing is kept"
        until = f"epoch {len(position.epochs) + bool(position.done)}"
        until += f", batch {position.done}" if position.done else ""
        again = worded(python="call train again with resume=True", shell="give the same command with --resume")
        return f"what was learned until {until} is kept in {self.path}; to go on, {again}"

    def remove(self) -> None:
        """The run is finished, or begins anew."""
        if distributed.is_main():
            self.path.unlink(missing_ok=True)
