"""Writes the output of a run: files are synced to the disk, then renamed, assets before articles."""

import asyncio
import filecmp
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec
from urllib.parse import quote

from mediasvc import logs
from mediasvc.articles.rows import Asset
from mediasvc.batch.chunks import Done
from mediasvc.batch.rows import digest
from mediasvc.batch.scan import Item, Plan
from mediasvc.effects.disk import files
from mediasvc.effects.disk.sync import Disks, device_of
from mediasvc.errors import Failure, MediaError, StoreFailed

_NAMES_KEPT = 4096
_STORE_READS_AT_ONCE = 16
# Staged files stay open until they are renamed; these two limits bound the open descriptors.
_STAGED_FILES_A_CHUNK = 32
_CHUNKS_AT_ONCE = 8

P = ParamSpec("P")
FindBlob = Callable[[str], Awaitable[Path | None]]  # by digest; as Blobs.path


@dataclass(frozen=True, slots=True)
class Read:
    """An article that was read: its item, its bytes and its mode."""

    item: Item
    seen: files.Seen


@dataclass(slots=True)
class Ready:
    """The files of a chunk that are not renamed yet.

    needs: names of each article's assets.
    assets: staged assets, by name.
    articles: staged articles, by index in read.
    claimed: names of the assets that this chunk alone writes.
    others: assets that another chunk writes; the result is None, or the reason why the asset is lost.
    lost: why an asset cannot be written, by name.
    failures: articles that cannot be written, by index in read.
    """

    read: list[Read]
    needs: list[list[str]]
    assets: dict[str, files.Staged] = field(default_factory=dict)
    articles: dict[int, files.Staged] = field(default_factory=dict)
    claimed: list[str] = field(default_factory=list)
    others: dict[str, asyncio.Future[str | None]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)

    def fail(self, index: int, error: MediaError) -> None:
        """Notes that an article cannot be written: it stays as it was."""
        self.failures[index] = Failure.of(error)

    def fail_those_without(self) -> None:
        """Fails the articles whose assets are lost."""
        for index, names in enumerate(self.needs):
            why = next((self.lost[name] for name in names if name in self.lost), None)
            if why is not None and index not in self.failures:
                self.fail(index, StoreFailed(why))

    def lose(self, error: StoreFailed) -> None:
        """Fails everything staged: none of it is sure to be on the disk."""
        for index in self.articles:
            self.fail(index, error)
        self.lost |= dict.fromkeys(self.assets, str(error))
        self.fail_those_without()
        self.discard()

    def publish_assets(self) -> None:
        """Renames the staged assets. Runs in a thread."""
        while self.assets:
            name, staged = self.assets.popitem()
            try:
                files.publish(staged)
            except StoreFailed as error:
                self.lost[name] = str(error)

    def publish_articles(self, in_place: bool) -> None:
        """Renames the articles that have all of their assets. Runs in a thread."""
        self.fail_those_without()
        for index, staged in self.articles.items():
            if index in self.failures:
                continue
            one = self.read[index]
            try:
                if in_place and not files.is_unchanged(one.item.path, one.seen):
                    shown = files.shown(one.item.path)
                    raise StoreFailed(
                        f"{shown} was changed by another program meanwhile; run the command again"
                    )
                files.publish(staged)
            except StoreFailed as error:
                self.fail(index, error)

    def discard(self) -> None:
        """Removes the staged files that were not renamed."""
        for staged in (*self.assets.values(), *self.articles.values()):
            files.discard(staged)
        self.assets.clear()
        self.articles.clear()


class Output:
    """The writer of one plan's output."""

    def __init__(
        self,
        where: Plan,
        find_blob: FindBlob,
        asset_url: str | None,
        also: Iterable[Path] = (),
        *,
        reread: bool = False,
    ) -> None:
        """find_blob: the file of a stored blob.
        asset_url: the text before asset names in articles; None for a relative path.
        also: folders that are synced to the disk with the output.
        reread: compare the bytes of existing assets with their names, not only their size.
        """
        self.where = where
        self._disks = Disks([where.root, where.assets, *also])
        self._apart = where.in_place and device_of(where.assets) != device_of(where.root)
        self._chunks = asyncio.Semaphore(_CHUNKS_AT_ONCE)
        self._placing: dict[str, asyncio.Future[str | None]] = {}
        self._wrote = False
        self._find_blob = find_blob
        self._asking = asyncio.Semaphore(_STORE_READS_AT_ONCE)
        self._asset_url = asset_url
        self._reread = reread
        self._whole: set[str] = set()
        self._prefixes: dict[Path, str] = {}

    def prefix(self, item: Item) -> str:
        """The text before asset names in an article."""
        if self._asset_url is not None:
            return self._asset_url.rstrip("/") + "/"
        folder = item.out.parent
        prefix = self._prefixes.get(folder)
        if prefix is None:
            relative = os.path.relpath(os.path.realpath(self.where.assets), os.path.realpath(folder))
            prefix = quoted(relative.replace(os.sep, "/")) + "/"
            if len(self._prefixes) > _NAMES_KEPT:
                self._prefixes.clear()
            self._prefixes[folder] = prefix
        return prefix

    def report_prefix(self) -> str:
        """The text before asset names in the report."""
        relative = os.path.relpath(os.path.realpath(self.where.assets), os.path.realpath(self.where.root))
        return relative.replace(os.sep, "/") + "/"

    @asynccontextmanager
    async def prepared(self, read: list[Read], results: tuple[Done, ...]) -> AsyncIterator[Ready]:
        """Stages a chunk's files: whole and synced to the disk, so that no name ever leads to a partial file.

        Files that the caller did not publish are removed at the end of the block.
        """
        async with self._chunks:
            ready = Ready(read, [[asset.name for asset in done.assets] for done in results])
            try:
                await self._prepare(ready, results)
                yield ready
            finally:
                ready.discard()
                self._report(ready, "the run ended before it had written an image")

    async def _prepare(self, ready: Ready, results: tuple[Done, ...]) -> None:
        assets = {asset.name: asset for done in results for asset in done.assets}
        missing = await asyncio.to_thread(self._missing, tuple(assets.values()))
        missing = self._claim(missing, ready)
        sources = await self._sources(missing, ready)
        missing = [asset for asset in missing if asset.name not in ready.lost]
        while len(missing) + len(results) > _STAGED_FILES_A_CHUNK:
            some, missing = missing[:_STAGED_FILES_A_CHUNK], missing[_STAGED_FILES_A_CHUNK:]
            await _to_its_end(self._stage_assets, ready, some, sources)
            await self._settle(ready)
            await _to_its_end(ready.publish_assets)
        await _to_its_end(self._stage, ready, missing, sources, results)
        await self._settle(ready)

    async def _settle(self, ready: Ready) -> None:
        """Syncs the staged files to the disk, or marks them as lost."""
        if ready.assets or ready.articles:
            self._wrote = True
            try:
                await self._disks.settle()
            except StoreFailed as error:
                ready.lose(error)

    def _claim(self, missing: list[Asset], ready: Ready) -> list[Asset]:
        """The assets that no other chunk is writing: an image of many articles is written once."""
        mine = []
        for asset in missing:
            placing = self._placing.get(asset.name)
            if placing is not None:
                ready.others[asset.name] = placing
            else:
                self._placing[asset.name] = asyncio.get_running_loop().create_future()
                ready.claimed.append(asset.name)
                mine.append(asset)
        return mine

    def _report(self, ready: Ready, otherwise: str | None = None) -> None:
        """Reports claimed assets to the chunks that wait for them. otherwise: why they are lost; None: they
        are there.
        """
        while ready.claimed:
            name = ready.claimed.pop()
            self._placing.pop(name).set_result(ready.lost.get(name, otherwise))

    async def publish(self, ready: Ready) -> None:
        """Renames the files: the images first, then the articles that refer to them."""
        await _to_its_end(ready.publish_assets)
        self._report(ready)
        if ready.others:
            await asyncio.wait(ready.others.values())
            placed = {name: future.result() for name, future in ready.others.items()}
            ready.lost |= {name: why for name, why in placed.items() if why is not None}
        if self._apart:
            # One file system keeps the order of renames; between two file systems there is no such promise.
            await self._settle(ready)
        await _to_its_end(ready.publish_articles, self.where.in_place)

    async def close(self) -> None:
        """Syncs the names to the disk. Raises StoreFailed."""
        try:
            if self._wrote:
                await self._disks.settle()
        finally:
            self._disks.close()

    async def _sources(self, missing: list[Asset], ready: Ready) -> dict[str, Path]:
        """The blob files of the assets whose bytes did not come with the result."""
        stored = [asset for asset in missing if asset.data is None]
        # Several at once: with a store on another machine, each is a round trip.
        found = await asyncio.gather(*(self._source(asset) for asset in stored))
        sources: dict[str, Path] = {}
        for asset, source in zip(stored, found, strict=True):
            if isinstance(source, Path):
                sources[asset.name] = source
            else:
                ready.lost[asset.name] = source
        return sources

    async def _source(self, asset: Asset) -> Path | str:
        """The file of a stored blob, or the reason why there is none."""
        try:
            async with self._asking:
                source = await self._find_blob(asset.digest)
        except StoreFailed as error:
            return str(error)
        return (
            source
            or "the cache removed an image before the run had copied it; raise MEDIASVC_CACHE_MAX_BYTES"
        )

    def _missing(self, assets: tuple[Asset, ...]) -> list[Asset]:
        return [asset for asset in assets if not self._is_there(asset)]

    def _is_there(self, asset: Asset) -> bool:
        path = self.where.assets / asset.name
        with suppress(OSError):
            if path.stat().st_size != asset.bytes:
                return False
            if not self._reread or asset.name in self._whole:
                return True
            if digest(path.read_bytes()) == asset.digest:
                if len(self._whole) > _NAMES_KEPT:
                    self._whole.clear()
                self._whole.add(asset.name)
                return True
        return False

    def _stage(
        self, ready: Ready, assets: list[Asset], sources: Mapping[str, Path], results: tuple[Done, ...]
    ) -> None:
        self._stage_assets(ready, assets, sources)
        ready.fail_those_without()
        for index, (one, done) in enumerate(zip(ready.read, results, strict=True)):
            # With --out, an article that failed is written unchanged: the output tree is complete.
            if index in ready.failures or (self.where.in_place and done.content is None):
                continue
            try:
                staged = self._stage_article(one, one.seen.data if done.content is None else done.content)
            except MediaError as error:
                ready.fail(index, error)
            else:
                if staged is not None:
                    ready.articles[index] = staged

    def _stage_assets(self, ready: Ready, assets: list[Asset], sources: Mapping[str, Path]) -> None:
        for asset in assets:
            target = self.where.assets / asset.name
            try:
                if asset.data is not None:
                    staged = files.stage(target, asset.data, settled=self._disks.covers)
                else:
                    staged = files.stage_copy(sources[asset.name], target, settled=self._disks.covers)
            except StoreFailed as error:
                ready.lost[asset.name] = str(error)
            else:
                ready.assets[asset.name] = staged

    def _stage_article(self, one: Read, content: bytes) -> files.Staged | None:
        """The staged article; None where the output file has this content already."""
        item = one.item
        if not self.where.in_place and not leads_inside(item.out, item.root):
            raise StoreFailed(f"{files.shown(item.out)} is behind a link that leads out of the output folder")
        if not self.where.in_place and _holds(item.out, content):
            return None
        return files.stage(item.out, content, one.seen.mode, settled=self._disks.covers)

    def copy_unread(self, item: Item) -> None:
        """Copies an article that is too large to rewrite: with --out, the output tree is complete."""
        try:
            if not leads_inside(item.out, item.root):
                raise StoreFailed(
                    f"{files.shown(item.out)} is behind a link that leads out of the output folder"
                )
            if not item.out.exists() or not filecmp.cmp(item.path, item.out, shallow=False):
                files.copy_whole(item.path, item.out, stat.S_IMODE(item.path.stat().st_mode), durable=True)
        except (StoreFailed, OSError) as error:
            logs.get().warning("article.uncopied", why=str(error))


async def _to_its_end(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Runs `work` in a thread. On cancellation, waits for the thread first, so that callers can clean up."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def quoted(path: str) -> str:
    """A relative path, percent-encoded for a URL."""
    return quote(os.fsencode(path), safe="/")


def leads_inside(path: Path, real_root: str) -> bool:
    """Whether a path is below a folder once links are followed."""
    return os.path.commonpath([os.path.realpath(path.parent), real_root]) == real_root


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False
