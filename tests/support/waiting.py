"""Waiting for what another process or thread does and announces to no one: ask until it is so, or fail in
time.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


def wait_for(condition: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
    """Returns as soon as the condition holds; looks every 10 ms.

    AssertionError, with the text, where it never does.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 15.0) -> None:
    """The same without blocking the event loop. condition: a function or a coroutine function.

    Raises TimeoutError.
    """
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.005)


async def still_waits(task: "asyncio.Task[object]", for_s: float = 0.05) -> None:
    """Fails if the task ends within that time."""
    done, _ = await asyncio.wait({task}, timeout=for_s)
    assert not done
