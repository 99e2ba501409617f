"""Many articles: what is left to do, a bounded number at once, each finished whole before it counts as done."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from mediasvc import logs
from mediasvc.articles.rows import Status
from mediasvc.batch import json_lines, rows
from mediasvc.batch.chunks import Chunk, Done, Task
from mediasvc.batch.options import Options
from mediasvc.batch.output import FindBlob, Output, Read
from mediasvc.batch.report import ReportFile
from mediasvc.batch.rows import ArticleRow, ArticleStatus
from mediasvc.batch.scan import Item, Plan, scan
from mediasvc.effects.disk import files
from mediasvc.effects.index import Index
from mediasvc.effects.journal import Journal, JournalRow
from mediasvc.errors import BodyTooLarge, ExitCode, Failure, MediaError, StoreFailed, kind_of, worst_exit_code

# Small enough that a killed worker costs seconds, large enough that a thread hop or a message is shared by several.
CHUNK_ARTICLES = 8
CHUNK_BYTES = 4 * 1024 * 1024
# Articles of which it is looked up at once whether they are done.
_GROUP_ARTICLES = 256

Run = Callable[[Chunk], Awaitable[tuple[Done, ...]]]


@dataclass(slots=True)
class Totals:
    """What a run has done so far. expected: how many articles there are; None until they are counted."""

    expected: int | None = None
    articles: int = 0
    rewritten: int = 0
    unchanged: int = 0
    failed: int = 0
    known: int = 0
    images: int = 0
    images_failed: int = 0
    image_bytes: int = 0
    exit_codes: list[ExitCode] = field(default_factory=list)

    def add(self, row: ArticleRow, *, known: bool) -> None:
        """Counts one article of the report."""
        self.articles += 1
        self.known += known
        match row.status:
            case ArticleStatus.REWRITTEN:
                self.rewritten += 1
            case ArticleStatus.UNCHANGED:
                self.unchanged += 1
            case ArticleStatus.FAILED:
                self.failed += 1
        for image in row.images:
            self.images += image.status is Status.LOCALISED
            self.images_failed += image.status is Status.FAILED
            self.image_bytes += image.bytes or 0
        self.note(row.exit_code)

    def note(self, code: ExitCode) -> None:
        """Lets an exit code count."""
        if code not in self.exit_codes:
            self.exit_codes.append(code)

    @property
    def exit_code(self) -> ExitCode:
        """The worst of all articles."""
        return worst_exit_code(self.exit_codes)


class Batch:
    """One run over many articles; run it again and it goes on where it stopped."""

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
        """run_chunk: does a chunk, here or elsewhere; this side alone reads and writes the files.

        find_blob: where the blobs of its assets are. Neither is asked while every article is found done.
        totals: what other runs of the command have done before. began: failures from before it are tried again.
        store: names the store that blobs are read from. on_failure: told of every article that failed or that has an image which failed.
        kept_in: folders of what was fetched; on the disk, as the output is, before an article counts as done.
        """
        self.where = where
        self.options = options
        self.index = index
        self.journal = journal
        self.run_chunk = run_chunk
        self.report_file = report_file
        self.on_progress = on_progress
        self.on_failure = on_failure
        self.store = store
        self.totals = totals
        self.began = began
        self._job = hashlib.sha256(os.fsencode(os.path.realpath(where.root))).hexdigest()[:16]
        self._fingerprint = options.fingerprint(where)
        self._output = Output(where, find_blob, options.asset_url, kept_in, reread=options.force)

    async def run(self) -> Totals:
        """All articles. InvalidRequest where there is none, or where the output cannot be written at all."""
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
        """Reports what is done already, and puts everything else into the queue, a chunk at a time."""
        folders: list[ArticleRow] = []
        items = scan(
            self.where,
            spread=True,
            unread=lambda folder, error: folders.append(rows.unread_folder(folder, error)),
        )
        size = min(CHUNK_ARTICLES, self.options.jobs)
        while group := await asyncio.to_thread(_take, items, _GROUP_ARTICLES):
            left = await self._left(group)
            for start in range(0, len(left), size):
                await queue.put(left[start : start + size])
        for row in folders:
            self.totals.note(row.exit_code)
            if self.on_failure is not None:
                self.on_failure(row)

    async def _left(self, items: list[Item]) -> list[Item]:
        """Those that are to be rewritten; the others are reported."""
        recorded = await self._journal_rows(items)
        if not recorded:
            return items
        done = await asyncio.to_thread(self._done_rows, items, recorded)
        # In place, the address of an image that is local is not in the article any more.
        changed = set() if self.where.in_place else await self._changed_sources(list(done.values()))
        left = []
        finished = []
        for item in items:
            row = done.get(item.name)
            if row is None or _is_open(row, changed):
                left.append(item)
            else:
                finished.append(row)
        self._finish(finished, known=True)
        return left

    async def _journal_rows(self, items: list[Item]) -> dict[str, JournalRow]:
        if self.options.force:
            return {}
        return await self._journal_rows_of([item.name for item in items])

    async def _journal_rows_of(self, names: list[str]) -> dict[str, JournalRow]:
        try:
            return await self.journal.some(self._job, names)
        except StoreFailed as error:
            logs.get().warning("journal.unread", why=str(error))
            return {}

    def _done_rows(self, items: list[Item], recorded: Mapping[str, JournalRow]) -> dict[str, ArticleRow]:
        """The rows of articles that are done, by name. Runs in a thread: it reads every input and output."""
        done = {}
        for item in items:
            record = recorded.get(item.name)
            row = self._done_row(item, record) if record is not None else None
            if row is not None:
                done[item.name] = row
        return done

    def _done_row(self, item: Item, record: JournalRow) -> ArticleRow | None:
        """The row of an article that is done: same input, same options, output and assets in place."""
        try:
            found = rows.digest(files.read_whole(item.path, self.options.max_article_bytes).data)
        except MediaError:
            return None
        key, _, settings = record.key.rpartition(" ")
        if self.where.in_place:
            is_same = key.startswith(self._fingerprint) and found == record.digest_out
        else:
            is_same = key == f"{self._fingerprint} {found}" and _digest_of(item.out) == record.digest_out
        row = _recorded_row(record) if is_same else None
        if row is None or (_has_failures(row) and settings != self.options.settings):
            return None
        if not all(_has(item.root, *asset) for asset in _assets(row).items()):
            return None
        # The path of this run; an earlier run may have been given another one.
        return replace(row, path=str(item.path))

    async def _changed_sources(self, done: list[ArticleRow]) -> set[str]:
        """Origins whose original is known to be another one now than when these articles were done."""
        then = {
            image.origin: image.original
            for row in done
            for image in row.images
            if image.status is Status.LOCALISED and image.origin and image.original
        }
        try:
            now = await self.index.digests(list(then))
        except StoreFailed:
            return set()
        return {origin for origin, digest in now.items() if digest not in then[origin]}

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
        tasks = tuple(Task(one.seen.data, one.item.type, self._output.prefix(one.item)) for one in read)
        results = await self.run_chunk(
            Chunk(
                tasks,
                self.options.front_matter,
                self.options.format,
                self.options.default_size,
                self._output.report_prefix(),
                self.options.placeholder,
                self.store,
                self.began,
            )
        )
        made = [rows.finished(one.item, one.seen.data, done) for one, done in zip(read, results, strict=True)]
        earlier = await self._earlier_rows(read)

        def joined(index: int, row: ArticleRow) -> ArticleRow:
            return rows.joined(earlier[index], row, read[index].seen.data) if index in earlier else row

        final = [joined(index, row) for index, row in enumerate(made)]
        async with self._output.prepared(read, results) as ready:
            # Recorded first: a kill must not leave a rewritten article without its undo record.
            await self._record(
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

    async def _earlier_rows(self, read: list[Read]) -> dict[int, ArticleRow]:
        """The rows of earlier runs in place, by index: this run goes on from their output, and its undo record
        leads back to their input."""
        if not self.where.in_place:
            return {}
        recorded = await self._journal_rows_of([one.item.name for one in read])
        found = {}
        for index, one in enumerate(read):
            record = recorded.get(one.item.name)
            row = _recorded_row(record) if record is not None else None
            if row is not None and rows.is_output_of(one.seen.data, row):
                found[index] = row
        return found

    async def _record(self, done: list[tuple[ArticleRow, str]]) -> None:
        """Into the journal: each row with the settings that decided about its images."""
        try:
            await self.journal.record(
                self._job,
                [
                    JournalRow(
                        path=row.out,
                        key=f"{self._fingerprint} {row.digest_in} {settings}",
                        digest_out=row.digest_out or "",
                        report_json=json_lines.to_line(row).decode(),
                    )
                    for row, settings in done
                ],
            )
        except StoreFailed as error:
            # The articles are done all the same; only a later run will not know it.
            logs.get().warning("journal.unkept", why=str(error))

    def _finish(self, done: list[ArticleRow], *, known: bool = False) -> None:
        """Into the report: an article that it names is done."""
        if self.report_file is not None:
            self.report_file.add(done)
        for row in done:
            self.totals.add(row, known=known)
            if self.on_failure is not None and (row.failure or _has_failures(row)):
                self.on_failure(row)
        self.on_progress(self.totals)


def _take(items: Iterator[Item], count: int) -> list[Item]:
    taken = []
    for item in items:
        taken.append(item)
        if len(taken) == count:
            break
    return taken


def _recorded_row(record: JournalRow) -> ArticleRow | None:
    """The row that a run recorded; None where this version cannot read it."""
    try:
        return json_lines.from_line(record.report_json.encode())
    except ValueError:
        return None


def _has_failures(row: ArticleRow) -> bool:
    return any(image.status is Status.FAILED for image in row.images)


def _is_open(row: ArticleRow, changed: set[str]) -> bool:
    """Whether a finished article must be rewritten: a failure was temporary, or an original has changed."""
    return any(
        (image.status is Status.FAILED and kind_of(image.code).is_temporary) or image.origin in changed
        for image in row.images
    )


def _assets(row: ArticleRow) -> dict[str, int | None]:
    """Every file that an article refers to, by name, and its size in bytes where the report has it."""
    sizes: dict[str, int | None] = {}
    for image in row.images:
        shown = image.thumbnail or image.original
        if image.original:
            sizes.setdefault(image.original, image.original_bytes)
        if shown:
            sizes[shown] = image.bytes
    return sizes


def _has(root: str, name: str, size: int | None) -> bool:
    """Whether the file is there, and whole: a power cut may have left a short one behind."""
    try:
        found = os.stat(f"{root}/{name}").st_size  # noqa: PTH116  # as scan
    except OSError:
        return False
    return size is None or found == size


def _parts(read: list[Read]) -> Iterator[list[Read]]:
    """Fewer articles at once where they are large."""
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


def _digest_of(path: Path) -> str | None:
    try:
        return rows.digest(path.read_bytes())
    except OSError:
        return None
