"""What this machine gives the process: how many processors, and how its memory is had."""

import ctypes
import os
from pathlib import Path

_M_ARENA_MAX = -8  # malloc.h of glibc
_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(limit: Path = _LIMIT) -> int:
    """Those of this process's affinity, or fewer where its control group, such as a container, has a limit."""  # noqa: E501
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limit.read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores
    return cores


def share_one_heap() -> bool:
    """From now on, threads get no heaps of their own: many live at once, and each would keep what it once
    needed.

    False where the C library knows no such thing. Server processes are started so
    (server.processes.supervisor).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, 1) == 1)
