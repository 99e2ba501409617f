"""The articles that earlier runs finished, as the journal records them and the disk confirms."""

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mediasvc import logs
from mediasvc.articles.rows import Status
from mediasvc.batch import rows
from mediasvc.batch.json_lines import from_line, to_line
from mediasvc.batch.options import Options
from mediasvc.batch.output import Read
from mediasvc.batch.rows import ArticleRow
from mediasvc.batch.scan import Item, Plan
from mediasvc.effects.disk import files
from mediasvc.effects.index import Index
from mediasvc.effects.journal import Journal, JournalRow
from mediasvc.errors import MediaError, StoreFailed, kind_of


class Finished:
    """Finished articles of one plan. A journal that fails costs time, never an article."""

    def __init__(self, where: Plan, options: Options, index: Index, journal: Journal) -> None:
        """index: knows which originals have changed since."""
        self._where = where
        self._options = options
        self._index = index
        self._journal = journal
        self._job = hashlib.sha256(os.fsencode(os.path.realpath(where.root))).hexdigest()[:16]
        self._fingerprint = options.fingerprint(where)

    async def sort(self, items: list[Item]) -> tuple[list[Item], list[ArticleRow]]:
        """The articles that must be rewritten, and the rows of the others."""
        recorded = {} if self._options.force else await self._recorded([item.name for item in items])
        if not recorded:
            return items, []
        done = await asyncio.to_thread(self._done_rows, items, recorded)
        # In place, an article no longer has the addresses of its local images.
        changed = set() if self._where.in_place else await self._changed_origins(list(done.values()))
        finished = {name: row for name, row in done.items() if not _is_open(row, changed)}
        left = [item for item in items if item.name not in finished]
        return left, [finished[item.name] for item in items if item.name in finished]

    async def earlier_rows(self, read: list[Read]) -> dict[int, ArticleRow]:
        """The rows of earlier runs in place, by index in `read`.

        This run goes on from their output, and its undo record leads back to their input.
        """
        if not self._where.in_place:
            return {}
        recorded = await self._recorded([one.item.name for one in read])
        found = {}
        for index, one in enumerate(read):
            record = recorded.get(one.item.name)
            row = _row_of(record) if record is not None else None
            if row is not None and rows.is_output_of(one.seen.data, row):
                found[index] = row
        return found

    async def record(self, done: list[tuple[ArticleRow, str]]) -> None:
        """Records rows, each with the fingerprint of the settings that decided about its images."""
        try:
            await self._journal.record(
                self._job,
                [
                    JournalRow(
                        path=row.out,
                        key=f"{self._fingerprint} {row.digest_in} {settings}",
                        digest_out=row.digest_out or "",
                        report_json=to_line(row).decode(),
                    )
                    for row, settings in done
                ],
            )
        except StoreFailed as error:
            # The articles are finished all the same; only a later run will rewrite them again.
            logs.get().warning("journal.unkept", why=str(error))

    async def _recorded(self, names: Sequence[str]) -> dict[str, JournalRow]:
        try:
            return await self._journal.some(self._job, names)
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
            found = rows.digest(files.read_whole(item.path, self._options.max_article_bytes).data)
        except MediaError:
            return None
        key, _, settings = record.key.rpartition(" ")
        if self._where.in_place:
            is_same = key.startswith(self._fingerprint) and found == record.digest_out
        else:
            is_same = key == f"{self._fingerprint} {found}" and _digest_of(item.out) == record.digest_out
        row = _row_of(record) if is_same else None
        if row is None or (row.has_failed_images and settings != self._options.settings):
            return None
        if not all(_has(item.root, *asset) for asset in _assets(row).items()):
            return None
        # The path as given in this run; an earlier run may have spelled it differently.
        return replace(row, path=str(item.path))

    async def _changed_origins(self, done: list[ArticleRow]) -> set[str]:
        """The origins whose original is another one now than when these articles were rewritten."""
        then = {
            image.origin: image.original
            for row in done
            for image in row.images
            if image.status is Status.LOCALISED and image.origin and image.original
        }
        try:
            now = await self._index.digests(list(then))
        except StoreFailed:
            return set()
        return {origin for origin, digest in now.items() if digest not in then[origin]}


def _row_of(record: JournalRow) -> ArticleRow | None:
    """The row that a run recorded; None where this version cannot read it."""
    try:
        return from_line(record.report_json.encode())
    except ValueError:
        return None


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
    """Whether the file is there and whole: a power cut may have left a short one."""
    try:
        found = os.stat(f"{root}/{name}").st_size  # noqa: PTH116  # as in scan: a Path for each file is slow
    except OSError:
        return False
    return size is None or found == size


def _digest_of(path: Path) -> str | None:
    try:
        return rows.digest(path.read_bytes())
    except OSError:
        return None
