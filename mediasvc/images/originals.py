"""Originals of source URLs: from the cache, or from their origin, one fetch at a time for each."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, assert_never

from mediasvc import logs, metrics
from mediasvc.core.addresses.urls import SourceUrl
from mediasvc.core.formats import Format
from mediasvc.core.http import caching
from mediasvc.core.http.caching import CacheRules
from mediasvc.core.picture import Placeholder, ThumbnailSpec
from mediasvc.core.pictures import svg
from mediasvc.core.records.index_entry import Entry
from mediasvc.core.records.index_thumbnail import ThumbnailRecord
from mediasvc.effects.blobs import Blobs, Incoming
from mediasvc.effects.fetch import Fetched, Validators
from mediasvc.effects.fetch.fetcher import Fetcher
from mediasvc.effects.imaging.pool import ImageProcesses
from mediasvc.effects.index import Index
from mediasvc.effects.locks.single_flight import SingleFlight
from mediasvc.errors import MediaError, StoreFailed
from mediasvc.images.image import CacheStatus, Original, remembered_failure, stored_original
from mediasvc.images.purge_watch import PurgeWatch
from mediasvc.images.thumbnails import Thumbnails

_RECENT_ENTRIES: Final = 2048
_REFETCHES_AFTER_PURGE: Final = 3
_COUNTED_AS: Final[Mapping[type[caching.Decision], str]] = {
    caching.Serve: "hit",
    caching.ServeStale: "stale",
    caching.Revalidate: "revalidate",
    caching.Refuse: "negative",
    caching.Fetch: "miss",
}


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """An original that is wanted, and what to make of it in the same step where it must be fetched.

    spec: of a thumbnail.
    placeholder: whether to compute the placeholder.
    failures_since: a remembered failure from before then does not count.
    """

    url: SourceUrl
    spec: ThumbnailSpec | None = None
    placeholder: bool = False
    failures_since: datetime | None = None


class Originals:
    """Makes originals available."""

    def __init__(
        self,
        *,
        thumbnails: Thumbnails,
        fetcher: Fetcher,
        image_processes: ImageProcesses,
        blobs: Blobs,
        index: Index,
        flights: SingleFlight,
        rules: CacheRules,
        clock: Callable[[], datetime],
    ) -> None:
        self._thumbnails = thumbnails
        self._fetcher = fetcher
        self._image_processes = image_processes
        self._blobs = blobs
        self._index = index
        self._flights = flights
        self._rules = rules
        self._clock = clock
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        # Answers while the index does not; never asked while it does.
        self._recent: OrderedDict[str, Entry] = OrderedDict()

    async def obtain(self, wanted: OriginalRequest) -> Original:
        """Serve what is fresh, revalidate what is not, fetch what is missing."""
        return await self._decide(wanted, None)

    async def fetch_again(self, lost: Original) -> Original:
        """The index knows the original and the store has lost it: fetch it as if it were new."""
        metrics.cache_requests.labels("blobs", "lost").inc()
        return await self._share(OriginalRequest(lost.url))

    async def _decide(self, wanted: OriginalRequest, watch: PurgeWatch | None) -> Original:
        """Look the source up, decide, and act on the decision.

        watch: given in the single flight of a URL, which asks the origin itself, and looks into the store
        first.
        """
        in_flight = watch is not None
        entry = _believed(await self._look_up(wanted.url), wanted)
        is_kept = not in_flight or await self._is_kept(entry)
        decision = caching.decide(entry, self._clock(), is_kept=is_kept, in_flight=in_flight)
        if not in_flight:
            metrics.cache_requests.labels("index", _COUNTED_AS[type(decision)]).inc()
        match decision:
            case caching.Serve(entry=fresh):
                return stored_original(fresh, CacheStatus.HIT)
            case caching.ServeStale(entry=stale, asks_origin=asks_origin):
                if asks_origin:
                    self._refresh_soon(wanted.url)
                return stored_original(stale, CacheStatus.STALE)
            case caching.Refuse(code=code, retry_after_s=seconds):
                raise remembered_failure(code, seconds)
            case caching.Revalidate(entry=stale):
                if watch is None:
                    return await self._share_or_stale(wanted, stale)
                return await self._ask_origin(wanted, entry, _validators(stale), watch)
            case caching.Fetch():
                if watch is None:
                    return await self._share(wanted)
                return await self._ask_origin(wanted, entry, None, watch)
            case _:
                assert_never(decision)

    async def _share_or_stale(self, wanted: OriginalRequest, stale: Entry) -> Original:
        try:
            return await self._share(wanted)
        except MediaError as error:
            if not error.is_temporary or self._clock() >= stale.stale_until:
                raise
            logs.get().warning("source.stale", host=logs.host_of(wanted.url), code=error.code)
            return stored_original(stale, CacheStatus.STALE)

    async def _share(self, wanted: OriginalRequest) -> Original:
        return await self._flights.run(f"source:{wanted.url}", lambda: self._fly(wanted))

    async def _fly(self, wanted: OriginalRequest) -> Original:
        """The single flight of a URL. An original that was purged while it was fetched is fetched anew."""
        for _ in range(_REFETCHES_AFTER_PURGE):
            watch = await PurgeWatch.begin(self._index)
            try:
                original = await self._decide(wanted, watch)
            except MediaError:
                if not await watch.was_purged(wanted.url):
                    raise
            else:
                if not await watch.was_purged(wanted.url):
                    return original
            await self.purge(wanted.url)
        return await self._decide(wanted, await PurgeWatch.begin(self._index))

    async def _ask_origin(
        self, wanted: OriginalRequest, entry: Entry | None, validators: Validators | None, watch: PurgeWatch
    ) -> Original:
        """Fetch an original, or have the origin confirm the one that is kept.

        entry: what the index has, for the case that the origin fails.
        validators: where a 304 would do.
        watch: nothing is remembered of a URL that was purged meanwhile.
        """
        try:
            async with self._blobs.incoming() as incoming:
                fetched = await self._fetcher.fetch(wanted.url, incoming, validators)
                if fetched.not_modified and entry is not None:
                    return await self._confirmed(entry, fetched, watch)
                return await self._taken(wanted, fetched, incoming, watch)
        except MediaError as error:
            after = caching.after_failure(wanted.url, entry, error, self._clock(), self._rules)
            if after is not None:
                await self._remember(after, watch)
            raise

    async def _confirmed(self, entry: Entry, fetched: Fetched, watch: PurgeWatch) -> Original:
        renewed = caching.renewed(entry, fetched.headers, self._clock(), self._rules)
        await self._remember(renewed, watch)
        return stored_original(renewed, CacheStatus.REVALIDATED)

    async def _taken(
        self, wanted: OriginalRequest, fetched: Fetched, incoming: Incoming, watch: PurgeWatch
    ) -> Original:
        """Inspect the bytes, make what is wanted, and only then store any of it."""
        specs = (wanted.spec,) if wanted.spec is not None else ()
        source = await incoming.source()
        processed = await self._image_processes.process(source, specs, placeholder=wanted.placeholder)
        sanitised = None
        if processed.picture.format is Format.SVG:
            sanitised = await asyncio.to_thread(svg.sanitise, await _bytes_of(source))
            processed = replace(processed, picture=replace(processed.picture, bytes=len(sanitised)))
        now = self._clock()
        storage = caching.assess(fetched.headers, now, self._rules)
        digest, unkept = await self._keep(wanted.url, incoming, sanitised, storable=storage.storable)
        entry = Entry(
            url=wanted.url,
            digest=digest,
            picture=processed.picture,
            fetched_at=now,
            expires_at=storage.expires_at if storage.storable else now,
            stale_until=storage.stale_until,
            revalidate_until=storage.revalidate_until,
            etag=storage.etag,
            last_modified=storage.last_modified,
            failure=None,
            final_url=fetched.final_url if fetched.final_url != wanted.url else None,
            grants=caching.grants(fetched.headers),
        )
        original = Original(
            entry=entry, picture=processed.picture, digest=digest, cache=CacheStatus.MISS, unkept=unkept
        )
        thumbnails, records = await self._thumbnails.keep(original, specs, processed.thumbnails)
        placeholder = Placeholder(processed.thumbhash, processed.dominant) if wanted.placeholder else None
        if unkept is None:
            await self._remember(entry, watch, records, placeholder)
        return replace(original, thumbnails=thumbnails, placeholder=placeholder)

    async def _keep(
        self, url: SourceUrl, incoming: Incoming, sanitised: bytes | None, *, storable: bool
    ) -> tuple[str, bytes | None]:
        """(digest, None) of bytes that the store has now; (digest, bytes) where they may not or cannot be
        stored.
        """
        if storable:
            try:
                digest = await incoming.keep() if sanitised is None else await self._blobs.put(sanitised)
            except StoreFailed as error:
                logs.get().warning("blob.unkept", host=logs.host_of(url), reason=str(error))
            else:
                return digest, None
        data = sanitised or await _bytes_of(await incoming.source())
        return hashlib.sha256(data).hexdigest(), data

    async def close(self) -> None:
        """Ends refreshes that are under way."""
        tasks = list(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _refresh_soon(self, url: SourceUrl) -> None:
        if url not in self._refreshing and len(self._refreshing) < _RECENT_ENTRIES:
            task = asyncio.create_task(self._refresh(url))
            self._refreshing[url] = task
            task.add_done_callback(lambda _: self._refreshing.pop(url, None))

    async def _refresh(self, url: SourceUrl) -> None:
        try:
            await self._share(OriginalRequest(url))
        except MediaError as error:
            logs.get().warning("source.refresh_failed", host=logs.host_of(url), code=error.code)

    async def _look_up(self, url: SourceUrl) -> Entry | None:
        try:
            entry = await self._index.source(url)
        except StoreFailed:
            return self._recent.get(url)
        if entry is not None:
            self._note(entry)
        return entry

    def _note(self, entry: Entry) -> None:
        self._recent[entry.url] = entry
        self._recent.move_to_end(entry.url)
        if len(self._recent) > _RECENT_ENTRIES:
            self._recent.popitem(last=False)

    async def _remember(
        self,
        entry: Entry,
        watch: PurgeWatch,
        thumbnails: Mapping[str, ThumbnailRecord] | None = None,
        placeholder: Placeholder | None = None,
    ) -> None:
        self._note(entry)
        try:
            await self._index.put_source(entry, thumbnails, placeholder, since=watch.cursor)
        except StoreFailed as error:
            logs.get().warning("index.unkept", host=logs.host_of(entry.url), reason=str(error))

    async def _is_kept(self, entry: Entry | None) -> bool:
        """Whether the store has the blob of an entry; True where the store does not answer."""
        if entry is None or entry.digest is None:
            return False
        try:
            return await self._blobs.size(entry.digest) is not None
        except StoreFailed:
            return True

    async def purge(self, url: SourceUrl) -> None:
        """Forgets an original and every thumbnail of it, and announces that. StoreFailed: ask again."""
        self.forget(url)
        # Bytes first: where they cannot be deleted, the index still says which ones there are.
        for digest in await self._index.freed_by(url):
            await self._blobs.delete(digest)
        for digest in await self._index.purge(url):
            await self._blobs.delete(digest)

    def forget(self, url: str) -> None:
        """Drops the copy of a URL's entry that only this process has."""
        self._recent.pop(url, None)

    def forget_all(self) -> None:
        """Drops the copies of all entries that only this process has."""
        self._recent.clear()


def _believed(entry: Entry | None, wanted: OriginalRequest) -> Entry | None:
    """The entry; None for a failure that is too old to count."""
    since = wanted.failures_since
    is_old = (
        entry is not None and entry.failure is not None and since is not None and entry.fetched_at < since
    )
    return None if is_old else entry


def _validators(entry: Entry) -> Validators:
    return Validators(etag=entry.etag, last_modified=entry.last_modified, url=entry.final_url)


async def _bytes_of(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else await asyncio.to_thread(source.read_bytes)
