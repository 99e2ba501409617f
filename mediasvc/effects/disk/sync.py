"""Whole file systems brought to the disk: one wait for everything that was written, however many wait for it."""

import asyncio
import contextlib
import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from mediasvc.errors import StoreFailed


class Disks:
    """The file systems of some folders, from now on.

    A power cut takes what the system has not written yet: files that have their names can be empty then, or zeros
    in their full length. Measured on the 24 files of a chunk (ext4), one syncfs takes a fourth of the time and of
    the CPU that fsync of each takes, and chunks that wait at once share it.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        """A folder that is not there yet counts as the one above it, in which it will be made."""
        # Kept open: the system tells a handle of all that failed since it was opened.
        self._handles: dict[int, int] = {}
        self._waiting = asyncio.Lock()
        self._begun = 0
        self._failure: str | None = None
        if sys.platform == "linux":  # others have no such call: there, nothing is held
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

    def hold(self, device: int) -> bool:
        """Whether settle is for files of this device (st_dev); others have to be brought to the disk one by one."""
        return device in self._handles

    async def settle(self) -> None:
        """Everything that was written before is on the disk when it returns. StoreFailed where that is not sure."""
        wanted = self._begun + 1  # one that is under way may have passed over what was written last
        async with self._waiting:
            if self._begun < wanted:
                self._begun += 1
                self._failure = await asyncio.to_thread(self._sync)
            if self._failure is not None:
                raise StoreFailed(f"the disk did not take what was written: {self._failure}")

    def close(self) -> None:
        """Lets go of the file systems."""
        for handle in self._handles.values():
            os.close(handle)
        self._handles.clear()

    def _sync(self) -> str | None:
        """In a thread; why it failed."""
        try:
            for handle in self._handles.values():
                _syncfs(handle)
        except OSError as error:
            return (error.strerror or type(error).__name__).lower()
        return None


def device_of(folder: Path) -> int:
    """The device (st_dev) that a folder is on, or will be made on; 0 where that cannot be told."""
    try:
        return _existing(folder).stat().st_dev
    except OSError:
        return 0


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    folder = folder.absolute()
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)


def _syncfs(handle: int) -> None:
    # Here: a run that writes nothing would pay for it as well.
    import ctypes

    system = ctypes.CDLL(None, use_errno=True)
    if system.syncfs(handle) != 0:
        code = ctypes.get_errno()
        if code not in (errno.ENOSYS, errno.EPERM):
            raise OSError(code, os.strerror(code))
        os.sync()  # a sandbox that does not know the narrower call
