"""Walk A: one image, from the address that was asked for to the bytes that answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from mediasvc import errors, metrics
from mediasvc.core.addresses import urls
from mediasvc.core.addresses.lookup import Addresses
from mediasvc.core.http.caching import CacheRules
from mediasvc.core.picture import Format, ThumbnailSpec, is_own_thumbnail
from mediasvc.core.records.asset_name import asset_name
from mediasvc.core.records.cache_news import Tally
from mediasvc.effects.blobs import Blobs
from mediasvc.effects.fetch.fetcher import Fetcher
from mediasvc.effects.imaging.pool import ImageWorkers
from mediasvc.effects.index import Index
from mediasvc.effects.locks.single_flight import Flights
from mediasvc.errors import SourceMissing, StoreFailed
from mediasvc.images.originals import Originals, Wish
from mediasvc.images.thumbnails import CacheStatus, Held, Renditions, Served, original

T = TypeVar("T")

_DELIVERIES = 4
_SMALL_BYTES = 1024 * 1024


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
        self.blobs = blobs
        self.index = index
        self.tally = Tally()
        self._flights = flights
        self._renditions = Renditions(workers=workers, blobs=blobs, index=index, rules=rules, clock=clock)
        self._originals = Originals(
            renditions=self._renditions,
            fetcher=fetcher,
            workers=workers,
            blobs=blobs,
            index=index,
            flights=flights,
            rules=rules,
            clock=clock,
        )

    def resolve(self, address: str) -> urls.Resolution:
        """As Addresses.resolve."""
        return self.addresses.resolve(address)

    async def hold(
        self,
        address: str,
        spec: ThumbnailSpec | None = None,
        *,
        placeholder: bool = False,
        failures_since: datetime | None = None,
    ) -> Held:
        """Unwrap, check, and make sure we have the original: from what is kept, or from its origin.

        spec: the thumbnail that will be asked for next; where the original must be fetched, it is made in
        the same step; so is the placeholder where that is wanted. Raises what the resolver,
        the policy, the fetch and the decoder raise.
        """
        try:
            resolution = self.resolve(address)
            self.addresses.policy.check_url(resolution.origin)
        except errors.SourceRefused as error:
            metrics.refused_sources.labels(error.reason or "policy").inc()
            raise
        held = await self._originals.hold(
            resolution, Wish(resolution.origin, spec, placeholder, failures_since)
        )
        if held.cache in (CacheStatus.HIT, CacheStatus.STALE):
            self.tally.hits += 1
        else:
            self.tally.misses += 1
        return held

    async def serve(self, held: Held, spec: ThumbnailSpec | None, *, load: bool = True) -> Served:
        """The bytes for a spec (None: the original), made now where nobody made them before.

        load False: a thumbnail that is kept is only known to be there, its bytes are not read.
        """
        if spec is None or is_own_thumbnail(held.picture, spec):
            return await self._original(held)
        ready = self._renditions.at_hand(held, spec, load=load)
        if ready is None and held.unkept is not None:
            ready = await self._renditions.of_unkept(held, spec, held.unkept)
        if ready is None:
            ready = await self._renditions.ready(held, spec, load=load)
        if ready is None:
            key = f"rendition:{held.digest}:{spec.key()}"
            ready = await self._flights.run(key, lambda: self._make(held, spec))
        return await self._original(held) if ready.same_as_original else ready

    async def _original(self, held: Held) -> Served:
        # A miss was kept a moment ago.
        is_old = held.unkept is None and held.cache is not CacheStatus.MISS
        if is_old and await self.blobs.size(held.digest) is None:
            held = await self._originals.fetch_again(held)
        return original(held)

    async def _make(self, held: Held, spec: ThumbnailSpec) -> Served:
        """In flight, alone for this rendition: look again, then do the image work."""
        ready = await self._renditions.ready(held, spec)
        if ready is not None:
            return ready
        held, source = await self._source(held)
        try:
            return await self._renditions.make(held, source, spec)
        except StoreFailed:
            # Evicted or purged between being found and being read: from the origin, then.
            held, source = await self._source(await self._originals.fetch_again(held))
            return await self._renditions.make(held, source, spec)

    async def _source(self, held: Held) -> tuple[Held, Path | bytes]:
        """The bytes of an original for image work, fetched anew where the store has lost them."""
        source: Path | bytes | None = held.unkept
        if source is None:
            source = await self._kept(held)
        if source is None:
            held = await self._originals.fetch_again(held)
            source = held.unkept if held.unkept is not None else await self._kept(held)
        if source is None:
            raise StoreFailed("the original went away while it was being read; ask again")
        return held, source

    async def _kept(self, held: Held) -> Path | bytes | None:
        """Small ones in memory, so that they cannot go before an image process has read them."""
        if held.picture.bytes <= _SMALL_BYTES:
            return await self.blobs.read(held.digest)
        return await self.blobs.path(held.digest)

    async def deliver(
        self, held: Held, spec: ThumbnailSpec | None, take: Callable[[Served], Awaitable[T | None]]
    ) -> tuple[Held, Served, T]:
        """As serve, and lets `take` get hold of the bytes; where those have gone meanwhile, all is done anew.

        take: None where there are none any more. StoreFailed where a cache that is much too small loses them each time.
        """
        for _ in range(_DELIVERIES):
            served = await self.serve(held, spec)
            taken = await take(served)
            if taken is not None:
                return held, served, taken
            held = await self._originals.fetch_again(held)
        raise StoreFailed("the stored image went away while it was being read; ask again")

    async def read(self, served: Served) -> bytes | None:
        """The bytes; None where they went away meanwhile. StoreFailed."""
        return served.data if served.data is not None else await self.blobs.read(served.digest)

    async def path(self, served: Served) -> Path | None:
        """A file with exactly these bytes, where there is one."""
        return None if served.data is not None else await self.blobs.path(served.digest)

    async def asset(self, digest: str, form: Format) -> Served:
        """The asset whose name says this. SourceMissing where we hold none; StoreFailed."""
        size = await self.blobs.size(digest)
        if size is None:
            raise SourceMissing("this asset is not kept here")
        self.tally.hits += 1
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
        if held.placeholder is not None:
            return held.placeholder
        known = None if held.unkept is not None else await self._renditions.known_placeholder(held)
        if known is not None:
            return known
        held, source = await self._source(held)
        try:
            return await self._renditions.placeholder(held, source)
        except StoreFailed:
            held, source = await self._source(await self._originals.fetch_again(held))
            return await self._renditions.placeholder(held, source)

    async def purge(self, address: str) -> urls.SourceUrl:
        """Forgets the original behind an address and every thumbnail of it; the news goes to all replicas.

        The origin URL. What policy forbids by now can be purged as well. StoreFailed: ask again.
        """
        origin = self.addresses.resolver.resolve(address).origin
        await self._originals.purge(origin)
        return origin

    def forget(self, url: str) -> None:
        """Drops what this process alone remembers of a URL that was purged elsewhere."""
        self._originals.forget(url)

    async def report(self) -> None:
        """Tells the index how often what was held has helped since the last time. Trouble leaves it for the next."""
        taken = self.tally.take()
        if taken == Tally():
            return
        try:
            await self.index.count(taken)
        except StoreFailed:
            self.tally.add(taken)

    async def close(self) -> None:
        """Ends refreshes that are under way."""
        await self._originals.close()
        await self.report()
