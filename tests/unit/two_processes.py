"""Two processes as torchrun starts them, on this machine."""

import os
import subprocess
import sys


def torchrun(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """``torchrun --nproc-per-node 2`` with these words, done."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, words)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
