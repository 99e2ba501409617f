"""The queue between a run and its queue workers: chunks go out through Dramatiq over Redis, results come
back.
"""

import asyncio
import base64
import contextlib
import secrets
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import dramatiq
import redis
import redis.asyncio
import redis.exceptions
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.middleware import Retries, ShutdownNotifications
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from mediasvc import logs, metrics
from mediasvc.core.records.compression import compress, decompress
from mediasvc.errors import StoreFailed

QUEUE: Final = "mediasvc"
ACTOR: Final = "rewrite_chunk"
# A queue worker without a heartbeat for this long is dead, and its chunks go to others.
_HEARTBEAT_MS: Final = 5_000
# With the library's 1,000, dead queue workers are found by chance: not within 40 s when measured.
_MAINTENANCE: Final = 1_000_000
# Longest poll interval while busy with spare capacity, and while idle.
_LOOK_MS: Final = 50
_IDLE_LOOK_MS: Final = 250
_FULL_S: Final = 1.0
_ALIVE_S: Final = 30
_RESULT_TTL_S: Final = 3600
_RESEND_S: Final = 120.0
# How long the queue can be unreachable in the middle of a run.
_PATIENCE_S: Final = 60.0
_HANG_S: Final = 30.0
_ANSWER_S: Final = 10.0
_AGAIN_S: Final = 0.5
_SILENCE_S: Final = 15.0
_PACKED: Final = "z"


class _Quiet(dramatiq.Message[None]):
    """A message whose text has no arguments: the library logs messages that fail, and arguments are articles."""  # noqa: E501

    def __str__(self) -> str:
        return f"{self.actor_name} {self.message_id}"


class _Consumer(_RedisConsumer):
    """Takes pieces one by one, so that none waits here while another queue worker is idle.

    Takes the next piece as soon as one is done; the library's own consumer waits up to a second when it was
    full. Both poll less often the longer there was no work.
    """

    def __init__(self, broker: RedisBroker, queue_name: str, most: int) -> None:
        """most: pieces at the same time."""
        super().__init__(broker, queue_name, most, _LOOK_MS)  # type: ignore[no-untyped-call]  # as below
        self._most = most
        self._has_room = threading.Event()

    def __next__(self) -> Any:  # the library's return type: a message, or None to poll again
        count = self.outstanding_message_count
        if count >= self._most:
            self._has_room.wait(_FULL_S)
            self._has_room.clear()
            return None
        self.prefetch = count + 1
        self.timeout = _LOOK_MS if count else _IDLE_LOOK_MS
        message = super().__next__()  # type: ignore[no-untyped-call]
        if message is not None:
            message._message = _Quiet(**message._message.asdict())
        return message

    def ack(self, message: Any) -> None:
        """See Consumer."""
        try:
            super().ack(message)  # type: ignore[no-untyped-call]
        finally:
            self._has_room.set()

    def nack(self, message: Any) -> None:
        """See Consumer."""
        try:
            super().nack(message)  # type: ignore[no-untyped-call]
        finally:
            self._has_room.set()


class _Broker(RedisBroker):
    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> dramatiq.Consumer:
        # Retried messages have a queue of their own, whose consumer keeps the heartbeat going.
        if queue_name == QUEUE:
            return _Consumer(self, queue_name, prefetch)
        return super().consume(queue_name, prefetch, timeout)


def make_broker(url: str) -> RedisBroker:
    """The Dramatiq broker of both sides. url: redis://…"""
    return _Broker(  # type: ignore[no-untyped-call]  # untyped in the library
        # A queue worker that times out here loses the pieces in the reply until they are sent again.
        client=redis.Redis.from_url(url, socket_connect_timeout=3, socket_timeout=_HANG_S),
        namespace="mediasvc:queue",
        middleware=[ShutdownNotifications(notify_shutdown=False), Retries(max_retries=5, max_backoff=10_000)],
        heartbeat_timeout=_HEARTBEAT_MS,
        maintenance_chance=_MAINTENANCE,
    )


def pack(data: bytes) -> str:
    """Bytes as text for a message."""
    return _PACKED + base64.b64encode(compress(data)).decode("ascii")


def unpack(text: object) -> bytes:
    """The bytes that pack() packed. Raises ValueError for any other text."""
    if not isinstance(text, str) or not text.startswith(_PACKED):
        raise ValueError("not a packed message")
    return decompress(base64.b64decode(text[1:]))


def _connect(url: str, *, retries: int, timeout_s: float | None) -> "redis.asyncio.Redis":
    """A Redis client.

    timeout_s: for each reply. None where the caller has its own limit: that of the library loses
    cancellations on
        Python 3.11 (wait_for), so a task that loops would never end.
    """
    return redis.asyncio.Redis.from_url(
        url,
        socket_connect_timeout=3,
        socket_timeout=timeout_s,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=2, base=0.1), retries),
    )


def _alive_key(run: str) -> str:
    return f"mediasvc:run:{run}:alive"


def _results_key(run: str) -> str:
    """Key of a hash by piece: a reply that is lost on the way can be read again."""
    return f"mediasvc:run:{run}:results"


def _news_key(run: str) -> str:
    """Key of a list of pieces whose results are there."""
    return f"mediasvc:run:{run}:news"


class AskingSide:
    """The side of the run: sends pieces of work and waits for their results. `async with` opens it."""

    def __init__(self, url: str, *, on_silence: Callable[[], None]) -> None:
        """on_silence: called once when no result has come for a while although work is waiting."""
        self._run = secrets.token_hex(12)
        self._broker = make_broker(url)
        # No retries inside the client: after every broken connection, this class checks what Redis still has.
        self._redis = _connect(url, retries=0, timeout_s=None)
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._was_cut = False
        self._tasks: list[asyncio.Task[None]] = []
        self._on_silence = on_silence
        self._was_silent = False

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._redis.set(_alive_key(self._run), b"1", ex=_ALIVE_S)
        except (redis.exceptions.RedisError, TimeoutError) as error:
            await self._redis.aclose()
            raise _gone(error) from error
        self._tasks = [asyncio.create_task(self._stay_alive()), asyncio.create_task(self._receive())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(redis.exceptions.RedisError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                await self._redis.delete(_alive_key(self._run), _results_key(self._run), _news_key(self._run))
        await self._redis.aclose()
        await asyncio.to_thread(self._broker.close)

    async def do(self, work: bytes) -> bytes:
        """Sends one piece of work and waits for its result, without a time limit.

        Sends a piece again when it has no result for a while, and every piece when Redis was unreachable or
        emptied meanwhile; rewriting a piece twice does no harm. Raises StoreFailed where the queue is gone
        for a minute.
        """
        name = secrets.token_hex(8)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[name] = future
        packed = pack(work)
        try:
            while True:
                lost = self._lost
                await self._send(name, packed)
                either: set[asyncio.Future[Any]] = {future, lost}  # futures of different types
                await asyncio.wait(either, timeout=_RESEND_S, return_when=asyncio.FIRST_COMPLETED)
                if future.done():
                    return future.result()
                logs.get().warning("queue.sent_again", piece=name)
        finally:
            del self._waiting[name]

    async def _send(self, name: str, packed: str) -> None:
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=QUEUE, actor_name=ACTOR, args=(self._run, name, packed), kwargs={}, options={}
        )
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_S
        while True:
            try:
                await asyncio.to_thread(self._enqueue, message)
                return
            except (dramatiq.ConnectionError, redis.exceptions.RedisError) as error:
                metrics.store_errors.labels(store="queue", operation="send").inc()
                if loop.time() > deadline:
                    raise _gone(error) from error
            await asyncio.sleep(_AGAIN_S)

    def _enqueue(self, message: "dramatiq.Message[None]") -> None:
        self._broker.declare_queue(QUEUE)
        self._broker.enqueue(message)

    async def _stay_alive(self) -> None:
        while True:
            await asyncio.sleep(_AGAIN_S if self._was_cut else _ALIVE_S / 6)
            try:
                async with asyncio.timeout(_ANSWER_S), self._redis.pipeline(transaction=True) as pipe:
                    pipe.exists(_alive_key(self._run))
                    pipe.set(_alive_key(self._run), b"1", ex=_ALIVE_S)
                    was_there, _ = await pipe.execute()
            except (redis.exceptions.RedisError, TimeoutError):
                metrics.store_errors.labels(store="queue", operation="alive").inc()
                self._was_cut = True
                continue
            if self._was_cut or not was_there:
                # Redis restarted, was emptied, or expired our key: pieces and results can be lost.
                self._was_cut = False
                self._lost.set_result(None)
                self._lost = asyncio.get_running_loop().create_future()

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while True:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    news = await self._redis.blpop([_news_key(self._run)], timeout=1)
                    found = await self._collect(_text(news[1]) if news is not None else None)
            except (redis.exceptions.RedisError, TimeoutError):
                metrics.store_errors.labels(store="queue", operation="receive").inc()
                self._was_cut = True
                await asyncio.sleep(_AGAIN_S)
                continue
            if found or not self._waiting:
                heard = loop.time()
            elif loop.time() - heard > _SILENCE_S and not self._was_silent:
                self._was_silent = True
                self._on_silence()

    async def _collect(self, name: str | None) -> bool:
        """Reads the result of one piece, or of every piece where name is None.

        Returns whether there was any.
        """
        names = list(self._waiting) if name is None else [name]
        if not names:
            return False
        results = await self._redis.hmget(_results_key(self._run), names)
        come = {name: result for name, result in zip(names, results, strict=True) if result is not None}
        for name, result in come.items():
            future = self._waiting.get(name)
            if future is not None and not future.done():
                future.set_result(result if isinstance(result, bytes) else result.encode())
        if come:
            await self._redis.hdel(_results_key(self._run), *come)
        return bool(come)


def _gone(error: Exception) -> StoreFailed:
    """The error of a queue that does not answer.

    Redis' own message names no more of the URL than its host.
    """
    why = f": {error}" if str(error) else ""
    return StoreFailed(f"the queue (MEDIASVC_QUEUE_URL) does not answer{why}")


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


class WorkingSide:
    """The side of a queue worker: returns results to the runs that wait for them."""

    def __init__(self, url: str) -> None:
        self._redis = _connect(url, retries=5, timeout_s=_ANSWER_S)

    async def is_wanted(self, run: str) -> bool:
        """Whether the run that sent a piece still waits for it. Raises StoreFailed."""
        try:
            return bool(await self._redis.exists(_alive_key(run)))
        except redis.exceptions.RedisError as error:
            raise StoreFailed("the queue does not answer") from error

    async def return_result(self, run: str, name: str, result: bytes) -> None:
        """Returns a result, which Redis keeps for an hour.

        Raises StoreFailed where the queue takes none for a minute.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_S
        while True:
            try:
                await self._store(run, name, result)
                return
            except redis.exceptions.RedisError as error:
                metrics.store_errors.labels(store="queue", operation="tell").inc()
                if loop.time() > deadline:
                    raise StoreFailed("the queue does not answer") from error
                logs.get().warning("chunk.undelivered", run=run, error=str(error))
            await asyncio.sleep(_AGAIN_S)

    async def _store(self, run: str, name: str, result: bytes) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_results_key(run), name, result)
            pipe.expire(_results_key(run), _RESULT_TTL_S)
            pipe.rpush(_news_key(run), name)
            pipe.expire(_news_key(run), _RESULT_TTL_S)
            await pipe.execute()

    async def close(self) -> None:
        """Closes the connection."""
        await self._redis.aclose()
