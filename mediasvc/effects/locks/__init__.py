"""Locks: among the tasks of a process, among processes, among machines."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Locks(Protocol):
    """Locks among processes. Trouble with a lock itself is counted, and the work goes on without it."""

    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        """Waits until no other process has locked the key, or its holder has died; released on leaving."""

    async def close(self) -> None:
        """Closes files and connections, and releases all locks."""
