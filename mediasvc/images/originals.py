"""Originals of source URLs: from what is kept, or from their origin, one fetch at a time for each."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import assert_never

from mediasvc import errors, logs, metrics
from mediasvc.core.addresses import urls
from mediasvc.core.http import caching
from mediasvc.core.http.caching import CacheRules, Entry
from mediasvc.core.picture import Format, ThumbnailSpec
from mediasvc.core.pictures import svg
from mediasvc.core.records.index_entry import Rendition
from mediasvc.effects.blobs import Blobs, Incoming
from mediasvc.effects.fetch import Fetched, Validators
from mediasvc.effects.fetch.fetcher import Fetcher
from mediasvc.effects.imaging.pool import ImageWorkers
from mediasvc.effects.index import Index
from mediasvc.effects.locks.single_flight import Flights
from mediasvc.errors import MediaError, StoreFailed
from mediasvc.images.thumbnails import CacheStatus, Held, Made, Renditions, placeholder_record, remembered

_RECENT_ENTRIES = 2048
# So often one URL may be purged while it is on its way.
_FETCHED_ANEW = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """A source URL, and what is to be made of its original while that is in hand."""

    url: urls.SourceUrl
    spec: ThumbnailSpec | None = None
    placeholder: bool = False
    failures_since: datetime | None = None
    """A failure that is remembered from before then is not believed."""


@dataclass(frozen=True, slots=True)
class _Obtained:
    """What one flight over a source URL brings home, shared by all who waited for it."""

    entry: Entry
    cache: CacheStatus
    unkept: bytes | None = None
    made: Mapping[str, Made] = field(default_factory=dict)
    placeholder: tuple[str | None, str | None] | None = None


class Originals:
    """Makes sure that we hold an original."""

    def __init__(
        self,
        *,
        renditions: Renditions,
        fetcher: Fetcher,
        workers: ImageWorkers,
        blobs: Blobs,
        index: Index,
        flights: Flights,
        rules: CacheRules,
        clock: Callable[[], datetime],
    ) -> None:
        self._renditions = renditions
        self._fetcher = fetcher
        self._workers = workers
        self._blobs = blobs
        self._index = index
        self._flights = flights
        self._rules = rules
        self._clock = clock
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        # Answers while the index does not; never asked while it does.
        self._recent: OrderedDict[str, Entry] = OrderedDict()

    async def hold(self, resolution: urls.Resolution, wish: Wish) -> Held:
        """Serve what is fresh, revalidate what is not, fetch what is missing."""
        return _held(resolution, await self._current(wish))

    async def fetch_again(self, held: Held) -> Held:
        """The index knows the original and the store has lost it: fetch it as if it were new."""
        metrics.cache_requests.labels("blobs", "lost").inc()
        return _held(held.resolution, await self._share(Wish(held.resolution.origin)))

    async def _current(self, wish: Wish) -> _Obtained:
        entry = _believed(await self._look_up(wish.url), wish)
        decision = caching.decide(entry, self._clock())
        match decision:
            case caching.Serve(entry=kept):
                metrics.cache_requests.labels("index", "hit").inc()
                return _Obtained(kept, CacheStatus.HIT)
            case caching.ServeStale(entry=kept, asks_origin=asks_origin):
                metrics.cache_requests.labels("index", "stale").inc()
                if asks_origin:
                    self._refresh_soon(wish.url)
                return _Obtained(kept, CacheStatus.STALE)
            case caching.Revalidate(entry=kept):
                metrics.cache_requests.labels("index", "revalidate").inc()
                return await self._revalidate(wish, kept)
            case caching.Refuse(code=code, retry_after_s=seconds):
                metrics.cache_requests.labels("index", "negative").inc()
                raise remembered(code, seconds)
            case caching.Fetch():
                metrics.cache_requests.labels("index", "miss").inc()
                return await self._share(wish)
            case _:
                assert_never(decision)

    async def _revalidate(self, wish: Wish, kept: Entry) -> _Obtained:
        try:
            return await self._share(wish)
        except MediaError as error:
            if not error.is_temporary or self._clock() >= kept.stale_until:
                raise
            logs.get().warning("source.stale", host=logs.host_of(wish.url), code=error.code)
            return _Obtained(kept, CacheStatus.STALE)

    async def _share(self, wish: Wish) -> _Obtained:
        return await self._flights.run(f"source:{wish.url}", lambda: self._fly(wish))

    async def _fly(self, wish: Wish) -> _Obtained:
        """In flight, alone for this URL. What was purged meanwhile came before that, and is fetched anew."""
        for _ in range(_FETCHED_ANEW):
            begun = await self._purges_so_far()
            try:
                obtained = await self._obtain(wish)
            except MediaError:
                if not await self._was_purged(wish.url, begun):
                    raise
            else:
                was_held = obtained.cache in (CacheStatus.HIT, CacheStatus.STALE)
                if was_held or not await self._was_purged(wish.url, begun):
                    return obtained
            await self.purge(wish.url)
        return await self._obtain(wish)

    async def _purges_so_far(self) -> int | None:
        try:
            return (await self._index.purges(None))[0]
        except StoreFailed:
            return None

    async def _was_purged(self, url: urls.SourceUrl, since: int | None) -> bool:
        """since: a cursor of the index; None: it could not be asked."""
        try:
            while since is not None:
                heard, news = await self._index.purges(since)
                if any(purged.url == url for purged in news):
                    return True
                since = heard if news else None
        except StoreFailed as error:
            logs.get().warning("purges.unheard", reason=str(error))
        return False

    async def _obtain(self, wish: Wish) -> _Obtained:
        """Ask the index again, then the origin."""
        entry = _believed(await self._look_up(wish.url), wish)
        match caching.decide(entry, self._clock()):
            case caching.Serve(entry=kept) if await self._is_kept(kept):
                return _Obtained(kept, CacheStatus.HIT)
            case caching.ServeStale(entry=kept, asks_origin=False) if await self._is_kept(kept):
                return _Obtained(kept, CacheStatus.STALE)
            case caching.Refuse(code=code, retry_after_s=seconds):
                raise remembered(code, seconds)
            case _:
                pass
        validators = None
        if entry is not None and entry.digest is not None and await self._is_kept(entry):
            validators = Validators(entry.etag, entry.last_modified, entry.final_url)
        try:
            async with self._blobs.incoming() as incoming:
                fetched = await self._fetcher.fetch(wish.url, incoming, validators)
                if fetched.not_modified and entry is not None:
                    return await self._confirmed(entry, fetched)
                return await self._taken(wish, fetched, incoming)
        except MediaError as error:
            await self._remember_failure(wish.url, entry, error)
            raise

    async def _confirmed(self, entry: Entry, fetched: Fetched) -> _Obtained:
        confirmed = caching.renewed(entry, fetched.headers, self._clock(), self._rules)
        await self._remember(confirmed)
        return _Obtained(confirmed, CacheStatus.REVALIDATED)

    async def _taken(self, wish: Wish, fetched: Fetched, incoming: Incoming) -> _Obtained:
        """Look at what came, make what is wished, and only then keep anything of it."""
        url = wish.url
        specs = (wish.spec,) if wish.spec is not None else ()
        processed = await self._workers.process(await incoming.source(), specs, placeholder=wish.placeholder)
        placeholder = (processed.thumbhash, processed.dominant) if wish.placeholder else None
        sanitised = None
        if processed.picture.format is Format.SVG:
            sanitised = await asyncio.to_thread(svg.sanitise, await _bytes_of(await incoming.source()))
            processed = replace(processed, picture=replace(processed.picture, bytes=len(sanitised)))
        now = self._clock()
        storage = caching.assess(fetched.headers, now, self._rules)
        entry = Entry(
            url=url,
            digest=None,
            picture=processed.picture,
            fetched_at=now,
            expires_at=storage.expires_at,
            stale_until=storage.stale_until,
            revalidate_until=storage.revalidate_until,
            etag=storage.etag,
            last_modified=storage.last_modified,
            failure=None,
            final_url=fetched.final_url if fetched.final_url != url else None,
            grants=caching.grants(fetched.headers),
        )
        if storage.storable:
            try:
                entry = replace(entry, digest=await self._keep(incoming, sanitised))
            except StoreFailed as error:
                logs.get().warning("blob.unkept", host=logs.host_of(url), reason=str(error))
            else:
                made, records = await self._renditions.keep(entry, specs, processed.renditions)
                if wish.placeholder and entry.digest is not None:
                    records |= placeholder_record(entry.digest, processed)
                await self._remember(entry, records)
                return _Obtained(entry, CacheStatus.MISS, made=made, placeholder=placeholder)
        made, _ = await self._renditions.keep(entry, specs, processed.renditions)
        data = sanitised or await _bytes_of(await incoming.source())
        entry = replace(entry, digest=hashlib.sha256(data).hexdigest())
        if not storage.storable:
            entry = replace(entry, expires_at=now)
        return _Obtained(entry, CacheStatus.MISS, data, made, placeholder)

    async def _keep(self, incoming: Incoming, sanitised: bytes | None) -> str:
        return await incoming.keep() if sanitised is None else await self._blobs.put(sanitised)

    async def close(self) -> None:
        """Ends refreshes that are under way."""
        tasks = list(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _refresh_soon(self, url: urls.SourceUrl) -> None:
        if url not in self._refreshing and len(self._refreshing) < _RECENT_ENTRIES:
            task = asyncio.create_task(self._refresh(url))
            self._refreshing[url] = task
            task.add_done_callback(lambda _: self._refreshing.pop(url, None))

    async def _refresh(self, url: urls.SourceUrl) -> None:
        try:
            await self._share(Wish(url))
        except MediaError as error:
            logs.get().warning("source.refresh_failed", host=logs.host_of(url), code=error.code)

    async def _look_up(self, url: urls.SourceUrl) -> Entry | None:
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

    async def _remember(self, entry: Entry, made: Mapping[str, Rendition] | None = None) -> None:
        self._note(entry)
        try:
            await self._index.put_source(entry, made)
        except StoreFailed as error:
            logs.get().warning("index.unkept", host=logs.host_of(entry.url), reason=str(error))

    async def _remember_failure(self, url: urls.SourceUrl, entry: Entry | None, error: MediaError) -> None:
        after = caching.after_failure(url, entry, error, self._clock(), self._rules)
        if after is not None:
            await self._remember(after)

    async def _is_kept(self, entry: Entry) -> bool:
        try:
            return entry.digest is not None and await self._blobs.size(entry.digest) is not None
        except StoreFailed:
            return True

    async def purge(self, url: urls.SourceUrl) -> None:
        """Forgets an original and every thumbnail of it, and announces it. StoreFailed: ask again."""
        self.forget(url)
        # Bytes first: where they cannot be deleted, the index still says which ones there are.
        for digest in await self._index.freed_by(url):
            await self._blobs.delete(digest)
        for digest in await self._index.purge(url):
            await self._blobs.delete(digest)

    def forget(self, url: str) -> None:
        """Drops what this process alone remembers of a URL."""
        self._recent.pop(url, None)


def _believed(entry: Entry | None, wish: Wish) -> Entry | None:
    since = wish.failures_since
    is_old = (
        entry is not None and entry.failure is not None and since is not None and entry.fetched_at < since
    )
    return None if is_old else entry


def _held(resolution: urls.Resolution, obtained: _Obtained) -> Held:
    entry = obtained.entry
    if entry.digest is None or entry.picture is None:
        raise remembered(entry.failure or errors.SourceFailed.code)
    return Held(
        resolution,
        entry,
        entry.picture,
        entry.digest,
        obtained.cache,
        obtained.unkept,
        obtained.made,
        obtained.placeholder,
    )


async def _bytes_of(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else await asyncio.to_thread(source.read_bytes)
