"""A connection to Redis that answers or fails soon, is left alone while it is down, and comes back by itself."""  # noqa: E501

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from mediasvc import logs, metrics
from mediasvc.core.http.breaker import BreakerRules, Circuits
from mediasvc.errors import StoreFailed

T = TypeVar("T")

_TIMEOUT_S: Final = 0.5
_CONNECTIONS: Final = 64
_LEAVE_ALONE: Final = BreakerRules(failures=3, window_s=10.0, first_s=1.0, longest_s=2.0, hosts=1)
_SERVER: Final = "redis"


class RedisLink:
    """One pool for everything that a process asks of one Redis. prefix: of every key of ours there."""

    def __init__(self, url: str, *, prefix: str = "mediasvc:", timeout_s: float = _TIMEOUT_S) -> None:
        """url: redis://, rediss:// or unix://; ValueError for any other. timeout_s: of each question.

        Opens nothing.
        """
        self.prefix = prefix
        self._timeout_s = timeout_s
        self._client: Redis = Redis.from_pool(
            BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                # Answers are timed in `ask`: the library's own limit loses cancellations on Python 3.11
                # (wait_for).
                socket_timeout=None,
                # A connection from before a restart of the server is opened anew, once.
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
                decode_responses=False,
            )
        )
        # Of its own, because it waits for messages without end.
        self._news: Redis = Redis.from_url(
            url, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0), health_check_interval=0
        )
        self._circuits = Circuits(_LEAVE_ALONE)
        self._trouble: str | None = None

    async def ask(self, operation: str, command: Callable[["Redis"], Awaitable[T]]) -> T:
        """What the command returns. operation: one word for metrics.

        Raises StoreFailed, at once while Redis is down.
        """
        if self._circuits.retry_after_s(_SERVER, time.monotonic()) is not None:
            metrics.store_errors.labels(store="redis", operation=operation).inc()
            raise StoreFailed("the index did not answer", reason="redis_down")
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await command(self._client)
        except (TimeoutError, OSError, RedisConnectionError, RedisTimeoutError) as error:
            self._circuits.failed(_SERVER, time.monotonic())
            raise self._failed(operation, error) from error
        except RedisError as error:
            # It answers, but not this: read-only, out of memory, a value of another type.
            self._circuits.answered(_SERVER)
            raise self._failed(operation, error) from error
        self._circuits.answered(_SERVER)
        if self._trouble is not None and operation in ("write", "health"):
            logs.get().info("store.recovered", store="redis")
            self._trouble = None
        return answer

    def subscription(self) -> PubSub:
        """A connection for messages; its user connects, and closes it."""
        return self._news.pubsub(ignore_subscribe_messages=True)

    async def health(self) -> str | None:
        """None, or what is wrong; found out by writing."""
        try:
            await self.ask("health", lambda client: client.set(f"{self.prefix}health", b"1", px=10_000))
        except StoreFailed:
            return self._trouble or "Redis does not answer"
        return None

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()
        await self._client.connection_pool.disconnect()
        await self._news.aclose()

    def _failed(self, operation: str, error: Exception) -> StoreFailed:
        metrics.store_errors.labels(store="redis", operation=operation).inc()
        if self._trouble is None:
            logs.get().warning("store.failed", store="redis", operation=operation, error=repr(error))
        self._trouble = f"Redis: {_reason(error)}"
        return StoreFailed("the index did not answer", reason=operation)


def _reason(error: Exception) -> str:
    match error:
        case OutOfMemoryError():
            return "out of memory"
        case ReadOnlyError():
            return "read-only"
        case AuthenticationError():
            return "the password is refused"
        case ResponseError():
            return str(error).split(" ")[0]  # the code of the error
        case _:
            return "no answer"
