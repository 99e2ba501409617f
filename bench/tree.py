"""What a process and everything that it started have used: CPU seconds and memory."""

import threading
import time
from types import TracebackType

import psutil


def processes(pid: int) -> list[psutil.Process]:
    """The process and all its descendants that are still there."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_s(pid: int) -> float:
    """User and system seconds of the tree so far, ended children that were waited for included."""
    total = 0.0
    for process in processes(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def rss_bytes(pid: int) -> int:
    """Resident memory of the tree; pages that processes share are counted in each."""
    total = 0
    for process in processes(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def pss_bytes(pid: int) -> int:
    """Resident memory of the tree, shared pages divided among those that share them (Linux)."""
    total = 0
    for process in processes(pid):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


class PeakRss:
    """Samples the resident memory of a tree while it is entered; `bytes` is the most that was seen."""

    def __init__(self, pid: int, every_s: float = 0.05) -> None:
        self.bytes = 0
        self.pss = 0
        self._pid = pid
        self._every_s = every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        due = 0.0
        while not self._done.wait(self._every_s):
            self.bytes = max(self.bytes, rss_bytes(self._pid))
            # Reading PSS walks the page tables, so it is asked for twice a second only.
            if time.monotonic() >= due:
                self.pss = max(self.pss, pss_bytes(self._pid))
                due = time.monotonic() + 0.5

    def __enter__(self) -> "PeakRss":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
