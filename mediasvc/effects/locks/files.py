"""Locks among the processes of one machine: for each key that is held, a byte of one file."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import struct
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from mediasvc import logs, metrics

_FIRST_WAIT_S: Final = 0.001
_LONGEST_WAIT_S: Final = 0.05
# Linux has locks that belong to an open file. Elsewhere they belong to the process, which is as good: one of us is enough.
_OF_OPEN_FILE: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_FLOCK: Final = struct.Struct("hhqqi4x")  # type, whence, start, length, pid (fcntl_locking(2))


class FileLocks:
    """See Locks. The system lets go of a dead holder's lock at once, and nothing is left to be swept.

    A byte per key, not a fixed number for all keys, so that work under one key may run work under any other. (Two
    keys with one of 2^62 bytes in common would only wait for each other.) A file per key would do too, but making
    and removing one for every fetch costs more than all the rest of a look-up.
    Waiting is asking again, 1 ms to 50 ms apart: a blocking call would need a thread per waiter and cannot be cancelled.
    """

    def __init__(self, path: Path) -> None:
        """path: of the file, which stays empty. Does nothing to the disk before the first use."""
        self._path = path
        self._handle = -1
        self._held: set[int] = set()
        # A forked child shares our locks, and would keep them when we die.
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _let_go(reference()))

    @contextlib.asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """See Locks."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        place = int.from_bytes(digest[:8], "big") >> 2
        try:
            if not self._try(place):
                await self._wait(place)
        except OSError as error:
            metrics.store_errors.labels(store="locks", operation="lock").inc()
            logs.get().warning("lock.failed", store="locks", error=str(error))
            yield
            return
        try:
            yield
        finally:
            if place in self._held:  # not let go of by a fork or at the end
                self._held.discard(place)
                with contextlib.suppress(OSError):
                    self._set(fcntl.F_UNLCK, place)

    async def close(self) -> None:
        """Lets go of the file, and with it of everything that is held."""
        _let_go(self)

    async def _wait(self, place: int) -> None:
        wait_s = _FIRST_WAIT_S
        metrics.flight_waiters.inc()
        try:
            while True:
                await asyncio.sleep(wait_s)
                if self._try(place):
                    return
                wait_s = min(_LONGEST_WAIT_S, wait_s * 1.5)
        finally:
            metrics.flight_waiters.dec()

    def _try(self, place: int) -> bool:
        """Whether it is ours now; False: somebody else has it."""
        if place in self._held:
            return False
        self._open()
        try:
            self._set(fcntl.F_WRLCK, place)
        except BlockingIOError:
            return False
        self._held.add(place)
        return True

    def _open(self) -> None:
        """Opens the file, anew where somebody has removed it, unless that would lose us what we hold."""
        if self._handle >= 0 and (self._held or os.fstat(self._handle).st_nlink):
            return
        _let_go(self)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self._handle = os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, flags, 0o600)

    def _set(self, kind: int, place: int) -> None:
        if _OF_OPEN_FILE is not None:
            fcntl.fcntl(self._handle, _OF_OPEN_FILE, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))
        else:
            fcntl.lockf(
                self._handle,
                fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB,
                1,
                place,
            )


def _let_go(locks: FileLocks | None) -> None:
    if locks is not None and locks._handle >= 0:
        with contextlib.suppress(OSError):
            os.close(locks._handle)
        locks._handle = -1
        locks._held.clear()
