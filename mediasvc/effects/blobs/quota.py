"""How much a folder of blobs holds, and which blobs go first when it gets too much; shared by processes."""

import contextlib
import fcntl
import heapq
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mediasvc import logs, metrics

BOOKED: Final = "keep-"
_BLOCK: Final = 4096  # files take whole blocks
_COUNTER = struct.Struct("<q")
_BATCH: Final = 0.1  # of the limit, looked up by one scan
LENT_NS: Final = 2_000_000_000
"""A blob whose path was handed out is marked as used so far ahead: until then its reader may not have opened it."""


@dataclass(frozen=True, slots=True)
class Held:
    """One blob file. used_ns: time of last use, ns since 1970; ahead of now while it is lent."""

    path: str
    size: int
    used_ns: int


def footprint(size: int) -> int:
    """Bytes that a file of this size takes on disk."""
    return -(-size // _BLOCK) * _BLOCK


def scan(folder: Path) -> Iterator[Held]:
    """Every blob file, in no order. Files that vanish meanwhile are passed over."""
    for shard in _folders(folder):
        if len(shard.name) != 2:
            continue
        with os.scandir(shard) as entries:
            for entry in entries:
                if len(entry.name) != 64:
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield Held(entry.path, found.st_size, found.st_atime_ns)


def in_flight(folder: Path) -> int:
    """Bytes on disk of those files in `folder/tmp` that are booked already; `BOOKED` begins their names."""
    booked = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder / "tmp") as entries:
        for entry in entries:
            if entry.name.startswith(BOOKED):
                with contextlib.suppress(FileNotFoundError):
                    booked += footprint(entry.stat(follow_symlinks=False).st_size)
    return booked


def _folders(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


class Ledger:
    """The running total of a folder, and eviction of what was not used for longest. Every method blocks.

    The total lives in a file that all processes add to under a lock, so that writing a blob costs no scan. What
    a killed process did not book is put right by the next scan, which eviction makes once per tenth of the limit.
    Raises OSError.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._oldest: deque[Held] = deque()
        self._total = _LockedFile(folder / "total")
        self._evicting = _LockedFile(folder / "evict.lock")

    def reserve(self, size: int) -> None:
        """Books a file of this size, and evicts until it fits. What is lent stays, even if it then does not.

        The file is in `folder/tmp` already, in its full size and under a name that begins with `BOOKED`, so that a
        scan by anyone misses nothing that is booked.
        """
        if self._book(footprint(size)) <= self._max_bytes:
            return
        with self._evicting.hold():
            # A little more than needed, so that not every blob from now on evicts another.
            goal = self._max_bytes - self._max_bytes // 100
            excess = self.total() - goal
            if excess > self._max_bytes - goal and self._evict(excess)[0] < excess:
                self._look_up(excess)
                self._evict(self.total() - goal)

    def release(self, size: int) -> None:
        """A file of this size is gone, or never came."""
        self._book(-footprint(size))

    def total(self) -> int:
        """Bytes that the blobs take on disk."""
        with self._counter() as (_, total):
            return total

    def close(self) -> None:
        """Lets go of its files; they are opened anew when they are wanted."""
        self._total.close()
        self._evicting.close()

    def recount(self) -> int:
        """Puts the total right by a scan; the total."""
        before = self.total()
        seen = in_flight(self._folder)  # before the blobs: a file that moves meanwhile is better seen twice
        seen += sum(footprint(held.size) for held in scan(self._folder))
        return self._correct(seen, before)

    def trim(self) -> int:
        """Evicts what was lent when there was no room; how many blobs went. Costs next to nothing where all fits."""
        return self.shrink() if self.total() > self._max_bytes else 0

    def shrink(self) -> int:
        """Puts the total right, then evicts what is over the limit; how many blobs went."""
        with self._evicting.hold():
            self._oldest.clear()
            excess = self.recount() - self._max_bytes
            if excess <= 0:
                return 0
            self._look_up(excess)
            return self._evict(excess)[1]

    def _book(self, change: int) -> int:
        with self._counter() as (counter, total):
            now = max(0, total + change)
            os.pwrite(counter, _COUNTER.pack(now), 0)
        metrics.cache_bytes.set(now)
        return now

    def _evict(self, excess: int) -> tuple[int, int]:
        """Removes of those looked up earlier, until the excess is gone or they are; bytes and blobs removed."""
        evicted = 0
        freed = 0
        now_ns = time.time_ns()
        while freed < excess and self._oldest:
            held = self._oldest.popleft()
            try:
                path = Path(held.path)
                found = path.stat()
                if found.st_atime_ns != held.used_ns:
                    continue  # used since it was looked up: no longer among the oldest
                if now_ns < found.st_atime_ns <= now_ns + LENT_NS:
                    continue  # lent
                path.unlink()
            except FileNotFoundError:
                continue
            freed += footprint(found.st_size)
            evicted += 1
        self._book(-freed)
        if evicted:
            metrics.cache_evictions.labels(reason="size").inc(evicted)
        return freed, evicted

    def _look_up(self, excess: int) -> None:
        """Finds the oldest blobs that together make up the excess and a tenth of the limit more."""
        target = excess + int(self._max_bytes * _BATCH)
        before = self.total()
        seen = in_flight(self._folder)
        gathered = 0
        newest_first: list[tuple[int, int, Held]] = []
        for number, held in enumerate(scan(self._folder)):
            cost = footprint(held.size)
            seen += cost
            if gathered >= target and newest_first and held.used_ns >= -newest_first[0][0]:
                continue
            heapq.heappush(newest_first, (-held.used_ns, number, held))
            gathered += cost
            while gathered - footprint(newest_first[0][2].size) >= target:
                gathered -= footprint(heapq.heappop(newest_first)[2].size)
        self._oldest = deque(held for _, _, held in sorted(newest_first, key=lambda item: -item[0]))
        total = self._correct(seen, before)
        logs.get().info("cache.scanned", bytes=total, candidates=len(self._oldest))

    def _correct(self, seen: int, before: int) -> int:
        """Books what a scan saw and what others added meanwhile (which it may have seen too: better too much)."""
        with self._counter() as (counter, total):
            right = max(0, seen + (total - before))
            os.pwrite(counter, _COUNTER.pack(right), 0)
        metrics.cache_bytes.set(right)
        return right

    @contextlib.contextmanager
    def _counter(self) -> Iterator[tuple[int, int]]:
        with self._total.hold() as counter:
            data = os.pread(counter, _COUNTER.size, 0)
            if len(data) == _COUNTER.size:
                yield counter, _COUNTER.unpack(data)[0]
            else:  # the first to come
                total = in_flight(self._folder) + sum(footprint(held.size) for held in scan(self._folder))
                os.pwrite(counter, _COUNTER.pack(total), 0)
                yield counter, total


class _LockedFile:
    """A file that one thread of one process at a time may use; kept open, and made anew if somebody removes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._handle = -1

    @contextlib.contextmanager
    def hold(self) -> Iterator[int]:
        with self._threads:
            handle = self._open()
            fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                yield handle
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)

    def close(self) -> None:
        with self._threads:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1

    def _open(self) -> int:
        if self._handle >= 0:
            if os.fstat(self._handle).st_nlink:
                return self._handle
            os.close(self._handle)
            self._handle = -1
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self._handle = os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, flags, 0o600)
        return self._handle
