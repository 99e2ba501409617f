"""Runs the chunks of a batch: in this process, or in queue workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import click

from mediasvc import wiring
from mediasvc.batch.chunks import Chunk, Done
from mediasvc.batch.run import Run
from mediasvc.batch.wire import chunk_to_bytes, results_from_bytes
from mediasvc.cli import programs
from mediasvc.config.settings import Settings
from mediasvc.errors import StoreFailed
from mediasvc.startup import keep_what_is_loaded


class Work:
    """Runs chunks.

    Loads and opens its parts on first use: a run that finds all articles finished needs none.
    """

    def __init__(self, settings: Settings, records: "wiring.Records", stack: AsyncExitStack) -> None:
        self._settings = settings
        self._records = records
        self._stack = stack
        self._opening = asyncio.Lock()
        self._parts: wiring.Parts | None = None
        self._elsewhere: Run | None = None

    async def run_chunk(self, chunk: Chunk) -> tuple[Done, ...]:
        """See Batch.__init__."""
        if self._settings.queue_url:
            return await (await self._queue())(chunk)
        parts = await self._opened()
        await parts.begin_work()
        return await programs.rewrite_chunk(parts.articles, chunk)

    async def find_blob(self, digest: str) -> Path | None:
        """See Batch.__init__."""
        return await (await self._opened()).blobs.path(digest)

    async def _opened(self) -> "wiring.Parts":
        async with self._opening:
            if self._parts is None:
                wiring.share_one_heap()
                parts = wiring.open_parts(self._settings, self._records, image_work=False)
                self._parts = await self._stack.enter_async_context(parts)
                keep_what_is_loaded()
        return self._parts

    async def _queue(self) -> Run:
        async with self._opening:
            if self._elsewhere is None:
                self._elsewhere = await _ask(self._settings.queue_url, self._stack)
        return self._elsewhere


@asynccontextmanager
async def open_work(settings: Settings, records: "wiring.Records") -> AsyncIterator[Work]:
    """A Work whose parts are closed at the end of the block, before the records."""
    async with AsyncExitStack() as stack:
        yield Work(settings, records, stack)


async def _ask(queue_url: str, stack: AsyncExitStack) -> Run:
    def on_silence() -> None:
        click.echo(
            "mediasvc: no queue worker has answered yet; is `mediasvc worker` running on this queue?",
            err=True,
        )

    asking = await stack.enter_async_context(wiring.AskingSide(queue_url, on_silence=on_silence))

    async def run_chunk(chunk: Chunk) -> tuple[Done, ...]:
        try:
            results = results_from_bytes(await asking.do(chunk_to_bytes(chunk)))
            if len(results) != len(chunk.tasks):
                raise ValueError("not one result for each article")
            return results
        except (ValueError, KeyError, TypeError) as error:
            raise StoreFailed(
                "cannot read the result of a queue worker; run the same version of mediasvc everywhere"
            ) from error

    return run_chunk
