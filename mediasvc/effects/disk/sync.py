"""Syncs whole file systems: one wait covers everything that was written, for all callers that wait."""

import asyncio
import contextlib
import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from mediasvc.errors import StoreFailed


class Disks:
    """The file systems of some folders.

    A power cut loses what the system has not written yet: a file that has its name can be empty, or full of
    zeros. For the 24 files of a chunk (ext4, measured) one syncfs takes a quarter of the time and CPU of an
    fsync for each, and chunks that wait at the same time share it.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        """A folder that does not exist yet counts as the one above it."""
        # Kept open: a sync reports every write that failed since its handle was opened.
        self._handles: dict[int, int] = {}
        self._waiting = asyncio.Lock()
        self._begun = 0
        self._failure: str | None = None
        if sys.platform == "linux":  # other systems have no such call; there this class covers nothing
            for folder in folders:
                self._open(folder)

    def _open(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            handle = os.open(_existing(folder), os.O_RDONLY | os.O_CLOEXEC)
            device = os.fstat(handle).st_dev
            if device in self._handles:
                os.close(handle)
            else:
                self._handles[device] = handle

    def covers(self, device: int) -> bool:
        """Whether settle syncs files of this device (st_dev); the caller must sync all others one by one."""
        return device in self._handles

    async def settle(self) -> None:
        """Returns when everything written before is on the disk. StoreFailed where that is not certain."""
        wanted = self._begun + 1  # a sync that is under way may have missed the last writes
        async with self._waiting:
            if self._begun < wanted:
                self._begun += 1
                self._failure = await asyncio.to_thread(self._sync)
            if self._failure is not None:
                raise StoreFailed(f"the disk did not take what was written: {self._failure}")

    def close(self) -> None:
        """Closes the handles of the file systems."""
        for handle in self._handles.values():
            os.close(handle)
        self._handles.clear()

    def _sync(self) -> str | None:
        """Runs in a thread; why it failed, or None."""
        try:
            for handle in self._handles.values():
                _syncfs(handle)
        except OSError as error:
            return (error.strerror or type(error).__name__).lower()
        return None


def device_of(folder: Path) -> int:
    """The device (st_dev) that a folder is on, or will be made on; 0: unknown."""
    try:
        return _existing(folder).stat().st_dev
    except OSError:
        return 0


def _existing(folder: Path) -> Path:
    """The folder, or the nearest existing one above it."""
    folder = folder.absolute()
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)


def _syncfs(handle: int) -> None:
    # Imported here: a run that writes nothing need not pay for it.
    import ctypes

    system = ctypes.CDLL(None, use_errno=True)
    if system.syncfs(handle) != 0:
        code = ctypes.get_errno()
        if code not in (errno.ENOSYS, errno.EPERM):
            raise OSError(code, os.strerror(code))
        os.sync()  # a sandbox that does not know the narrower call
