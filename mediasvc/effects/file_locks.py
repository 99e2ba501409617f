"""Locks among the processes of one machine: a file for each key that is held, gone when it is let go."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from mediasvc import logs, metrics

_FIRST_WAIT_S: Final = 0.001
_LONGEST_WAIT_S: Final = 0.05


class FileLocks:
    """See Locks. The system lets go of a dead holder's lock at once.

    A file per key, not a fixed number for all keys, so that work under one key may run work under any other. The
    holder removes it before letting go, and whoever gets a lock makes sure that it is on the file that has the name.
    Waiting is asking again, 1 ms to 50 ms apart: a blocking call would need a thread per waiter and cannot be cancelled.
    """

    def __init__(self, folder: Path) -> None:
        """Does nothing to the disk before the first use."""
        self._folder = folder
        self._held: set[int] = set()
        # A forked child shares our locks, and would keep them when we die.
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _let_go(reference()))

    @contextlib.asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """See Locks."""
        path = self._folder / hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        try:
            handle = self._try(path)
            if handle is None:
                handle = await self._wait(path)
        except OSError as error:
            metrics.store_errors.labels(store="locks", operation="lock").inc()
            logs.get().warning("lock.failed", store="locks", error=str(error))
            yield
            return
        self._held.add(handle)
        try:
            yield
        finally:
            self._held.discard(handle)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            os.close(handle)

    async def close(self) -> None:
        """Nothing to let go of."""

    def sweep(self) -> int:
        """Removes files left by holders that died; how many. To be run once at start."""
        swept = 0
        with contextlib.suppress(FileNotFoundError):
            for path in list(self._folder.iterdir()):
                with contextlib.suppress(OSError):
                    handle = self._try(path, create=False)
                    if handle is not None:
                        path.unlink()
                        os.close(handle)
                        swept += 1
        return swept

    async def _wait(self, path: Path) -> int:
        wait_s = _FIRST_WAIT_S
        metrics.flight_waiters.inc()
        try:
            while True:
                await asyncio.sleep(wait_s)
                handle = self._try(path)
                if handle is not None:
                    return handle
                wait_s = min(_LONGEST_WAIT_S, wait_s * 1.5)
        finally:
            metrics.flight_waiters.dec()

    def _try(self, path: Path, *, create: bool = True) -> int | None:
        """The handle that holds the lock; None: somebody else has it."""
        while True:
            try:
                handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
            except FileNotFoundError:
                if not create:
                    raise
                self._folder.mkdir(parents=True, exist_ok=True)
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(handle).st_nlink:
                    return handle
            except BlockingIOError:
                os.close(handle)
                return None
            except OSError:
                os.close(handle)
                raise
            os.close(handle)  # let go of between the two calls: the name is free or another file's


def _let_go(locks: FileLocks | None) -> None:
    if locks is not None:
        for handle in locks._held:
            with contextlib.suppress(OSError):
                os.close(handle)
        locks._held.clear()
