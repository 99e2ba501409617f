"""One piece of work at a time per key: among the tasks of a process, and by locks among processes and machines."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mediasvc import metrics
from mediasvc.effects.locks import Locks

T = TypeVar("T")


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Any]
    passengers: int


class Flights:
    """Work under a key is done once for all tasks that ask while it is being done, and they share its outcome.

    A caller that is cancelled leaves the work to the others; the last one to leave cancels it. The work runs in the
    context of the one who asked first. Whoever waited for another process should look first whether that has done it.
    """

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self._flights: dict[str, _Flight] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """What work returns or raises; that of another caller where one is under way.

        key: its kind, a colon and the rest ("source:https://…"). Work may run work of another key, in one direction.
        """
        flight = self._flights.get(key)
        if flight is not None:
            metrics.flight_waiters.inc()
            try:
                shared: T = await self._board(key, flight)
                return shared
            finally:
                metrics.flight_waiters.dec()
        flight = _Flight(asyncio.create_task(self._fly(key, work)), 0)
        flight.task.add_done_callback(lambda task: self._land(key, task))
        self._flights[key] = flight
        outcome: T = await self._board(key, flight)
        return outcome

    async def close(self) -> None:
        """Lets go of the locks; work that is under way goes on without them."""
        await self._locks.close()

    async def _board(self, key: str, flight: _Flight) -> Any:  # of the T that the first caller's work returns
        flight.passengers += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.passengers -= 1
            if not flight.passengers and not flight.task.done():
                self._forget(key, flight.task)  # the next caller begins anew
                flight.task.cancel()
                await asyncio.wait({flight.task})

    async def _fly(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        async with self._locks.hold(key):
            return await work()

    def _land(self, key: str, task: asyncio.Task[Any]) -> None:
        self._forget(key, task)
        if not task.cancelled():
            task.exception()  # all who would have asked for it may be gone

    def _forget(self, key: str, task: asyncio.Task[Any]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]
