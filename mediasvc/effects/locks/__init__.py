"""Exclusion: among the tasks of a process, among processes, among machines."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Locks(Protocol):
    """Exclusion among processes. Trouble with the lock itself is counted, and the work goes on without it."""

    def hold(self, key: str) -> AbstractAsyncContextManager[None]:
        """Waits until nobody else holds the key, or its holder has died."""

    async def close(self) -> None:
        """Lets go of connections."""
