"""Locks among the processes of one machine: one byte of one file for each locked key."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import struct
import sys
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from mediasvc import logs, metrics

_FIRST_WAIT_S: Final = 0.001
_LONGEST_WAIT_S: Final = 0.05
# On Linux such locks belong to an open file, elsewhere to the process; each process has one FileLocks, so
# both will do.
_OF_OPEN_FILE: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" else None
_FLOCK: Final = struct.Struct("hhqqi4x")  # type, whence, start, length, pid (fcntl_locking(2))


class FileLocks:
    """See Locks. The system releases the locks of a dead process at once, and leaves nothing to sweep.

    Each key has one of 2^62 bytes, so that work under one key can run work under any other. Two keys with the
    same byte would only wait for each other. One file per key would do too, but making and removing a file
    for every fetch costs more than the rest of a look-up. A waiter asks again every 1 ms to 50 ms: a blocking
    call would need a thread per waiter and cannot be cancelled.
    """

    def __init__(self, path: Path) -> None:
        """Does nothing to the disk before the first use.

        path: of the file, which stays empty.
        """
        self._path = path
        self._handle = -1
        self._held: set[int] = set()
        # A forked child shares the locks of its parent, and would keep them after the parent's death.
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _release_all(reference()))

    @contextlib.asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """See Locks."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        position = int.from_bytes(digest[:8], "big") >> 2
        try:
            if not self._try(position):
                await self._wait(position)
        except OSError as error:
            metrics.store_errors.labels(store="locks", operation="lock").inc()
            logs.get().warning("lock.failed", store="locks", error=str(error))
            yield
            return
        try:
            yield
        finally:
            if position in self._held:  # not released by a fork or by close
                self._held.discard(position)
                with contextlib.suppress(OSError):
                    self._set(fcntl.F_UNLCK, position)

    async def close(self) -> None:
        """Closes the file, and with it releases every lock."""
        _release_all(self)

    async def _wait(self, position: int) -> None:
        wait_s = _FIRST_WAIT_S
        metrics.flight_waiters.inc()
        try:
            while True:
                await asyncio.sleep(wait_s)
                if self._try(position):
                    return
                wait_s = min(_LONGEST_WAIT_S, wait_s * 1.5)
        finally:
            metrics.flight_waiters.dec()

    def _try(self, position: int) -> bool:
        """Whether the lock is ours now; False: another holder has it."""
        if position in self._held:
            return False
        self._open()
        try:
            self._set(fcntl.F_WRLCK, position)
        except BlockingIOError:
            return False
        self._held.add(position)
        return True

    def _open(self) -> None:
        """Opens the file, again where it was removed, unless that would lose locks."""
        if self._handle >= 0 and (self._held or os.fstat(self._handle).st_nlink):
            return
        _release_all(self)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self._handle = os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, flags, 0o600)

    def _set(self, kind: int, position: int) -> None:
        if _OF_OPEN_FILE is not None:
            fcntl.fcntl(self._handle, _OF_OPEN_FILE, _FLOCK.pack(kind, os.SEEK_SET, position, 1, 0))
        else:
            fcntl.lockf(
                self._handle,
                fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB,
                1,
                position,
            )


def _release_all(locks: FileLocks | None) -> None:
    if locks is not None and locks._handle >= 0:
        with contextlib.suppress(OSError):
            os.close(locks._handle)
        locks._handle = -1
        locks._held.clear()
