"""Bytes on their way into a folder of blobs: few in memory, many in a temporary file."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from pathlib import Path

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO

from mediasvc import metrics
from mediasvc.errors import StoreFailed


class FileIncoming:
    """See Incoming; `discard` ends it. One writer at a time."""

    def __init__(
        self,
        threads: Executor,
        temporary: Callable[[], tuple[Path, int]],
        keep: Callable[[str, bytes | tuple[Path, int]], Coroutine[None, None, None]],
        spill_bytes: int,
    ) -> None:
        """temporary: makes a new file; its path and handle.

        keep: stores bytes, or such a file, under a digest.
        """
        self._threads = threads
        self._temporary = temporary
        self._keep = keep
        self._spill_bytes = spill_bytes
        self._hash = hashlib.sha256()
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._path: Path | None = None
        self._file: AsyncFileIO | None = None
        self._written = 0
        self._spills = True
        self._pending: asyncio.Future[None] | None = None

    async def write(self, chunk: bytes) -> None:
        """See Incoming."""
        self._hash.update(chunk)
        self._chunks.append(chunk)
        self._buffered += len(chunk)
        if self._spills and self._buffered >= self._spill_bytes:
            await self._finish(self._spill())

    async def restart(self) -> None:
        """See Incoming."""
        self._hash = hashlib.sha256()
        self._chunks.clear()
        self._buffered = 0
        await self.discard()

    async def source(self) -> Path | bytes:
        """See Incoming."""
        if self._file is not None and self._buffered:
            await self._finish(self._spill())
        return self._path if self._path is not None else self._joined()

    def digest(self) -> str:
        """See Incoming."""
        return self._hash.hexdigest()

    async def keep(self) -> str:
        """See Incoming."""
        digest = self.digest()
        source = await self.source()
        if isinstance(source, bytes):
            await self._finish(self._keep(digest, source))
        elif self._file is not None:
            await self._finish(self._keep(digest, (source, self._file.fileno())))
        return digest

    async def discard(self) -> None:
        """Removes a temporary file that was not kept."""
        if self._pending is not None and not self._pending.done():
            # Its thread still uses the handle, although the caller was cancelled.
            await asyncio.wait({self._pending})
        file, path = self._file, self._path
        self._file = self._path = None
        self._written = 0
        if file is not None and path is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                await file.close()

    async def _finish(self, work: Coroutine[None, None, None]) -> None:
        """Waits for work that goes on to its end even when the caller is cancelled."""
        self._pending = asyncio.ensure_future(work)
        self._pending.add_done_callback(_retrieve)
        await asyncio.shield(self._pending)

    def _joined(self) -> bytes:
        if len(self._chunks) != 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    async def _spill(self) -> None:
        """Moves the bytes in memory to the file; where the disk does not take them, all bytes come back to
        memory.
        """
        data = self._joined()
        try:
            if self._file is None:
                loop = asyncio.get_running_loop()
                self._path, handle = await loop.run_in_executor(self._threads, self._temporary)
                self._file = await aiofiles.open(handle, "r+b", buffering=0, executor=self._threads)
            rest = memoryview(data)
            while rest:
                rest = rest[await self._file.write(rest) :]
        except OSError:
            metrics.store_errors.labels(store="blobs", operation="spill").inc()
            await self._come_back(data)
        else:
            self._written += len(data)
            self._chunks.clear()
            self._buffered = 0

    async def _come_back(self, data: bytes) -> None:
        self._spills = False
        file, path, written = self._file, self._path, self._written
        self._file = self._path = None
        self._written = 0
        if file is None or path is None:
            return
        try:
            await file.seek(0)
            earlier = await file.read(written)
        except OSError as error:
            raise StoreFailed("the disk did not give back an image", reason="spill") from error
        finally:
            path.unlink(missing_ok=True)
            await file.close()
        if len(earlier) != written:
            raise StoreFailed("the disk did not give back an image", reason="spill")
        self._chunks = [earlier, data]
        self._buffered = len(earlier) + len(data)


def _retrieve(task: asyncio.Future[None]) -> None:
    if not task.cancelled():
        task.exception()  # a caller that was cancelled does not read it
