"""How many processors this process may use: fewer than the machine has, in a container or under a service manager."""

import math
import os
from pathlib import Path

CGROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cpu_count() -> int:
    """Processors, at least 1: those that the process may run on, or fewer if its control group has less time."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas())]))


def _quotas() -> list[float]:
    """Of the control group and all above it, as processors; versions 1 and 2."""
    found = []
    try:
        groups = [line.split(":", 2)[1:] for line in OWN.read_text().splitlines()]
    except OSError:
        return []
    for controllers, path in groups:
        root = CGROUPS if not controllers else CGROUPS / "cpu"
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = root / path.lstrip("/")
        while True:
            found += _quota(folder)
            if folder == root or root not in folder.parents:
                break
            folder = folder.parent
    return found


def _quota(folder: Path) -> list[float]:
    """Of one group: none where it has none, or cannot be read."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return [] if quota in ("max", "-1") else [int(quota) / int(period)]
    except (OSError, ValueError, ZeroDivisionError):
        return []
