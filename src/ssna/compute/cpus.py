"""How many processors this process may use, and how many of them are free: fewer than the machine has, in a container,
under a service manager, or where others compute."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

CGROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
STATISTICS = Path("/proc/stat")
TOPOLOGY = Path("/sys/devices/system/cpu")
SECONDS = 0.2  # of looking; the kernel counts in hundredths

Group = tuple[Path, float]
Times = dict[int, tuple[float, float]]


def cpu_count() -> int:
    """Processors, at least 1: those that the process may run on, or fewer if its control group has less time."""
    return max(1, min([len(allowed_cpus()), *(math.ceil(quota) for _, quota in _groups())]))


def free_cpus(seconds: float = SECONDS) -> int:
    """Of :func:`cpu_count`, those that nobody uses at the moment, to the nearest, at least 1. This thread sleeps for
    ``seconds``, and looks at what the rest uses.

    The machine's load would not do: in a container it is that of processors which are not ours. What runs with a low
    priority counts, too: threads wait for it all the same.
    """
    groups = [(folder, quota, _used(folder)) for folder, quota in _groups()]
    before, start = _times(), time.monotonic()
    time.sleep(seconds)
    after, passed = _times(), time.monotonic() - start
    free = [float(cpu_count())]
    shares = [_share(before[cpu], after[cpu]) for cpu in allowed_cpus() if cpu in before and cpu in after]
    if len(shares) == len(allowed_cpus()):
        free.append(sum(shares))
    for folder, quota, used in groups:
        if used is not None and (now := _used(folder)) is not None:
            free.append(quota - (now - used) / passed)
    return max(1, round(min(free)))


def allowed_cpus() -> list[int]:
    """The numbers of the processors that the process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def core_count() -> int:
    """Cores that :func:`allowed_cpus` lie on: of two processors of one core only one counts. All of them where the
    system does not say."""
    cores = set()
    for cpu in allowed_cpus():
        try:
            cores.add((TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip())
        except OSError:
            return len(allowed_cpus())
    return max(1, len(cores))


def _times() -> Times:
    """Processor -> its ticks at rest, and all of its ticks. Empty where the system does not say."""
    try:
        lines = [line.split() for line in STATISTICS.read_text().splitlines() if line.startswith("cpu")]
        counted = {int(name[3:]): [int(each) for each in ticks] for name, *ticks in lines if name != "cpu"}
    except (OSError, ValueError):
        return {}
    # idle and iowait; those from the ninth on are counted twice
    return {cpu: (ticks[3] + ticks[4], sum(ticks[:8])) for cpu, ticks in counted.items() if len(ticks) > 4}


def _share(before: tuple[float, float], after: tuple[float, float]) -> float:
    """Free, between 0 and 1; 1 where no time was counted."""
    free, passed = (late - early for early, late in zip(before, after, strict=True))
    return min(max(free / passed, 0.0), 1.0) if passed > 0 else 1.0


def _used(folder: Path) -> float | None:
    """Seconds of processors that a control group has used since it was made; None where it does not say."""
    try:
        if (folder / "cpu.stat").exists() and not (folder / "cpuacct.usage").exists():
            lines = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
            return int(lines["usage_usec"]) / 1e6
        return int((folder / "cpuacct.usage").read_text()) / 1e9
    except (OSError, ValueError, KeyError):
        return None


def _groups() -> Iterator[Group]:
    """The control groups with a quota, in processors: that of this process and all above it; versions 1 and 2."""
    try:
        groups = [line.split(":", 2)[1:] for line in OWN.read_text().splitlines()]
    except OSError:
        return
    for controllers, path in groups:
        root = CGROUPS if not controllers else CGROUPS / "cpu"
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = root / path.lstrip("/")
        while True:
            if (quota := _quota(folder)) is not None:
                yield folder, quota
            if folder == root or root not in folder.parents:
                break
            folder = folder.parent


def _quota(folder: Path) -> float | None:
    """Of one group: None where it has none, or cannot be read."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
