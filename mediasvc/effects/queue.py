"""Batch work on many machines: chunks go out through Dramatiq over Redis, their results come back by name."""

import asyncio
import base64
import contextlib
import secrets
import zlib
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import dramatiq
import redis.asyncio
import redis.exceptions
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Retries, ShutdownNotifications
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from mediasvc import logs, metrics
from mediasvc.errors import StoreFailed

QUEUE: Final = "mediasvc"
ACTOR: Final = "rewrite_chunk"
# A worker that says nothing for so long is dead, and its chunks go to others.
_HEARTBEAT_MS: Final = 5_000
# With the library's 1,000 the search for dead workers is left to chance, and none was found within 40 s.
_MAINTENANCE: Final = 1_000_000
_ALIVE_S: Final = 30
_RESULT_TTL_S: Final = 3600
_RESEND_S: Final = 120.0
_SILENCE_S: Final = 15.0
_PACKED: Final = "z"


def make_broker(url: str) -> RedisBroker:
    """The Dramatiq broker of both sides. url: redis://…"""
    return RedisBroker(  # type: ignore[no-untyped-call]  # the library leaves it untyped
        url=url,
        namespace="mediasvc:queue",
        middleware=[ShutdownNotifications(notify_shutdown=False), Retries(max_retries=5, max_backoff=10_000)],
        heartbeat_timeout=_HEARTBEAT_MS,
        maintenance_chance=_MAINTENANCE,
    )


def pack(data: bytes) -> str:
    """Bytes as text for a message."""
    return _PACKED + base64.b85encode(zlib.compress(data, 1)).decode("ascii")


def unpack(text: str) -> bytes:
    """What pack made. ValueError on anything else."""
    if not text.startswith(_PACKED):
        raise ValueError("not a packed message")
    try:
        return zlib.decompress(base64.b85decode(text[1:]))
    except zlib.error as error:
        raise ValueError("not a packed message") from error


def _connect(url: str) -> "redis.asyncio.Redis":
    return redis.asyncio.Redis.from_url(
        url,
        socket_connect_timeout=3,
        socket_timeout=10,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=2, base=0.1), 5),
    )


def _alive_key(run: str) -> str:
    return f"mediasvc:run:{run}:alive"


def _results_key(run: str) -> str:
    return f"mediasvc:run:{run}:results"


class AskingSide:
    """The run that cuts the work into chunks and waits for what becomes of them. `async with` opens it."""

    def __init__(self, url: str, *, on_silence: Callable[[], None]) -> None:
        """on_silence: told once when nothing came back for a while though work is waiting."""
        self._run = secrets.token_hex(12)
        self._broker = make_broker(url)
        self._redis = _connect(url)
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._on_silence = on_silence
        self._was_silent = False

    async def __aenter__(self) -> Self:
        try:
            await self._redis.set(_alive_key(self._run), b"1", ex=_ALIVE_S)
        except redis.exceptions.RedisError as error:
            await self._redis.aclose()
            raise StoreFailed("the queue (MEDIASVC_QUEUE_URL) does not answer") from error
        self._tasks = [asyncio.create_task(self._stay_alive()), asyncio.create_task(self._receive())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(redis.exceptions.RedisError):
            await self._redis.delete(_alive_key(self._run), _results_key(self._run))
        await self._redis.aclose()
        await asyncio.to_thread(self._broker.close)

    async def do(self, work: bytes) -> bytes:
        """Sends one piece of work and waits for its result, however long that takes.

        A piece of which nothing is heard is sent again; doing it twice does no harm. StoreFailed where the
        queue does not take it.
        """
        name = secrets.token_hex(8)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[name] = future
        packed = pack(work)
        try:
            while True:
                await self._send(name, packed)
                done, _ = await asyncio.wait({future}, timeout=_RESEND_S)
                if done:
                    return future.result()
                logs.get().warning("queue.sent_again", piece=name)
        finally:
            del self._waiting[name]

    async def _send(self, name: str, packed: str) -> None:
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=QUEUE, actor_name=ACTOR, args=(self._run, name, packed), kwargs={}, options={}
        )
        try:
            await asyncio.to_thread(self._enqueue, message)
        except (dramatiq.ConnectionError, redis.exceptions.RedisError) as error:
            metrics.store_errors.labels(store="queue", operation="send").inc()
            raise StoreFailed("the queue (MEDIASVC_QUEUE_URL) does not answer") from error

    def _enqueue(self, message: "dramatiq.Message[None]") -> None:
        self._broker.declare_queue(QUEUE)
        self._broker.enqueue(message)

    async def _stay_alive(self) -> None:
        while True:
            try:
                await self._redis.set(_alive_key(self._run), b"1", ex=_ALIVE_S)
            except redis.exceptions.RedisError:
                metrics.store_errors.labels(store="queue", operation="alive").inc()
            await asyncio.sleep(_ALIVE_S / 6)

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while True:
            try:
                told = await self._redis.blpop([_results_key(self._run)], timeout=1)
            except redis.exceptions.RedisError:
                metrics.store_errors.labels(store="queue", operation="receive").inc()
                await asyncio.sleep(0.5)
                continue
            if told is None:
                if not self._waiting:
                    heard = loop.time()
                elif loop.time() - heard > _SILENCE_S and not self._was_silent:
                    self._was_silent = True
                    self._on_silence()
                continue
            heard = loop.time()
            text = told[1] if isinstance(told[1], str) else told[1].decode("ascii", "replace")
            name, _, packed = text.partition(" ")
            future = self._waiting.get(name)
            if future is None or future.done():
                continue
            try:
                future.set_result(unpack(packed))
            except ValueError:
                logs.get().warning("queue.unreadable_result", piece=name)


class WorkingSide:
    """What a worker says back to the runs that asked."""

    def __init__(self, url: str) -> None:
        self._redis = _connect(url)

    async def is_wanted(self, run: str) -> bool:
        """Whether the run that asked is still there. StoreFailed."""
        try:
            return bool(await self._redis.exists(_alive_key(run)))
        except redis.exceptions.RedisError as error:
            raise StoreFailed("the queue does not answer") from error

    async def tell(self, run: str, name: str, result: bytes) -> None:
        """Hands a result back; it is kept for an hour. StoreFailed."""
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.rpush(_results_key(run), f"{name} {pack(result)}")
                pipe.expire(_results_key(run), _RESULT_TTL_S)
                await pipe.execute()
        except redis.exceptions.RedisError as error:
            raise StoreFailed("the queue does not answer") from error

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._redis.aclose()
