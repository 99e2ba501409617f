"""The memory that all server processes share, by which each knows at once that another has purged something."""  # noqa: E501

import mmap
import os
import secrets
import sys
import tempfile


class PurgeToken:
    """A number in memory that all server processes share.

    Every purge changes it; reading it costs next to nothing.

    It is drawn at random instead of counted, because two processes can write at the same time: whatever the
    memory contains after that, it is not what a reader saw before.
    """

    def __init__(self, fd: int) -> None:
        """fd: from `create`, inherited; stays open."""
        self._cell = memoryview(mmap.mmap(fd, mmap.PAGESIZE))[:8].cast("Q")

    @staticmethod
    def create() -> int:
        """The descriptor of the shared memory, for the supervisor to pass on."""
        fd = os.memfd_create("mediasvc-purges") if sys.platform == "linux" else _unnamed_file()
        os.ftruncate(fd, mmap.PAGESIZE)
        return fd

    @property
    def value(self) -> int:
        return self._cell[0]

    def change(self) -> None:
        """Makes every process look for purges before it answers the next request."""
        self._cell[0] = secrets.randbits(64)


def _unnamed_file() -> int:
    fd, path = tempfile.mkstemp()
    os.unlink(path)  # noqa: PTH108  # a descriptor is all that is wanted
    return fd
