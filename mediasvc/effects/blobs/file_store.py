"""Blobs as files of one folder on this machine."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from mediasvc import logs, metrics
from mediasvc.effects.blobs import Incoming, Method
from mediasvc.effects.blobs.folder import BlobFolder, Collected, Usage, Verified
from mediasvc.effects.blobs.incoming import FileIncoming
from mediasvc.effects.blobs.quota import footprint
from mediasvc.errors import StoreFailed

T = TypeVar("T")

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_SPILL_BYTES: Final = 1024 * 1024
_THREADS: Final = 8
_HEALTH_S: Final = 2.0


class FileBlobs:
    """See Blobs. Stays within its limit by evicting the least recently used blobs.

    A blob is checked when this process first reads it, and again when its file has changed. Because of that
    check nothing is forced to the disk before the rename: a blob torn by a power cut is found, set aside and
    fetched again.
    """

    def __init__(self, folder: Path, max_bytes: int, *, spill_bytes: int = _SPILL_BYTES) -> None:
        """Does nothing to the disk before the first use.

        max_bytes: of all blobs together.
        spill_bytes: of one incoming blob, how many may wait in memory.
        """
        self._folder = BlobFolder(folder, max_bytes)
        self._max_bytes = max_bytes
        self._spill_bytes = spill_bytes
        # Two pools, so that no reader waits behind a writer that makes room.
        self._readers = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs-read")
        self._writers = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs-write")
        self._trouble: str | None = None
        self._health_at = 0.0

    @contextlib.asynccontextmanager
    async def incoming(self) -> AsyncIterator[Incoming]:
        """See Blobs."""
        incoming = FileIncoming(self._writers, self._folder.temporary, self._keep, self._spill_bytes)
        try:
            yield incoming
        finally:
            await incoming.discard()

    async def put(self, data: bytes) -> str:
        """See Blobs."""
        self._check_size(len(data))
        digest = await self._run("keep", lambda: self._folder.put(data))
        self._recovered()
        return digest

    async def read(self, digest: str) -> bytes | None:
        """See Blobs."""
        if not _DIGEST.match(digest):
            return None
        data = await self._run("read", lambda: self._folder.read(digest))
        _count(data is not None)
        return data

    async def path(self, digest: str) -> Path | None:
        """See Blobs."""
        whole = await self._size(digest, pin=True) is not None
        _count(whole)
        return self._folder.path(digest) if whole else None

    async def size(self, digest: str) -> int | None:
        """See Blobs."""
        return await self._size(digest, pin=False)

    async def _size(self, digest: str, *, pin: bool) -> int | None:
        if not _DIGEST.match(digest):
            return None
        try:
            # One stat of a file used before costs less than a hop to a thread.
            known = self._folder.known(digest, pin=pin)
        except OSError as error:
            raise self._failed("read", error) from error
        return (
            known
            if known is not None
            else await self._run("read", lambda: self._folder.check(digest, pin=pin))
        )

    async def delete(self, digest: str) -> None:
        """See Blobs."""
        if not _DIGEST.match(digest):
            return
        if await self._run("delete", lambda: self._folder.delete(digest)):
            metrics.cache_evictions.labels(reason="purge").inc()

    async def read_local(self, digest: str) -> bytes | None:
        """See Blobs."""
        return await self.read(digest)

    async def delete_local(self, digest: str) -> None:
        """See Blobs."""
        await self.delete(digest)

    async def presigned_url(self, digest: str, ttl_s: int, method: Method = "GET") -> str | None:
        """None: this service itself serves the files."""
        return None

    async def health(self) -> str | None:
        """See Blobs. Writes a small file, at most every two seconds."""
        if time.monotonic() >= self._health_at:
            self._health_at = time.monotonic() + _HEALTH_S
            with contextlib.suppress(StoreFailed):
                await self._run("health", self._folder.try_writing)
        return self._trouble

    async def close(self) -> None:
        """Waits for writes under way."""
        for threads in (self._readers, self._writers):
            await asyncio.to_thread(threads.shutdown)
        self._folder.close()

    async def sweep(self) -> int:
        """See Blobs."""
        return await self._run("upkeep", self._folder.sweep)

    async def trim(self) -> int:
        """See Blobs."""
        return await self._run("upkeep", self._folder.trim)

    async def usage(self) -> Usage:
        """How much is stored, by a look at every file."""
        return await self._run("upkeep", self._folder.usage)

    async def verify(self) -> Verified:
        """Reads and checks every blob; damaged ones are set aside."""
        return await self._run("upkeep", self._folder.verify)

    async def gc(self) -> Collected:
        """Evicts down to the limit, and removes stray temporary files and everything that was set aside."""
        return await self._run("upkeep", self._folder.collect)

    async def _keep(self, digest: str, data: bytes | tuple[Path, int]) -> None:
        """data: bytes, or a temporary file with its open handle."""
        size = len(data) if isinstance(data, bytes) else (await self._run("keep", data[0].stat)).st_size
        self._check_size(size)
        await self._run("keep", lambda: self._folder.store(digest, data, size))
        self._recovered()

    def _check_size(self, size: int) -> None:
        if footprint(size) > self._max_bytes:
            raise StoreFailed("the image is larger than the whole cache", reason="larger_than_cache")

    async def _run(self, operation: str, work: Callable[[], T]) -> T:
        """operation: for metrics, and for the choice of threads. Raises StoreFailed."""
        threads = {"read": self._readers, "upkeep": None}.get(operation, self._writers)
        try:
            result = await asyncio.get_running_loop().run_in_executor(threads, work)
        except OSError as error:
            raise self._failed(operation, error) from error
        if operation == "health":
            self._recovered()
        return result

    def _failed(self, operation: str, error: OSError) -> StoreFailed:
        metrics.store_errors.labels(store="blobs", operation=operation).inc()
        if self._trouble is None:
            logs.get().warning("store.failed", store="blobs", operation=operation, error=str(error))
        if operation in ("keep", "health"):
            reason = (error.strerror or type(error).__name__).lower()
            self._trouble = f"blobs cannot be kept: {reason}"
        return StoreFailed("the disk did not take or give an image", reason=operation)

    def _recovered(self) -> None:
        if self._trouble is not None:
            logs.get().info("store.recovered", store="blobs")
            self._trouble = None


def _count(held: bool) -> None:
    metrics.cache_requests.labels(layer="blobs", result="hit" if held else "miss").inc()
