"""Walk A: one image, from the address that was asked for to the bytes that answer."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from mediasvc import errors, logs, metrics
from mediasvc.core import caching, policy, svg, urls
from mediasvc.core.caching import CacheRules, Entry, Rendition
from mediasvc.core.picture import EXTENSIONS, Format, Picture, Rendered, ThumbnailSpec, is_own_thumbnail
from mediasvc.effects.blobs import Blobs, Incoming
from mediasvc.effects.fetch import Fetched, Fetcher, Validators
from mediasvc.effects.flights import Flights
from mediasvc.effects.index import Index
from mediasvc.effects.workers import ImageWorkers, Processed
from mediasvc.errors import MediaError, SourceMissing, StoreFailed

_PLACEHOLDER_KEY = "placeholder:v1"
_FORMATS = {extension: form for form, extension in EXTENSIONS.items()}
_RECENT_ENTRIES = 4096


class CacheStatus(StrEnum):
    """How the original came to be at hand; the words of the X-Cache header."""

    HIT = "HIT"
    MISS = "MISS"
    STALE = "STALE"
    REVALIDATED = "REVALIDATED"


@dataclass(frozen=True, slots=True)
class Held:
    """The original of one source URL, at hand.

    unkept: its bytes, where they may not be kept (private, no-store) or could not be (store failed).
    unkept_renditions: thumbnails made of those bytes, by the key of their spec.
    """

    resolution: urls.Resolution
    entry: Entry
    picture: Picture
    digest: str
    cache: CacheStatus
    unkept: bytes | None = None
    unkept_renditions: Mapping[str, Rendered] = field(default_factory=dict)

    def etag(self, spec: ThumbnailSpec | None) -> str:
        """The strong validator of the reply for a spec, in its quotes; known without any image work."""
        if spec is None or is_own_thumbnail(self.picture, spec):
            return f'"{self.digest}"'
        return f'"{hashlib.sha256(f"{self.digest} {spec.key()}".encode()).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class Served:
    """Bytes that answer a request. data: set where they are at hand in memory, else read or path gives them."""

    digest: str
    format: Format
    width: int
    height: int
    data: bytes | None
    bytes: int
    same_as_original: bool
    thumbhash: str | None = None
    dominant: str | None = None

    @property
    def name(self) -> str:
        """The immutable name of these bytes as an asset."""
        return asset_name(self.digest, self.format)


@dataclass(frozen=True, slots=True)
class Info:
    """What is known of an original; sizes in pixels as shown, after orientation."""

    origin: str
    digest: str
    format: Format
    width: int
    height: int
    bytes: int
    animated: bool
    thumbhash: str | None
    dominant: str | None
    fetched_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Obtained:
    """What one flight over a source URL brings home, shared by all who waited for it."""

    entry: Entry
    cache: CacheStatus
    unkept: bytes | None = None
    unkept_renditions: Mapping[str, Rendered] = field(default_factory=dict)


def asset_name(digest: str, form: Format) -> str:
    """The immutable file name of bytes: their SHA-256 and the usual ending of their format."""
    return f"{digest}.{EXTENSIONS[form]}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """What an address leads to, and whether that may be fetched; needs no network."""

    resolver: urls.Resolver
    policy: policy.FetchPolicy

    def resolve(self, address: str, base: str | None = None) -> urls.Resolution:
        """The origin behind an address, layer by layer. InvalidRequest; SourceRefused, for literal addresses too."""
        resolution = self.resolver.resolve(address, base)
        self.policy.check_literal(resolution.origin)
        return resolution


class Images:
    """One image at a time, from address to bytes; the only code path for every door."""

    def __init__(
        self,
        *,
        addresses: Addresses,
        fetcher: Fetcher,
        workers: ImageWorkers,
        blobs: Blobs,
        index: Index,
        flights: Flights,
        rules: CacheRules,
        clock: Callable[[], datetime],
    ) -> None:
        """clock: the present moment, aware UTC. The parts are opened and closed by wiring."""
        self.addresses = addresses
        self.fetcher = fetcher
        self.workers = workers
        self.blobs = blobs
        self.index = index
        self.flights = flights
        self.rules = rules
        self.clock = clock
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        # Answers while the index does not; never asked while it does.
        self._recent: OrderedDict[str, Entry] = OrderedDict()

    def resolve(self, address: str, base: str | None = None) -> urls.Resolution:
        """As Addresses.resolve."""
        return self.addresses.resolve(address, base)

    async def hold(self, address: str, spec: ThumbnailSpec | None = None, *, base: str | None = None) -> Held:
        """Unwrap, check, and make sure we have the original: from what is kept, or from its origin.

        spec: the thumbnail that will be asked for next; where the original must be fetched, it is made in
        the same step. Raises what the resolver, the policy, the fetch and the decoder raise.
        """
        resolution = self.resolve(address, base)
        try:
            self.addresses.policy.check_url(resolution.origin)
        except errors.SourceRefused as error:
            metrics.refused_sources.labels(error.reason or "policy").inc()
            raise
        return self._held(resolution, await self._current(resolution.origin, spec))

    async def _current(self, url: urls.SourceUrl, spec: ThumbnailSpec | None) -> _Obtained:
        entry = await self._look_up(url)
        decision = caching.decide(entry, self.clock())
        match decision:
            case caching.Serve(entry=kept):
                metrics.cache_requests.labels("index", "hit").inc()
                return _Obtained(kept, CacheStatus.HIT)
            case caching.ServeStale(entry=kept):
                metrics.cache_requests.labels("index", "stale").inc()
                self._refresh_soon(url)
                return _Obtained(kept, CacheStatus.STALE)
            case caching.Revalidate(entry=kept):
                metrics.cache_requests.labels("index", "revalidate").inc()
                return await self._revalidate(url, kept, spec)
            case caching.Refuse(code=code, retry_after_s=seconds):
                metrics.cache_requests.labels("index", "negative").inc()
                raise _remembered(code, seconds)
            case caching.Fetch():
                metrics.cache_requests.labels("index", "miss").inc()
                return await self._share(url, spec)
            case _:
                assert_never(decision)

    async def _revalidate(self, url: urls.SourceUrl, kept: Entry, spec: ThumbnailSpec | None) -> _Obtained:
        try:
            return await self._share(url, spec)
        except MediaError as error:
            now = self.clock()
            if not error.retryable or now >= kept.stale_until:
                raise
            logs.get().warning("source.stale", host=logs.host_of(url), code=error.code)
            # Until then the next requests are answered at once, and one of them asks the origin again.
            pause = min(now + self.rules.error_ttl, kept.stale_until)
            await self._remember(replace(kept, revalidate_until=pause))
            return _Obtained(kept, CacheStatus.STALE)

    async def _share(self, url: urls.SourceUrl, spec: ThumbnailSpec | None) -> _Obtained:
        return await self.flights.run(f"source:{url}", lambda: self._obtain(url, spec))

    async def _obtain(self, url: urls.SourceUrl, spec: ThumbnailSpec | None) -> _Obtained:
        """In flight, alone for this URL: ask the index again, then the origin."""
        entry = await self._look_up(url)
        match caching.decide(entry, self.clock()):
            case caching.Serve(entry=kept) if await self._is_kept(kept):
                return _Obtained(kept, CacheStatus.HIT)
            case caching.Refuse(code=code, retry_after_s=seconds):
                raise _remembered(code, seconds)
            case _:
                pass
        validators = None
        if entry is not None and entry.digest is not None and await self._is_kept(entry):
            validators = Validators(entry.etag, entry.last_modified, entry.final_url)
        try:
            async with self.blobs.incoming() as incoming:
                fetched = await self.fetcher.fetch(url, incoming, validators)
                if fetched.not_modified and entry is not None:
                    return await self._confirmed(entry, fetched)
                return await self._taken(url, fetched, incoming, spec)
        except MediaError as error:
            await self._remember_failure(url, entry, error)
            raise

    async def _confirmed(self, entry: Entry, fetched: Fetched) -> _Obtained:
        confirmed = caching.renewed(entry, fetched.headers, self.clock(), self.rules)
        await self._remember(confirmed)
        return _Obtained(confirmed, CacheStatus.REVALIDATED)

    async def _taken(
        self, url: urls.SourceUrl, fetched: Fetched, incoming: Incoming, spec: ThumbnailSpec | None
    ) -> _Obtained:
        """Look at what came, make the thumbnail, and only then keep anything of it."""
        specs = (spec,) if spec is not None else ()
        processed = await self.workers.process(await incoming.source(), specs)
        sanitised = None
        if processed.picture.format is Format.SVG:
            sanitised = await asyncio.to_thread(svg.sanitise, await _bytes_of(await incoming.source()))
            processed = replace(processed, picture=replace(processed.picture, bytes=len(sanitised)))
        now = self.clock()
        storage = caching.assess(fetched.headers, now, self.rules)
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
        )
        if storage.storable:
            try:
                entry = replace(entry, digest=await self._keep(incoming, sanitised))
            except StoreFailed as error:
                logs.get().warning("blob.unkept", host=logs.host_of(url), reason=str(error))
            else:
                await self._keep_renditions(entry, specs, processed)
                await self._remember(entry)
                return _Obtained(entry, CacheStatus.MISS)
        data = sanitised or await _bytes_of(await incoming.source())
        entry = replace(entry, digest=hashlib.sha256(data).hexdigest())
        made = {
            one.key(): rendered
            for one, rendered in zip(specs, processed.renditions, strict=True)
            if isinstance(rendered, Rendered)
        }
        if not storage.storable:
            entry = replace(entry, expires_at=now)
        return _Obtained(entry, CacheStatus.MISS, data, made)

    async def _keep(self, incoming: Incoming, sanitised: bytes | None) -> str:
        return await incoming.keep() if sanitised is None else await self.blobs.put(sanitised)

    async def _keep_renditions(
        self, entry: Entry, specs: tuple[ThumbnailSpec, ...], processed: Processed
    ) -> None:
        for spec, rendered in zip(specs, processed.renditions, strict=True):
            try:
                await self._keep_rendition(entry, spec, rendered)
            except StoreFailed as error:
                logs.get().warning("rendition.unkept", reason=str(error))

    async def _keep_rendition(self, entry: Entry, spec: ThumbnailSpec, made: Rendered | MediaError) -> None:
        """StoreFailed where it could not be kept; the original stays as it is either way."""
        if entry.digest is None or entry.picture is None:
            return
        if isinstance(made, MediaError):
            until = caching.negative_until(made, self.clock(), self.rules)
            if until is None:
                return
            form = entry.picture.format
            record = Rendition(None, form, 0, 0, 0, made.code, until, None, None)
        else:
            digest = entry.digest if made.data is None else await self.blobs.put(made.data)
            size = entry.picture.bytes if made.data is None else len(made.data)
            record = Rendition(
                digest, made.format, made.width, made.height, size, None, None, made.thumbhash, made.dominant
            )
        await self.index.put_rendition(entry.digest, spec.key(), record)

    async def serve(self, held: Held, spec: ThumbnailSpec | None) -> Served:
        """The bytes for a spec (None: the original), made now where nobody made them before."""
        if spec is None or is_own_thumbnail(held.picture, spec):
            return await self._serve_original(held)
        if held.unkept is not None:
            return await self._serve_unkept(held, spec, held.unkept)
        key = spec.key()
        ready = await self._ready_rendition(held, key)
        if ready is None:
            ready = await self.flights.run(
                f"rendition:{held.digest}:{key}", lambda: self._make_rendition(held, spec, key)
            )
        return ready

    async def _serve_original(self, held: Held) -> Served:
        if held.unkept is None and await self.blobs.size(held.digest) is None:
            held = await self._fetch_again(held)
        return _original(held)

    async def _serve_unkept(self, held: Held, spec: ThumbnailSpec, data: bytes) -> Served:
        rendered = held.unkept_renditions.get(spec.key())
        if rendered is None:
            processed = await self.workers.process(data, (spec,))
            rendered = _or_raise(processed.renditions[0])
        return _original(held) if rendered.data is None else _thumbnail(rendered, rendered.data)

    async def _ready_rendition(self, held: Held, key: str) -> Served | None:
        try:
            record = await self.index.rendition(held.digest, key)
        except StoreFailed:
            return None
        if record is None:
            metrics.cache_requests.labels("rendition", "miss").inc()
            return None
        if record.failure is not None:
            if record.expires_at is not None and record.expires_at <= self.clock():
                return None
            metrics.cache_requests.labels("rendition", "negative").inc()
            raise _remembered(record.failure)
        if record.digest is None:
            return None
        metrics.cache_requests.labels("rendition", "hit").inc()
        if record.digest == held.digest:
            return await self._serve_original(held)
        data = await self.blobs.read(record.digest)
        if data is None:
            return None
        return Served(
            record.digest,
            Format(record.format),
            record.width,
            record.height,
            data,
            len(data),
            same_as_original=False,
            thumbhash=record.thumbhash,
            dominant=record.dominant,
        )

    async def _make_rendition(self, held: Held, spec: ThumbnailSpec, key: str) -> Served:
        """In flight, alone for this rendition: look again, then do the image work."""
        ready = await self._ready_rendition(held, key)
        if ready is not None:
            return ready
        source: Path | bytes | None = await self.blobs.path(held.digest)
        if source is None:
            held = await self._fetch_again(held)
            source = held.unkept if held.unkept is not None else await self.blobs.path(held.digest)
        if source is None:
            raise StoreFailed("the original went away while it was being read; ask again")
        try:
            made: Rendered | MediaError = (await self.workers.process(source, (spec,))).renditions[0]
        except (errors.Undecodable, errors.ProcessingTimeout, errors.TooManyPixels) as error:
            made = error
        if held.unkept is None:
            try:
                await self._keep_rendition(held.entry, spec, made)
            except StoreFailed as error:
                logs.get().warning("rendition.unkept", reason=str(error))
        rendered = _or_raise(made)
        return _original(held) if rendered.data is None else _thumbnail(rendered, rendered.data)

    async def _fetch_again(self, held: Held) -> Held:
        """The index knows the original and the store has lost it: fetch it as if it were new."""
        metrics.cache_requests.labels("blobs", "lost").inc()
        url = held.resolution.origin
        obtained = await self._share_lost(url)
        return self._held(held.resolution, obtained)

    async def _share_lost(self, url: urls.SourceUrl) -> _Obtained:
        return await self.flights.run(f"source:{url}", lambda: self._obtain(url, None))

    async def read(self, served: Served) -> bytes:
        """The bytes. StoreFailed where they went away meanwhile."""
        if served.data is not None:
            return served.data
        data = await self.blobs.read(served.digest)
        if data is None:
            raise StoreFailed("the stored image went away while it was being read; ask again")
        return data

    async def path(self, served: Served) -> Path | None:
        """A file with exactly these bytes, where there is one."""
        return None if served.data is not None else await self.blobs.path(served.digest)

    async def asset(self, name: str) -> Served:
        """The asset of that name. SourceMissing where we hold none; StoreFailed."""
        digest, _, extension = name.partition(".")
        form = _FORMATS.get(extension)
        if form is None or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise SourceMissing("no asset has such a name")
        size = await self.blobs.size(digest)
        if size is None:
            raise SourceMissing("this asset is not kept here")
        return Served(digest, form, 0, 0, None, size, same_as_original=False)

    async def known_name(self, origin: urls.SourceUrl, spec: ThumbnailSpec | None) -> str | None:
        """The asset name that a spec of an origin URL has, if it is held; looks nowhere but into the index."""
        try:
            entry = await self.index.source(origin)
            if entry is None or entry.digest is None or entry.picture is None:
                return None
            if spec is None or is_own_thumbnail(entry.picture, spec):
                return asset_name(entry.digest, entry.picture.format)
            record = await self.index.rendition(entry.digest, spec.key())
        except StoreFailed:
            return None
        if record is None or record.digest is None:
            return None
        return asset_name(record.digest, Format(record.format))

    async def info(self, address: str) -> Info:
        """What there is to know of the image behind an address; fetches it where needed."""
        held = await self.hold(address)
        thumbhash, dominant = await self.placeholder(held)
        return Info(
            origin=held.resolution.origin,
            digest=held.digest,
            format=held.picture.format,
            width=held.picture.width,
            height=held.picture.height,
            bytes=held.picture.bytes,
            animated=held.picture.animated,
            thumbhash=thumbhash,
            dominant=dominant,
            fetched_at=held.entry.fetched_at,
            expires_at=held.entry.expires_at,
        )

    async def placeholder(self, held: Held) -> tuple[str | None, str | None]:
        """(thumbhash in base64, dominant colour as #rrggbb); None each where the picture cannot be decoded."""
        if held.unkept is None:
            try:
                record = await self.index.rendition(held.digest, _PLACEHOLDER_KEY)
            except StoreFailed:
                record = None
            if record is not None:
                return record.thumbhash, record.dominant
        source: Path | bytes | None = held.unkept
        if source is None:
            source = await self.blobs.path(held.digest)
        if source is None:
            held = await self._fetch_again(held)
            source = held.unkept if held.unkept is not None else await self.blobs.path(held.digest)
        if source is None:
            return None, None
        try:
            processed = await self.workers.process(source, (), placeholder=True)
        except (errors.Undecodable, errors.ProcessingTimeout):
            return None, None
        if held.unkept is None:
            picture = held.picture
            record = Rendition(
                held.digest,
                picture.format,
                picture.width,
                picture.height,
                picture.bytes,
                None,
                None,
                processed.thumbhash,
                processed.dominant,
            )
            try:
                await self.index.put_rendition(held.digest, _PLACEHOLDER_KEY, record)
            except StoreFailed as error:
                logs.get().warning("rendition.unkept", reason=str(error))
        return processed.thumbhash, processed.dominant

    async def purge(self, address: str) -> None:
        """Forgets the original behind an address and every thumbnail of it; the news goes to all replicas."""
        resolution = self.addresses.resolver.resolve(address)
        self._recent.pop(resolution.origin, None)
        for digest in await self.index.purge(resolution.origin):
            await self.blobs.delete(digest)

    def forget(self, url: str) -> None:
        """Drops what this process alone remembers of a URL that was purged elsewhere."""
        self._recent.pop(url, None)

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
            await self._share(url, None)
        except MediaError as error:
            logs.get().warning("source.refresh_failed", host=logs.host_of(url), code=error.code)

    async def _look_up(self, url: urls.SourceUrl) -> Entry | None:
        try:
            entry = await self.index.source(url)
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

    async def _remember(self, entry: Entry) -> None:
        self._note(entry)
        try:
            await self.index.put_source(entry)
        except StoreFailed as error:
            logs.get().warning("index.unkept", host=logs.host_of(entry.url), reason=str(error))

    async def _remember_failure(self, url: urls.SourceUrl, entry: Entry | None, error: MediaError) -> None:
        now = self.clock()
        keeps_stale = (
            entry is not None and entry.digest is not None and error.retryable and now < entry.stale_until
        )
        failed = caching.failed_entry(url, error, now, self.rules)
        if failed is not None and not keeps_stale:
            await self._remember(failed)

    async def _is_kept(self, entry: Entry) -> bool:
        try:
            return entry.digest is not None and await self.blobs.size(entry.digest) is not None
        except StoreFailed:
            return True

    def _held(self, resolution: urls.Resolution, obtained: _Obtained) -> Held:
        entry = obtained.entry
        if entry.digest is None or entry.picture is None:
            raise _remembered(entry.failure or errors.SourceFailed.code)
        return Held(
            resolution,
            entry,
            entry.picture,
            entry.digest,
            obtained.cache,
            obtained.unkept,
            obtained.unkept_renditions,
        )


def _original(held: Held) -> Served:
    picture = held.picture
    return Served(
        held.digest,
        picture.format,
        picture.width,
        picture.height,
        held.unkept,
        picture.bytes,
        same_as_original=True,
    )


def _thumbnail(rendered: Rendered, data: bytes) -> Served:
    digest = hashlib.sha256(data).hexdigest()
    return Served(
        digest,
        rendered.format,
        rendered.width,
        rendered.height,
        data,
        len(data),
        same_as_original=False,
        thumbhash=rendered.thumbhash,
        dominant=rendered.dominant,
    )


def _or_raise(made: Rendered | MediaError) -> Rendered:
    if isinstance(made, MediaError):
        raise made
    return made


def _remembered(code: str, retry_after_s: int | None = None) -> MediaError:
    kind = errors.BY_CODE.get(code, errors.SourceFailed)
    message = "this image failed a short while ago and is not tried again yet"
    return kind(message, retry_after_s=retry_after_s, reason="remembered")


async def _bytes_of(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else await asyncio.to_thread(source.read_bytes)
