"""Where a run writes: assets first, then the articles that refer to them, each whole or not at all."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mediasvc import logs
from mediasvc.articles.reports import Asset
from mediasvc.batch.chunks import Done
from mediasvc.batch.scan import Item, Plan
from mediasvc.effects import files
from mediasvc.errors import MediaError, StoreFailed

_PREFIXES_KEPT = 4096
_ASKED_AT_ONCE = 16  # of the store

FindBlob = Callable[[str], Awaitable[Path | None]]  # by digest; as Blobs.path


@dataclass(frozen=True, slots=True)
class Read:
    """An article in hand."""

    item: Item
    seen: files.Seen


class Output:
    """The output folder of one plan."""

    def __init__(self, where: Plan, find_blob: FindBlob, asset_url: str | None) -> None:
        """asset_url: what articles say before asset names; None: a relative path."""
        self.where = where
        self._find_blob = find_blob
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._asset_url = asset_url
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
            if len(self._prefixes) > _PREFIXES_KEPT:
                self._prefixes.clear()
            self._prefixes[folder] = prefix
        return prefix

    def report_prefix(self) -> str:
        """What stands before asset names in the report."""
        relative = os.path.relpath(os.path.realpath(self.where.assets), os.path.realpath(self.where.root))
        return relative.replace(os.sep, "/") + "/"

    async def place(self, assets: Mapping[str, Asset]) -> dict[str, str]:
        """Puts assets beside the articles, those that are not there yet; why, of each that cannot be."""
        missing = await asyncio.to_thread(self._missing, tuple(assets.values()))
        stored = [asset for asset in missing if asset.data is None]
        # Several at once: where the store is another machine, each is a round trip.
        found = await asyncio.gather(*(self._source(asset) for asset in stored))
        sources: dict[str, Path] = {}
        lost: dict[str, str] = {}
        for asset, source in zip(stored, found, strict=True):
            if isinstance(source, Path):
                sources[asset.name] = source
            else:
                lost[asset.name] = source
        lost |= await asyncio.to_thread(self._copy_all, [a for a in missing if a.name not in lost], sources)
        return lost

    async def _source(self, asset: Asset) -> Path | str:
        """A stored blob as a file, or why there is none."""
        try:
            async with self._asking:
                source = await self._find_blob(asset.digest)
        except StoreFailed as error:
            return str(error)
        return source or "the cache let go of an image before it was placed; a larger CACHE_MAX_BYTES helps"

    def _missing(self, assets: tuple[Asset, ...]) -> list[Asset]:
        return [asset for asset in assets if not _is_there(self.where.assets / asset.name, asset.bytes)]

    def _copy_all(self, assets: list[Asset], sources: Mapping[str, Path]) -> dict[str, str]:
        lost = {}
        for asset in assets:
            target = self.where.assets / asset.name
            try:
                # In place the article is the only one there is: what it refers to is on the disk before it is.
                if asset.data is not None:
                    files.write_whole(target, asset.data, durable=self.where.in_place)
                else:
                    files.copy_whole(sources[asset.name], target, durable=self.where.in_place)
            except StoreFailed as error:
                lost[asset.name] = str(error)
        return lost

    def write_all(
        self, read: list[Read], results: tuple[Done, ...], lost: Mapping[str, str]
    ) -> list[dict[str, str | None]]:
        """In a thread: writes a chunk's articles; of each, nothing, or what to say of it instead."""
        return [self._write(one, done, lost) for one, done in zip(read, results, strict=True)]

    def _write(self, one: Read, done: Done, lost: Mapping[str, str]) -> dict[str, str | None]:
        why = next((lost[asset.name] for asset in done.assets if asset.name in lost), None)
        try:
            if why is not None:
                raise StoreFailed(why)
            # Under --out the tree is mirrored whole: an article that failed stands there as it was.
            if not self.where.in_place or done.content is not None:
                self._write_article(one, done.content if done.content is not None else one.seen.data)
        except MediaError as error:
            return {"status": "failed", "error": error.code, "message": str(error), "digest_out": None}
        return {}

    def _write_article(self, one: Read, content: bytes) -> None:
        item = one.item
        if not self.where.in_place and not _leads_inside(item.out, item.root):
            raise StoreFailed(f"{files.shown(item.out)} lies behind a link out of the output folder")
        if self.where.in_place and not files.is_unchanged(item.path, one.seen):
            raise StoreFailed(f"{files.shown(item.path)} was changed by somebody else meanwhile; run again")
        if not self.where.in_place and _holds(item.out, content):
            return
        files.write_whole(item.out, content, one.seen.mode, durable=self.where.in_place)

    def copy_unread(self, item: Item) -> None:
        """Under --out the tree is mirrored whole, with articles that are too large for us as they are."""
        try:
            files.copy_whole(item.path, item.out)
        except StoreFailed as error:
            logs.get().warning("article.uncopied", why=str(error))


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


def _is_there(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
