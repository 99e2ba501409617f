"""Blobs of a remote store, with a folder on this machine in front of it."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from mediasvc import logs, metrics
from mediasvc.core.http.breaker import BreakerRules, Circuits
from mediasvc.effects.blobs import Blobs, Incoming, Method, RemoteFailed, RemoteStore
from mediasvc.errors import StoreFailed

T = TypeVar("T")

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_TIMEOUT_S: Final = 5.0
_LEAST_BYTES_PER_S: Final = 1024 * 1024
_LEAVE_ALONE: Final = BreakerRules(failures=3, window_s=30.0, first_s=1.0, longest_s=4.0, hosts=1)
_STORE: Final = "objects"
_HEALTH_S: Final = 5.0


class FrontedBlobs:
    """See Blobs. Every blob that is stored or read gets a copy in the folder.

    A blob counts as stored when the remote store has it. While the remote store is down, the copies are
    served.
    """

    def __init__(self, remote: RemoteStore, local: Blobs, *, timeout_s: float = _TIMEOUT_S) -> None:
        """local: closed by the caller.

        timeout_s: of each answer, and 1 s more per MiB that is sent.
        """
        self._remote = remote
        self._local = local
        self._timeout_s = timeout_s
        self._circuits = Circuits(_LEAVE_ALONE)
        self._signing = Circuits(_LEAVE_ALONE)
        self._signs = True
        self._pulling: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._trouble: str | None = None
        self._health_at = 0.0

    @contextlib.asynccontextmanager
    async def incoming(self) -> AsyncIterator[Incoming]:
        """See Blobs."""
        async with self._local.incoming() as incoming:
            yield _FrontedIncoming(incoming, self._upload)

    async def put(self, data: bytes) -> str:
        """See Blobs."""
        async with self.incoming() as incoming:
            await incoming.write(data)
            return await incoming.keep()

    async def read(self, digest: str) -> bytes | None:
        """See Blobs."""
        if not _DIGEST.match(digest):
            return None
        data = await self._read_copy(digest)
        if data is not None:
            return data
        async with self._one_pull(digest):
            data = await self._read_copy(digest)
            if data is not None:
                return data
            async with self._local.incoming() as incoming:
                if not await self._pull(digest, incoming):
                    return None
                source = await incoming.source()
                data = source if isinstance(source, bytes) else await _on_disk(source.read_bytes)
                with contextlib.suppress(StoreFailed):  # counted there; the blob is served without a copy
                    await incoming.keep()
        return data

    async def path(self, digest: str) -> Path | None:
        """See Blobs."""
        if not _DIGEST.match(digest):
            return None
        with contextlib.suppress(StoreFailed):
            if (path := await self._local.path(digest)) is not None:
                return path
        async with self._one_pull(digest):
            if (path := await self._local.path(digest)) is not None:
                return path
            async with self._local.incoming() as incoming:
                if not await self._pull(digest, incoming):
                    return None
                await incoming.keep()
        return await self._local.path(digest)

    async def size(self, digest: str) -> int | None:
        """See Blobs. A blob without a copy is checked when it is pulled."""
        with contextlib.suppress(StoreFailed):
            if (size := await self._local.size(digest)) is not None:
                return size
        return await self._remote_size(digest)

    async def _remote_size(self, digest: str) -> int | None:
        return await self._ask("head", lambda: self._remote.head(digest)) if _DIGEST.match(digest) else None

    async def delete(self, digest: str) -> None:
        """See Blobs."""
        if not _DIGEST.match(digest):
            return
        try:
            await self._ask("delete", lambda: self._remote.delete(digest))
        finally:
            await self._local.delete(digest)

    async def read_local(self, digest: str) -> bytes | None:
        """See Blobs."""
        return await self._local.read(digest)

    async def delete_local(self, digest: str) -> None:
        """See Blobs."""
        await self._local.delete(digest)

    async def sweep(self) -> int:
        """See Blobs."""
        return await self._local.sweep()

    async def trim(self) -> int:
        """See Blobs."""
        return await self._local.trim()

    async def presigned_url(self, digest: str, ttl_s: int, method: Method = "GET") -> str | None:
        """See Blobs. The remote store answers with the media type of the bytes.

        None too while the remote store is in trouble, where it does not have the blob (it is asked: a client
        that is sent there does not report back), or where its credentials do not sign. Some credentials need
        another service to sign, so a failure to sign says nothing about the store.
        """
        if not _DIGEST.match(digest):
            return None
        if self._trouble is not None:
            await self._probe()
        if self._trouble is not None or self._signing.retry_after_s(_STORE, time.monotonic()) is not None:
            return None
        try:
            if await self._remote_size(digest) is None:
                return None
        except StoreFailed:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                url = await self._remote.sign(digest, ttl_s, method)
        except (RemoteFailed, OSError) as error:
            self._signing.failed(_STORE, time.monotonic())
            metrics.store_errors.labels(store=_STORE, operation="sign").inc()
            if self._signs:
                self._signs = False
                logs.get().warning("store.failed", store=_STORE, operation="sign", error=_one_line(error))
            return None
        self._signing.answered(_STORE)
        self._signs = True
        return url

    async def health(self) -> str | None:
        """That of the remote store, then that of the folder."""
        await self._probe()
        return self._trouble or await self._local.health()

    async def close(self) -> None:
        """Nothing of its own."""

    async def _probe(self) -> None:
        """Finds out whether the remote store is in trouble, at most every five seconds."""
        if time.monotonic() >= self._health_at:
            self._health_at = time.monotonic() + _HEALTH_S
            with contextlib.suppress(StoreFailed):
                await self._ask("put", self._remote.probe)

    async def _read_copy(self, digest: str) -> bytes | None:
        with contextlib.suppress(StoreFailed):  # a broken disk: the remote store has the blob too
            return await self._local.read(digest)
        return None

    @contextlib.asynccontextmanager
    async def _one_pull(self, digest: str) -> AsyncIterator[None]:
        """Callers that want the same blob at once ask the remote store once."""
        lock = self._pulling.get(digest)
        if lock is None:
            self._pulling[digest] = lock = asyncio.Lock()
        async with lock:
            yield

    async def _pull(self, digest: str, incoming: Incoming) -> bool:
        """False: the remote store does not have the blob, or has other bytes under its name."""
        pieces = await self._ask("get", lambda: self._remote.get(digest))
        if pieces is None:
            metrics.cache_requests.labels(layer="objects", result="miss").inc()
            return False
        while (piece := await self._ask("get", lambda: anext(pieces, None))) is not None:
            await incoming.write(piece)
        if incoming.digest() != digest:
            metrics.store_errors.labels(store=_STORE, operation="damaged").inc()
            logs.get().warning("blob.damaged", store=_STORE, digest=digest)
            with contextlib.suppress(StoreFailed):
                # Absent from now on, so that the picture is fetched again.
                await self._ask("set_aside", lambda: self._remote.set_aside(digest))
            return False
        metrics.cache_requests.labels(layer="objects", result="hit").inc()
        return True

    async def _upload(self, digest: str, source: Path | bytes) -> None:
        size = len(source) if isinstance(source, bytes) else (await _on_disk(source.stat)).st_size
        await self._ask("put", lambda: self._remote.put(digest, source), size / _LEAST_BYTES_PER_S)

    async def _ask(self, operation: str, question: Callable[[], Awaitable[T]], extra_s: float = 0.0) -> T:
        """The answer of the remote store. Raises StoreFailed, at once while the store is down."""
        if self._circuits.retry_after_s(_STORE, time.monotonic()) is not None:
            metrics.store_errors.labels(store=_STORE, operation=operation).inc()
            raise StoreFailed("the object store did not answer", reason="objects_down")
        try:
            async with asyncio.timeout(self._timeout_s + extra_s):
                answer = await question()
        except (RemoteFailed, OSError) as error:
            if isinstance(error, RemoteFailed) and error.has_answered:
                self._circuits.answered(_STORE)
            else:
                self._circuits.failed(_STORE, time.monotonic())
            raise self._failed(operation, error) from error
        self._circuits.answered(_STORE)
        if operation == "put" and self._trouble is not None:
            logs.get().info("store.recovered", store=_STORE)
            self._trouble = None
        return answer

    def _failed(self, operation: str, error: Exception) -> StoreFailed:
        metrics.store_errors.labels(store=_STORE, operation=operation).inc()
        if self._trouble is None:
            logs.get().warning("store.failed", store=_STORE, operation=operation, error=_one_line(error))
        self._trouble = "the object store does not answer"
        return StoreFailed("the object store did not answer", reason=operation)


class _FrontedIncoming:
    """See Incoming."""

    def __init__(self, inner: Incoming, upload: Callable[[str, Path | bytes], Awaitable[None]]) -> None:
        self._inner = inner
        self._upload = upload
        self.write = inner.write
        self.restart = inner.restart
        self.source = inner.source
        self.digest = inner.digest

    async def keep(self) -> str:
        """See Incoming."""
        digest = self._inner.digest()
        await self._upload(digest, await self._inner.source())
        with contextlib.suppress(
            StoreFailed
        ):  # counted there; the remote store has the blob, and that counts
            await self._inner.keep()
        return digest


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


async def _on_disk(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise StoreFailed("the disk did not give back an image", reason="read") from error
