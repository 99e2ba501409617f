"""The quota of a folder of blobs, shared by processes: its running total, and which blobs are evicted first."""  # noqa: E501

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

RESERVED: Final = "keep-"
_BLOCK: Final = 4096  # files take whole blocks
_COUNTER = struct.Struct("<q")
_BATCH: Final = 0.1  # of the limit, looked up by one scan
PINNED_NS: Final = 2_000_000_000
"""A blob whose path was handed out is pinned for this long: its reader may not have opened it yet."""


@dataclass(frozen=True, slots=True)
class BlobFile:
    """One blob on the disk.

    used_ns: time of last use, ns since 1970; in the future while the blob is pinned.
    """

    path: str
    size: int
    used_ns: int


def footprint(size: int) -> int:
    """Bytes that a file of this size takes on disk."""
    return -(-size // _BLOCK) * _BLOCK


def scan(folder: Path) -> Iterator[BlobFile]:
    """Every blob file, in no order. Files that vanish during the scan are skipped."""
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
                yield BlobFile(entry.path, found.st_size, found.st_atime_ns)


def in_flight(folder: Path) -> int:
    """Bytes on disk of the files in `folder/tmp` that are reserved already; their names begin with
    `RESERVED`.
    """
    reserved = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder / "tmp") as entries:
        for entry in entries:
            if entry.name.startswith(RESERVED):
                with contextlib.suppress(FileNotFoundError):
                    reserved += footprint(entry.stat(follow_symlinks=False).st_size)
    return reserved


def _folders(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


class Quota:
    """The running total of a folder, and eviction of the least recently used blobs. Every method blocks.

    All processes add to the total in one file, under a lock, so that writing a blob costs no scan. The next
    scan corrects what a killed process left out; eviction scans once per tenth of the limit. Raises OSError.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._oldest: deque[BlobFile] = deque()
        self._total = _LockedFile(folder / "total")
        self._evicting = _LockedFile(folder / "evict.lock")

    def reserve(self, size: int) -> None:
        """Adds a file of this size to the total, and evicts until it fits.

        Pinned blobs stay, even over the limit.

        The file is in `folder/tmp` already, in its full size and under a name that begins with `RESERVED`, so
        that every scan counts it.
        """
        if self._add(footprint(size)) <= self._max_bytes:
            return
        with self._evicting.lock():
            # A little more than needed, so that not every blob from now on evicts another.
            goal = self._max_bytes - self._max_bytes // 100
            excess = self.total() - goal
            if excess > self._max_bytes - goal and self._evict(excess)[0] < excess:
                self._look_up(excess)
                self._evict(self.total() - goal)

    def release(self, size: int) -> None:
        """Takes a file of this size from the total: it was removed, or was not written."""
        self._add(-footprint(size))

    def total(self) -> int:
        """Bytes that the blobs take on disk."""
        with self._counter() as (_, total):
            return total

    def close(self) -> None:
        """Closes its files; later calls open them again."""
        self._total.close()
        self._evicting.close()

    def recount(self) -> int:
        """Corrects the total by a scan; the total."""
        before = self.total()
        seen = in_flight(
            self._folder
        )  # before the blobs: a file that moves during the scan is counted twice rather than not at all
        seen += sum(footprint(blob.size) for blob in scan(self._folder))
        return self._correct(seen, before)

    def trim(self) -> int:
        """Evicts blobs that were pinned when there was no room; how many.

        Costs next to nothing where all blobs fit.
        """
        return self.shrink() if self.total() > self._max_bytes else 0

    def shrink(self) -> int:
        """Corrects the total, then evicts down to the limit; how many blobs."""
        with self._evicting.lock():
            self._oldest.clear()
            excess = self.recount() - self._max_bytes
            if excess <= 0:
                return 0
            self._look_up(excess)
            return self._evict(excess)[1]

    def _add(self, change: int) -> int:
        with self._counter() as (counter, total):
            now = max(0, total + change)
            os.pwrite(counter, _COUNTER.pack(now), 0)
        metrics.cache_bytes.set(now)
        return now

    def _evict(self, excess: int) -> tuple[int, int]:
        """Removes blobs that were looked up earlier, until the excess is gone; (bytes, blobs) removed."""
        evicted = 0
        freed = 0
        now_ns = time.time_ns()
        while freed < excess and self._oldest:
            blob = self._oldest.popleft()
            try:
                path = Path(blob.path)
                found = path.stat()
                if found.st_atime_ns != blob.used_ns:
                    continue  # used since it was looked up: no longer among the oldest
                if now_ns < found.st_atime_ns <= now_ns + PINNED_NS:
                    continue  # pinned
                path.unlink()
            except FileNotFoundError:
                continue
            freed += footprint(found.st_size)
            evicted += 1
        self._add(-freed)
        if evicted:
            metrics.cache_evictions.labels(reason="size").inc(evicted)
        return freed, evicted

    def _look_up(self, excess: int) -> None:
        """Finds the oldest blobs that together make up the excess and another tenth of the limit."""
        target = excess + int(self._max_bytes * _BATCH)
        before = self.total()
        seen = in_flight(self._folder)
        gathered = 0
        newest_first: list[tuple[int, int, BlobFile]] = []
        for number, blob in enumerate(scan(self._folder)):
            cost = footprint(blob.size)
            seen += cost
            if gathered >= target and newest_first and blob.used_ns >= -newest_first[0][0]:
                continue
            heapq.heappush(newest_first, (-blob.used_ns, number, blob))
            gathered += cost
            while gathered - footprint(newest_first[0][2].size) >= target:
                gathered -= footprint(heapq.heappop(newest_first)[2].size)
        self._oldest = deque(blob for _, _, blob in sorted(newest_first, key=lambda item: -item[0]))
        total = self._correct(seen, before)
        logs.get().info("cache.scanned", bytes=total, candidates=len(self._oldest))

    def _correct(self, seen: int, before: int) -> int:
        """Sets the total to what a scan saw, plus what others added during it (which it may have counted
        too).
        """
        with self._counter() as (counter, total):
            right = max(0, seen + (total - before))
            os.pwrite(counter, _COUNTER.pack(right), 0)
        metrics.cache_bytes.set(right)
        return right

    @contextlib.contextmanager
    def _counter(self) -> Iterator[tuple[int, int]]:
        with self._total.lock() as counter:
            data = os.pread(counter, _COUNTER.size, 0)
            if len(data) == _COUNTER.size:
                yield counter, _COUNTER.unpack(data)[0]
            else:  # the first process
                total = in_flight(self._folder) + sum(footprint(blob.size) for blob in scan(self._folder))
                os.pwrite(counter, _COUNTER.pack(total), 0)
                yield counter, total


class _LockedFile:
    """A file that one thread of one process at a time may use; kept open, and made anew where it was removed."""  # noqa: E501

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._handle = -1

    @contextlib.contextmanager
    def lock(self) -> Iterator[int]:
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
