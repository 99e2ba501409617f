"""Where a run writes: files that are whole and on the disk get their names, assets first, then the articles."""

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
_ASKED_AT_ONCE = 16  # of the store
# Files without their names are open ones: at most so many of a chunk, and of so many chunks.
_HELD = 32
_HANDS = 8

P = ParamSpec("P")
FindBlob = Callable[[str], Awaitable[Path | None]]  # by digest; as Blobs.path


@dataclass(frozen=True, slots=True)
class Read:
    """An article in hand."""

    item: Item
    seen: files.Seen


@dataclass(slots=True)
class Ready:
    """A chunk's files that have not got their names yet: assets by name, articles by place.

    needs: names of each article's assets. claimed: those that this chunk alone places; others: those that another
    does. lost: why an asset is not to be had, by name. failures: of articles that cannot be written.
    """

    read: list[Read]
    needs: list[list[str]]
    assets: dict[str, files.Staged] = field(default_factory=dict)
    articles: dict[int, files.Staged] = field(default_factory=dict)
    claimed: list[str] = field(default_factory=list)
    others: dict[str, asyncio.Future[str | None]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)

    def fail(self, place: int, error: MediaError) -> None:
        """An article that cannot be written stays as it was."""
        self.failures[place] = Failure.of(error)

    def fail_those_without(self) -> None:
        """Articles whose assets are lost."""
        for place, names in enumerate(self.needs):
            why = next((self.lost[name] for name in names if name in self.lost), None)
            if why is not None and place not in self.failures:
                self.fail(place, StoreFailed(why))

    def lose(self, error: StoreFailed) -> None:
        """None of them is sure to be on the disk."""
        for place in self.articles:
            self.fail(place, error)
        self.lost |= dict.fromkeys(self.assets, str(error))
        self.fail_those_without()
        self.discard()

    def publish_assets(self) -> None:
        """In a thread."""
        while self.assets:
            name, staged = self.assets.popitem()
            try:
                files.publish(staged)
            except StoreFailed as error:
                self.lost[name] = str(error)

    def publish_articles(self, in_place: bool) -> None:
        """In a thread: those that have all of their assets."""
        self.fail_those_without()
        for place, staged in self.articles.items():
            if place in self.failures:
                continue
            one = self.read[place]
            try:
                if in_place and not files.is_unchanged(one.item.path, one.seen):
                    shown = files.shown(one.item.path)
                    raise StoreFailed(f"{shown} was changed by somebody else meanwhile; run again")
                files.publish(staged)
            except StoreFailed as error:
                self.fail(place, error)

    def discard(self) -> None:
        """Clears away what was not published."""
        for staged in (*self.assets.values(), *self.articles.values()):
            files.discard(staged)
        self.assets.clear()
        self.articles.clear()


class Output:
    """The output folder of one plan."""

    def __init__(
        self,
        where: Plan,
        find_blob: FindBlob,
        asset_url: str | None,
        also: Iterable[Path] = (),
        *,
        reread: bool = False,
    ) -> None:
        """asset_url: what articles say before asset names; None: a relative path.

        also: folders that are brought to the disk with the output. reread: whether assets that are there are compared
        with their names, and not only looked at for their size.
        """
        self.where = where
        self._disks = Disks([where.root, where.assets, *also])
        self._apart = where.in_place and device_of(where.assets) != device_of(where.root)
        self._hands = asyncio.Semaphore(_HANDS)
        self._placing: dict[str, asyncio.Future[str | None]] = {}
        self._wrote = False
        self._find_blob = find_blob
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._asset_url = asset_url
        self._reread = reread
        self._whole: set[str] = set()
        self._prefixes: dict[Path, str] = {}

    def prefix(self, item: Item) -> str:
        """What stands before asset names in an article."""
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
        """What stands before asset names in the report."""
        relative = os.path.relpath(os.path.realpath(self.where.assets), os.path.realpath(self.where.root))
        return relative.replace(os.sep, "/") + "/"

    @asynccontextmanager
    async def prepared(self, read: list[Read], results: tuple[Done, ...]) -> AsyncIterator[Ready]:
        """A chunk's files, to be published: whole and on the disk, so that no name ever stands for less.

        Those that were not published are cleared away in the end.
        """
        async with self._hands:
            ready = Ready(read, [[asset.name for asset in done.assets] for done in results])
            try:
                await self._prepare(ready, results)
                yield ready
            finally:
                ready.discard()
                self._tell(ready, "the run was ended before it placed an image")

    async def _prepare(self, ready: Ready, results: tuple[Done, ...]) -> None:
        assets = {asset.name: asset for done in results for asset in done.assets}
        missing = await asyncio.to_thread(self._missing, tuple(assets.values()))
        missing = self._claim(missing, ready)
        sources = await self._sources(missing, ready)
        missing = [asset for asset in missing if asset.name not in ready.lost]
        while len(missing) + len(results) > _HELD:
            some, missing = missing[:_HELD], missing[_HELD:]
            await _to_its_end(self._stage_assets, ready, some, sources)
            await self._settle(ready)
            await _to_its_end(ready.publish_assets)
        await _to_its_end(self._stage, ready, missing, sources, results)
        await self._settle(ready)

    async def _settle(self, ready: Ready) -> None:
        """What was staged is on the disk then, or lost."""
        if ready.assets or ready.articles:
            self._wrote = True
            try:
                await self._disks.settle()
            except StoreFailed as error:
                ready.lose(error)

    def _claim(self, missing: list[Asset], ready: Ready) -> list[Asset]:
        """Those that no other chunk is placing: an image that many articles have is written once."""
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

    def _tell(self, ready: Ready, otherwise: str | None = None) -> None:
        """Tells other chunks what has become of the assets that this one has claimed; None: they are there."""
        while ready.claimed:
            name = ready.claimed.pop()
            self._placing.pop(name).set_result(ready.lost.get(name, otherwise))

    async def publish(self, ready: Ready) -> None:
        """Gives the files their names: the images first, then the articles that refer to them."""
        await _to_its_end(ready.publish_assets)
        self._tell(ready)
        if ready.others:
            await asyncio.wait(ready.others.values())
            told = {name: placed.result() for name, placed in ready.others.items()}
            ready.lost |= {name: why for name, why in told.items() if why is not None}
        if self._apart:
            # Of one file system, names reach the disk in their order; of two, nobody promises it.
            await self._settle(ready)
        await _to_its_end(ready.publish_articles, self.where.in_place)

    async def close(self) -> None:
        """In the end: the names have reached the disk as well. StoreFailed."""
        try:
            if self._wrote:
                await self._disks.settle()
        finally:
            self._disks.close()

    async def _sources(self, missing: list[Asset], ready: Ready) -> dict[str, Path]:
        """The blobs of those whose bytes are not at hand."""
        stored = [asset for asset in missing if asset.data is None]
        # Several at once: where the store is another machine, each is a round trip.
        found = await asyncio.gather(*(self._source(asset) for asset in stored))
        sources: dict[str, Path] = {}
        for asset, source in zip(stored, found, strict=True):
            if isinstance(source, Path):
                sources[asset.name] = source
            else:
                ready.lost[asset.name] = source
        return sources

    async def _source(self, asset: Asset) -> Path | str:
        """A stored blob as a file, or why there is none."""
        try:
            async with self._asking:
                source = await self._find_blob(asset.digest)
        except StoreFailed as error:
            return str(error)
        return source or "the cache let go of an image before it was placed; a larger CACHE_MAX_BYTES helps"

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
        for place, (one, done) in enumerate(zip(ready.read, results, strict=True)):
            # Under --out the tree is mirrored whole: an article that failed stands there as it was.
            if place in ready.failures or (self.where.in_place and done.content is None):
                continue
            try:
                staged = self._stage_article(one, one.seen.data if done.content is None else done.content)
            except MediaError as error:
                ready.fail(place, error)
            else:
                if staged is not None:
                    ready.articles[place] = staged

    def _stage_assets(self, ready: Ready, assets: list[Asset], sources: Mapping[str, Path]) -> None:
        for asset in assets:
            target = self.where.assets / asset.name
            try:
                if asset.data is not None:
                    staged = files.stage(target, asset.data, settled=self._disks.hold)
                else:
                    staged = files.stage_copy(sources[asset.name], target, settled=self._disks.hold)
            except StoreFailed as error:
                ready.lost[asset.name] = str(error)
            else:
                ready.assets[asset.name] = staged

    def _stage_article(self, one: Read, content: bytes) -> files.Staged | None:
        """None: it stands there already."""
        item = one.item
        if not self.where.in_place and not _leads_inside(item.out, item.root):
            raise StoreFailed(f"{files.shown(item.out)} lies behind a link out of the output folder")
        if not self.where.in_place and _holds(item.out, content):
            return None
        return files.stage(item.out, content, one.seen.mode, settled=self._disks.hold)

    def copy_unread(self, item: Item) -> None:
        """Under --out the tree is mirrored whole, with articles that are too large for us as they are."""
        try:
            if not _leads_inside(item.out, item.root):
                raise StoreFailed(f"{files.shown(item.out)} lies behind a link out of the output folder")
            if not item.out.exists() or not filecmp.cmp(item.path, item.out, shallow=False):
                files.copy_whole(item.path, item.out, stat.S_IMODE(item.path.stat().st_mode), durable=True)
        except (StoreFailed, OSError) as error:
            logs.get().warning("article.uncopied", why=str(error))


async def _to_its_end(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """In a thread; who is cancelled waits for it all the same, and can clear away what it made."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def quoted(path: str) -> str:
    """A relative path as it stands in a URL."""
    return quote(os.fsencode(path), safe="/")


def _leads_inside(path: Path, real_root: str) -> bool:
    return os.path.commonpath([os.path.realpath(path.parent), real_root]) == real_root


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False
