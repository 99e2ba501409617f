"""A run over many articles: skips the finished ones, rewrites a bounded number at once, and reports each."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

from mediasvc.batch import rows
from mediasvc.batch.chunks import Chunk, Done, Task
from mediasvc.batch.finished import Finished
from mediasvc.batch.options import Options
from mediasvc.batch.output import FindBlob, Output, Read
from mediasvc.batch.report import ReportFile
from mediasvc.batch.rows import ArticleRow
from mediasvc.batch.scan import Item, Plan, scan
from mediasvc.batch.totals import Totals
from mediasvc.effects.disk import files
from mediasvc.effects.index import Index
from mediasvc.effects.journal import Journal
from mediasvc.errors import BodyTooLarge, Failure, MediaError

# Small enough that a killed queue worker costs seconds, large enough to share the cost of a message.
CHUNK_ARTICLES = 8
CHUNK_BYTES = 4 * 1024 * 1024
# How many articles to look up in the journal per query.
_GROUP_ARTICLES = 256

Run = Callable[[Chunk], Awaitable[tuple[Done, ...]]]


class Batch:
    """One run over the articles of one plan. Run again, it goes on where it stopped."""

    def __init__(
        self,
        *,
        where: Plan,
        options: Options,
        index: Index,
        journal: Journal,
        run_chunk: Run,
        find_blob: FindBlob,
        report_file: ReportFile | None,
        totals: Totals,
        began: datetime,
        on_progress: Callable[[Totals], None],
        store: str = "",
        on_failure: Callable[[ArticleRow], None] | None = None,
        kept_in: Iterable[Path] = (),
    ) -> None:
        """run_chunk: rewrites a chunk, in this process or elsewhere. This class alone reads and writes files.
        find_blob: where the blob of an asset is. A run that finds every article finished calls neither of the
        two.
        totals: counts of the command so far; this run adds to them.
        began: failures from before this moment are retried.
        store: name of the store that blobs are read from.
        on_failure: called with each row that failed or that has a failed image.
        kept_in: folders of fetched blobs; synced to the disk, like the output, before an article counts as
        done.
        """
        self.where = where
        self.options = options
        self.run_chunk = run_chunk
        self.report_file = report_file
        self.on_progress = on_progress
        self.on_failure = on_failure
        self.store = store
        self.totals = totals
        self.began = began
        self._finished = Finished(where, options, index, journal)
        self._output = Output(where, find_blob, options.asset_url, kept_in, reread=options.force)

    async def run(self) -> Totals:
        """Rewrites all articles. Raises InvalidRequest where the output cannot be written at all."""
        chunks_at_once = max(1, -(-self.options.jobs // CHUNK_ARTICLES))
        queue: asyncio.Queue[list[Item] | None] = asyncio.Queue(chunks_at_once)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(chunks_at_once):
                    group.create_task(self._consume(queue))
                await self._fill(queue)
                for _ in range(chunks_at_once):
                    await queue.put(None)
        finally:
            await self._output.close()
        return self.totals

    async def _fill(self, queue: asyncio.Queue[list[Item] | None]) -> None:
        """Reports finished articles and puts all others into the queue, a chunk at a time."""
        folders: list[ArticleRow] = []
        items = scan(
            self.where,
            spread=True,
            unread=lambda folder, error: folders.append(rows.unread_folder(folder, error)),
        )
        size = min(CHUNK_ARTICLES, self.options.jobs)
        while group := await asyncio.to_thread(lambda: list(islice(items, _GROUP_ARTICLES))):
            left, finished = await self._finished.sort(group)
            self._finish(finished, known=True)
            for start in range(0, len(left), size):
                await queue.put(left[start : start + size])
        for row in folders:
            self.totals.note(row.exit_code)
            if self.on_failure is not None:
                self.on_failure(row)

    async def _consume(self, queue: asyncio.Queue[list[Item] | None]) -> None:
        while (items := await queue.get()) is not None:
            read, unread = await asyncio.to_thread(self._read_all, items)
            self._finish(unread)
            for part in _parts(read):
                await self._rewrite(part)

    def _read_all(self, items: list[Item]) -> tuple[list[Read], list[ArticleRow]]:
        """The articles of a chunk, and the rows of those that cannot be read. Runs in a thread."""
        read = []
        unread = []
        for item in items:
            try:
                read.append(Read(item, files.read_whole(item.path, self.options.max_article_bytes)))
            except MediaError as error:
                unread.append(rows.unread(item, Failure.of(error)))
                if isinstance(error, BodyTooLarge) and not self.where.in_place:
                    self._output.copy_unread(item)
        return read, unread

    async def _rewrite(self, read: list[Read]) -> None:
        results = await self.run_chunk(self._chunk(read))
        made = [rows.of_done(one.item, one.seen.data, done) for one, done in zip(read, results, strict=True)]
        earlier = await self._finished.earlier_rows(read)

        def joined(index: int, row: ArticleRow) -> ArticleRow:
            return rows.joined(earlier[index], row, read[index].seen.data) if index in earlier else row

        final = [joined(index, row) for index, row in enumerate(made)]
        async with self._output.prepared(read, results) as ready:
            # Recorded first: a kill must not leave a rewritten article without its undo record.
            await self._finished.record(
                [
                    (row, done.settings or self.options.settings)
                    for index, (row, done) in enumerate(zip(final, results, strict=True))
                    if index not in ready.failures and not done.failure
                ]
            )
            await self._output.publish(ready)
        for index, failure in ready.failures.items():
            final[index] = joined(index, rows.unwritten(made[index], failure))
        self._finish(final)

    def _chunk(self, read: list[Read]) -> Chunk:
        return Chunk(
            tasks=tuple(Task(one.seen.data, one.item.type, self._output.prefix(one.item)) for one in read),
            front_matter=self.options.front_matter,
            format=self.options.format,
            default_size=self.options.default_size,
            report_prefix=self._output.report_prefix(),
            placeholder=self.options.placeholder,
            links=self.options.links,
            leave=self.options.leave,
            store=self.store,
            began=self.began,
            base_url=self.options.base_url,
        )

    def _finish(self, done: list[ArticleRow], *, known: bool = False) -> None:
        """Reports and counts articles. An article that the report names is done."""
        if self.report_file is not None:
            self.report_file.add(done)
        for row in done:
            self.totals.add(row, known=known)
            if self.on_failure is not None and (row.failure or row.has_failed_images):
                self.on_failure(row)
        self.on_progress(self.totals)


def _parts(read: list[Read]) -> Iterator[list[Read]]:
    """The articles in parts of at most CHUNK_BYTES; a larger article has a part of its own."""
    part: list[Read] = []
    size = 0
    for one in read:
        if part and size + len(one.seen.data) > CHUNK_BYTES:
            yield part
            part, size = [], 0
        part.append(one)
        size += len(one.seen.data)
    if part:
        yield part
