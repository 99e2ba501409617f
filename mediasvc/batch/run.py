"""Many articles: what is left to do, a bounded number at once, each finished whole before it counts as done."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mediasvc import logs
from mediasvc.batch import report
from mediasvc.batch.chunks import Chunk, Done, Task, exit_code_of
from mediasvc.batch.options import Options
from mediasvc.batch.output import FindBlob, Output, Read
from mediasvc.batch.report import ReportFile, Row
from mediasvc.batch.scan import Item, Plan, scan
from mediasvc.effects.disk import files
from mediasvc.effects.index import Index
from mediasvc.effects.journal import Journal, JournalRow
from mediasvc.errors import BodyTooLarge, MediaError, StoreFailed, kind_of, worst_exit_code

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
    exit_codes: list[int] = field(default_factory=list)

    def add(self, told: Row, *, known: bool) -> None:
        """Counts one article of the report."""
        self.articles += 1
        self.known += known
        match told["status"]:
            case "rewritten":
                self.rewritten += 1
            case "unchanged":
                self.unchanged += 1
            case _:
                self.failed += 1
        self.images += told["counts"]["localised"]
        self.images_failed += told["counts"]["failed"]
        self.image_bytes += sum(image.get("bytes") or 0 for image in told["images"])
        code = _exit_code(told)
        if code not in self.exit_codes:
            self.exit_codes.append(code)

    @property
    def exit_code(self) -> int:
        """The worst of all articles."""
        return worst_exit_code(self.exit_codes)


def _exit_code(told: Row) -> int:
    error = told["error"]
    kind = kind_of(error) if error else None
    return exit_code_of(told["images"], (error, "", kind.exit_code) if kind else None)


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
        on_failure: Callable[[Row], None] | None = None,
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
        folders: list[Row] = []
        items = scan(
            self.where,
            spread=True,
            unread=lambda folder, error: folders.append(report.unread_folder(folder, error)),
        )
        size = min(CHUNK_ARTICLES, self.options.jobs)
        while group := await asyncio.to_thread(_take, items, _GROUP_ARTICLES):
            left = await self._left(group)
            for start in range(0, len(left), size):
                await queue.put(left[start : start + size])
        for told in folders:
            self.totals.exit_codes.append(_exit_code(told))
            if self.on_failure is not None:
                self.on_failure(told)

    async def _left(self, items: list[Item]) -> list[Item]:
        """Those that are to be rewritten; the others are reported."""
        rows = await self._journal_rows(items)
        if not rows:
            return items
        done = await asyncio.to_thread(self._done_rows, items, rows)
        # In place, the address of an image that is local is not in the article any more.
        changed = set() if self.where.in_place else await self._changed_sources(list(done.values()))
        left = []
        finished = []
        for item in items:
            told = done.get(item.name)
            if told is None or _is_open(told, changed):
                left.append(item)
            else:
                finished.append(told)
        self._finish(finished, known=True)
        return left

    async def _journal_rows(self, items: list[Item]) -> dict[str, JournalRow]:
        if self.options.force:
            return {}
        try:
            return await self.journal.some(self._job, [item.name for item in items])
        except StoreFailed as error:
            logs.get().warning("journal.unread", why=str(error))
            return {}

    def _done_rows(self, items: list[Item], rows: Mapping[str, JournalRow]) -> dict[str, Row]:
        """In a thread: checks what the journal says of articles against the disk; the report's objects by name."""
        done = {}
        for item in items:
            row = rows.get(item.name)
            told = self._done_row(item, row) if row is not None else None
            if told is not None:
                done[item.name] = told
        return done

    def _done_row(self, item: Item, row: JournalRow) -> Row | None:
        """The report's object of an article that is done: same input, same options, output and assets in place."""
        try:
            found = report.digest(files.read_whole(item.path, self.options.max_article_bytes).data)
        except MediaError:
            return None
        key, _, settings = row.key.rpartition(" ")
        if self.where.in_place:
            is_same = key.startswith(self._fingerprint) and found == row.digest_out
        else:
            is_same = key == f"{self._fingerprint} {found}" and _digest_of(item.out) == row.digest_out
        if not is_same:
            return None
        # As it is named now, which may be in another way than it was then.
        told = report.from_line(row.report_json.encode()) | {"path": str(item.path)}
        if told["counts"]["failed"] and settings != self.options.settings:
            return None
        return told if all(_has(item.root, *asset) for asset in _assets(told).items()) else None

    async def _changed_sources(self, rows: list[Row]) -> set[str]:
        """Origins whose original is known to be another one now than when these articles were done."""
        then = {
            image["origin"]: image["original"]
            for told in rows
            for image in told["images"]
            if image["status"] == "localised" and image["origin"] and image["original"]
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

    def _read_all(self, items: list[Item]) -> tuple[list[Read], list[Row]]:
        """In a thread: the articles of a chunk, and the report's objects of those that cannot be read."""
        read = []
        unread = []
        for item in items:
            try:
                read.append(Read(item, files.read_whole(item.path, self.options.max_article_bytes)))
            except MediaError as error:
                unread.append(report.unread(item, error.code, str(error)))
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
        rows = [report.row(one.item, one.seen.data, done) for one, done in zip(read, results, strict=True)]
        before = await self._before(read)

        def whole(place: int, told: Row) -> Row:
            return report.joined(before[place], told, read[place].seen.data) if place in before else told

        wholes = [whole(place, told) for place, told in enumerate(rows)]
        async with self._output.prepared(read, results) as ready:
            # First: a kill must not leave a rewritten article whose way back nobody knows.
            await self._record(
                [
                    (told, done.settings or self.options.settings)
                    for told, done, trouble in zip(wholes, results, ready.troubles, strict=True)
                    if not trouble and not done.error
                ]
            )
            await self._output.publish(ready)
        for place, trouble in enumerate(ready.troubles):
            if trouble:
                wholes[place] = whole(place, report.unwritten(rows[place], trouble))
        self._finish(wholes)

    async def _before(self, read: list[Read]) -> dict[int, Row]:
        """What earlier runs in place have done to articles, by their place: a run goes on from there, and the way back
        leads past it."""
        if not self.where.in_place:
            return {}
        try:
            rows = await self.journal.some(self._job, [one.item.name for one in read])
        except StoreFailed as error:
            logs.get().warning("journal.unread", why=str(error))
            return {}
        found = {}
        for place, one in enumerate(read):
            row = rows.get(one.item.name)
            told = report.earlier(row.report_json, one.seen.data) if row is not None else None
            if told is not None:
                found[place] = told
        return found

    async def _record(self, rows: list[tuple[Row, str]]) -> None:
        """With the settings that decided about the images of each."""
        try:
            await self.journal.record(
                self._job,
                [
                    JournalRow(
                        path=told["out"],
                        key=f"{self._fingerprint} {told['digest_in']} {settings}",
                        digest_out=told["digest_out"],
                        report_json=report.to_line(told).decode(),
                    )
                    for told, settings in rows
                ],
            )
        except StoreFailed as error:
            # The articles are done all the same; only a later run will not know it.
            logs.get().warning("journal.unkept", why=str(error))

    def _finish(self, rows: list[Row], *, known: bool = False) -> None:
        """Into the report: an article that it names is done."""
        if self.report_file is not None:
            self.report_file.add(rows)
        for told in rows:
            self.totals.add(told, known=known)
            if self.on_failure is not None and (told["error"] or told["counts"]["failed"]):
                self.on_failure(told)
        self.on_progress(self.totals)


def _take(items: Iterator[Item], count: int) -> list[Item]:
    taken = []
    for item in items:
        taken.append(item)
        if len(taken) == count:
            break
    return taken


def _is_open(told: Row, changed: set[str]) -> bool:
    """Whether a finished article is to be done again: an image may be got this time, or is another one now."""
    for image in told["images"]:
        if image["status"] == "failed" and kind_of(image["code"]).is_temporary:
            return True
        if image["origin"] in changed:
            return True
    return False


def _assets(told: Row) -> dict[str, int | None]:
    """Every file that an article of the report refers to, by name, and its size in bytes where the report has it."""
    sizes: dict[str, int | None] = {}
    for image in told["images"]:
        shown = image.get("thumbnail") or image.get("original")
        if image.get("original"):
            sizes.setdefault(image["original"], image.get("original_bytes"))
        if shown:
            sizes[shown] = image["bytes"]
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
        return report.digest(path.read_bytes())
    except OSError:
        return None
