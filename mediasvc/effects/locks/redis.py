"""Locks among any number of machines: leases in Redis, and one subscription per process that wakes waiters."""  # noqa: E501

import asyncio
import contextlib
import hashlib
import random
import secrets
import time
from collections.abc import AsyncIterator
from typing import Final

from redis.exceptions import RedisError

from mediasvc import logs, metrics
from mediasvc.engines.redis import RedisLink
from mediasvc.errors import StoreFailed

_LEASE_S: Final = 8.0
_RECHECK_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
_READY_S: Final = 0.5
_RECONNECT_S: Final = 1.0
_LEAVING: Final = 1000
_ACQUIRED: Final = -10

# A process that does not get the lock leaves a note in the same step, so that only locks with waiters are
# announced.
_ACQUIRE: Final = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return -10 end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return redis.call('PTTL', KEYS[1])
"""
_RENEW: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if redis.call('DEL', KEYS[2]) == 1 then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return 1
"""


class RedisLocks:
    """See Locks. The lock of a dead holder is free when its lease ends, 8 s after its last renewal.

    Without Redis the work runs without a lock: twice at worst.
    """

    def __init__(self, link: RedisLink, *, lease_s: float = _LEASE_S) -> None:
        """link: closed by the caller."""
        self._link = link
        self._lease_ms = round(lease_s * 1000)
        self._channel = f"{link.prefix}free"
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._leaving: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """See Locks."""
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        token = secrets.token_hex(16)
        renewing: asyncio.Task[None] | None = None
        answered = True
        try:
            try:
                await self._acquire(name, token)
                renewing = asyncio.create_task(self._renew(name, token))
            except StoreFailed:  # counted by the link
                answered = False
            yield
        finally:
            if renewing is not None:
                renewing.cancel()
            # Even where the lock was not obtained: perhaps only the answer was lost.
            if not answered:
                self._release_later(name, token)
            else:
                try:
                    await self._release(name, token)
                except StoreFailed:
                    self._release_later(name, token)

    async def close(self) -> None:
        """Ends the subscription. Locks that could not be released end with their lease."""
        tasks = {*self._leaving, *([self._listener] if self._listener is not None else [])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._listener = None

    def _keys(self, name: str) -> tuple[str, str]:
        return f"{self._link.prefix}lock:{name}", f"{self._link.prefix}wait:{name}"

    async def _acquire(self, name: str, token: str) -> None:
        """Returns when the lock is ours. StoreFailed: Redis does not answer, or the wait is too long."""
        if await self._try(name, token) is None:
            return
        free = asyncio.Event()
        self._waiting.setdefault(name, set()).add(free)
        metrics.flight_waiters.inc()
        deadline = time.monotonic() + _LONGEST_WAIT_S
        try:
            await self._listen()
            while (left_s := await self._try(name, token)) is not None:
                if time.monotonic() > deadline:
                    logs.get().warning("lock.failed", store="redis", error="locked for too long")
                    raise StoreFailed("the index did not answer", reason="lock")
                # Messages can be lost: ask again when the lease must have ended, and every second.
                look_again_s = min(left_s + 0.01, _RECHECK_S * random.uniform(0.8, 1.2))  # noqa: S311
                # Not wait_for, which in Python 3.11 loses a cancellation that comes together with the event.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(look_again_s):
                        await free.wait()
                free.clear()
        finally:
            metrics.flight_waiters.dec()
            self._waiting[name].discard(free)
            if not self._waiting[name]:
                del self._waiting[name]

    async def _try(self, name: str, token: str) -> float | None:
        """None: the lock is ours. Else seconds until the holder's lease ends."""
        answer = await self._link.ask(
            "lock", lambda client: client.eval(_ACQUIRE, 2, *self._keys(name), token, self._lease_ms)
        )
        if answer == _ACQUIRED:
            return None
        if not isinstance(answer, int) or not 0 <= answer <= self._lease_ms:
            # No lease of this program: those always end.
            metrics.store_errors.labels(store="redis", operation="lock").inc()
            raise StoreFailed("the index did not answer", reason="lock")
        return answer / 1000

    async def _release(self, name: str, token: str) -> None:
        await self._link.ask(
            "unlock",
            lambda client: client.eval(_RELEASE, 2, *self._keys(name), token, self._channel, name),
        )

    def _release_later(self, name: str, token: str) -> None:
        """A Redis that hung may still grant the lock later, to a process that no longer waits."""
        if len(self._leaving) < _LEAVING:
            task = asyncio.create_task(self._insist(name, token))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _insist(self, name: str, token: str) -> None:
        deadline = time.monotonic() + self._lease_ms / 1000
        while time.monotonic() < deadline:
            await asyncio.sleep(_RECHECK_S / 2)
            with contextlib.suppress(StoreFailed):
                await self._release(name, token)
                break

    async def _renew(self, name: str, token: str) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 4000)
            with contextlib.suppress(StoreFailed):
                await self._link.ask(
                    "renew", lambda client: client.eval(_RENEW, 1, self._keys(name)[0], token, self._lease_ms)
                )

    async def _listen(self) -> None:
        """Starts the subscription, if Redis answers; without messages, waiters still ask again."""
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._hear())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_S):
                await self._ready.wait()

    async def _hear(self) -> None:
        while True:
            try:
                async with self._link.subscription() as subscription:
                    await subscription.subscribe(self._channel)
                    self._ready.set()
                    async for message in subscription.listen():
                        for free in self._waiting.get(_text(message.get("data")), ()):
                            free.set()
            except (RedisError, OSError, TimeoutError) as error:
                logs.get().info("lock.unsubscribed", error=str(error))
            finally:
                self._ready.clear()
            await asyncio.sleep(_RECONNECT_S)


def _text(data: object) -> str:
    return data.decode("ascii", "replace") if isinstance(data, bytes) else ""
