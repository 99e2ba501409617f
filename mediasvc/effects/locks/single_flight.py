"""One piece of work at a time per key: among the tasks of a process, and by locks among processes and
machines.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mediasvc import metrics
from mediasvc.effects.locks import Locks

T = TypeVar("T")


@dataclass(slots=True)
class _Flight:
    """Work under way, and how many callers wait for it."""

    task: asyncio.Task[Any]
    callers: int


class SingleFlight:
    """Work under a key runs once for all tasks that ask while it runs; they share its result.

    A cancelled caller leaves the work to the others; the last one to leave cancels it. The work runs in the
    context of the first caller. Work should first look whether another process, for which it waited, has done
    it already.
    """

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self._flights: dict[str, _Flight] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """What work returns or raises; that of another caller where its work is under way.

        key: kind, colon, rest ("source:https://…"). Work may run work under another key, in one direction.
        """
        flight = self._flights.get(key)
        if flight is not None:
            metrics.flight_waiters.inc()
            try:
                shared: T = await self._wait_for(key, flight)
                return shared
            finally:
                metrics.flight_waiters.dec()
        flight = _Flight(asyncio.create_task(self._fly(key, work)), 0)
        flight.task.add_done_callback(lambda task: self._ended(key, task))
        self._flights[key] = flight
        result: T = await self._wait_for(key, flight)
        return result

    async def close(self) -> None:
        """Releases the locks; work that is under way goes on without them."""
        await self._locks.close()

    async def _wait_for(self, key: str, flight: _Flight) -> Any:  # the T that the work returns
        flight.callers += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.callers -= 1
            if not flight.callers and not flight.task.done():
                self._forget(key, flight.task)  # the next caller starts the work again
                flight.task.cancel()
                await asyncio.wait({flight.task})

    async def _fly(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        async with self._locks.lock(key):
            return await work()

    def _ended(self, key: str, task: asyncio.Task[Any]) -> None:
        self._forget(key, task)
        if not task.cancelled():
            task.exception()  # so that it counts as read: all callers may be gone

    def _forget(self, key: str, task: asyncio.Task[Any]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]
