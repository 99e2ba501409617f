"""Walk A: one image, from the address that was asked for to the bytes that answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from mediasvc import errors, metrics
from mediasvc.core.addresses.lookup import Addresses
from mediasvc.core.addresses.urls import Resolution, SourceUrl
from mediasvc.core.formats import Format
from mediasvc.core.http.caching import CacheRules
from mediasvc.core.picture import Placeholder, ThumbnailSpec, is_own_thumbnail
from mediasvc.core.records.asset_name import asset_name
from mediasvc.core.records.cache_news import Tally
from mediasvc.core.records.index_thumbnail import IndexedThumbnail
from mediasvc.effects.blobs import Blobs
from mediasvc.effects.fetch.fetcher import Fetcher
from mediasvc.effects.imaging.pool import ImageProcesses
from mediasvc.effects.index import Index
from mediasvc.effects.locks.single_flight import SingleFlight
from mediasvc.errors import SourceMissing, StoreFailed
from mediasvc.images.image import CacheStatus, Image, Original
from mediasvc.images.originals import OriginalRequest, Originals
from mediasvc.images.thumbnails import Thumbnails

T = TypeVar("T")

_DELIVERIES: Final = 4
_SMALL_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class OriginalInfo:
    """What is known of an original; sizes in pixels as shown, after orientation."""

    origin: SourceUrl
    digest: str
    format: Format
    width: int
    height: int
    bytes: int
    animated: bool
    placeholder: Placeholder
    fetched_at: datetime
    expires_at: datetime

    def members(self) -> dict[str, object]:
        """The members of the JSON object that /v1/info and `mediasvc info` give."""
        return {
            "origin": self.origin,
            "digest": self.digest,
            "format": self.format.value,
            "width": self.width,
            "height": self.height,
            "bytes": self.bytes,
            "animated": self.animated,
            "thumbhash": self.placeholder.thumbhash,
            "dominant": self.placeholder.dominant,
            "fetched_at": _moment(self.fetched_at),
            "expires_at": _moment(self.expires_at),
        }


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


class Images:
    """One image at a time, from address to bytes; the only code path for every door."""

    def __init__(
        self,
        *,
        addresses: Addresses,
        fetcher: Fetcher,
        image_processes: ImageProcesses,
        blobs: Blobs,
        index: Index,
        flights: SingleFlight,
        rules: CacheRules,
        clock: Callable[[], datetime],
    ) -> None:
        """clock: the present moment, aware UTC. The parts are opened and closed by wiring."""
        self._addresses = addresses
        self._blobs = blobs
        self._index = index
        self._flights = flights
        self.tally = Tally()
        self._thumbnails = Thumbnails(
            image_processes=image_processes, blobs=blobs, index=index, rules=rules, clock=clock
        )
        self._originals = Originals(
            thumbnails=self._thumbnails,
            fetcher=fetcher,
            image_processes=image_processes,
            blobs=blobs,
            index=index,
            flights=flights,
            rules=rules,
            clock=clock,
        )

    def resolve(self, address: str) -> Resolution:
        """As Addresses.resolve."""
        return self._addresses.resolve(address)

    def explain(self, address: str) -> Resolution:
        """As Addresses.explain."""
        return self._addresses.explain(address)

    async def obtain(
        self,
        address: str,
        spec: ThumbnailSpec | None = None,
        *,
        placeholder: bool = False,
        failures_since: datetime | None = None,
    ) -> Original:
        """Unwrap, check, and make the original available: from the cache, or from its origin.

        spec, placeholder: what will be asked for next; made in the same step where the original must be
        fetched.
        failures_since: a remembered failure from before then does not count.
        Raises what the resolver, the policy, the fetch and the decoder raise.
        """
        try:
            origin = self._addresses.allowed_origin(address)
        except errors.SourceRefused as error:
            metrics.refused_sources.labels(error.reason or "policy").inc()
            raise
        wanted = OriginalRequest(
            url=origin, spec=spec, placeholder=placeholder, failures_since=failures_since
        )
        original = await self._originals.obtain(wanted)
        if original.cache in (CacheStatus.HIT, CacheStatus.STALE):
            self.count_hits(1)
        else:
            self.tally.add(Tally(misses=1))
        return original

    async def serve(self, original: Original, spec: ThumbnailSpec | None, *, load: bool = True) -> Image:
        """The image for a spec (None: the original), made now where no one made it before.

        load: False: the bytes of a thumbnail that the store has are not read.
        """
        if spec is None or is_own_thumbnail(original.picture, spec):
            return await self._whole(original)
        image = self._thumbnails.made_with(original, spec, load=load)
        if image is None and original.unkept is not None:
            image = await self._thumbnails.of_unkept(original, spec, original.unkept)
        if image is None:
            image = await self._thumbnails.stored(original, spec, load=load)
        if image is None:
            key = f"rendition:{original.digest}:{spec.key()}"
            image = await self._flights.run(key, lambda: self._make(original, spec))
        return await self._whole(original) if image.is_original else image

    async def _whole(self, original: Original) -> Image:
        """The original as the answer; fetched again where the store has lost it."""
        # A miss was stored a moment ago.
        is_old = original.unkept is None and original.cache is not CacheStatus.MISS
        if is_old and await self._blobs.size(original.digest) is None:
            original = await self._originals.fetch_again(original)
        return original.as_image()

    async def _make(self, original: Original, spec: ThumbnailSpec) -> Image:
        """The single flight of one thumbnail: look again, then do the image work."""
        image = await self._thumbnails.stored(original, spec)
        if image is not None:
            return image
        original, source = await self._source(original)
        try:
            return await self._thumbnails.make(original, source, spec)
        except StoreFailed:
            # Evicted or purged between being found and being read: from the origin, then.
            original, source = await self._source(await self._originals.fetch_again(original))
            return await self._thumbnails.make(original, source, spec)

    async def _source(self, original: Original) -> tuple[Original, Path | bytes]:
        """The bytes of an original for image work, fetched anew where the store has lost them."""
        source = await self._bytes_for_work(original)
        if source is None:
            original = await self._originals.fetch_again(original)
            source = await self._bytes_for_work(original)
        if source is None:
            raise StoreFailed("the original went away while it was being read; ask again")
        return original, source

    async def _bytes_for_work(self, original: Original) -> Path | bytes | None:
        """Small originals in memory, so that they cannot vanish before an image process has read them."""
        if original.unkept is not None:
            return original.unkept
        if original.picture.bytes <= _SMALL_BYTES:
            return await self._blobs.read(original.digest)
        return await self._blobs.path(original.digest)

    async def deliver(
        self, original: Original, spec: ThumbnailSpec | None, take: Callable[[Image], Awaitable[T | None]]
    ) -> tuple[Original, Image, T]:
        """As serve, and `take` gets hold of the bytes; where they are gone meanwhile, everything is done
        again.

        take: gives None where the bytes are gone.
        StoreFailed: the cache is much too small and loses the bytes each time.
        """
        for _ in range(_DELIVERIES):
            image = await self.serve(original, spec)
            taken = await take(image)
            if taken is not None:
                return original, image, taken
            original = await self._originals.fetch_again(original)
        raise StoreFailed("the stored image went away while it was being read; ask again")

    async def read(self, image: Image) -> bytes | None:
        """The bytes; None where they are gone meanwhile. StoreFailed."""
        return image.data if image.data is not None else await self._blobs.read(image.digest)

    async def path(self, image: Image) -> Path | None:
        """A file with exactly these bytes, where there is one."""
        return None if image.data is not None else await self._blobs.path(image.digest)

    async def keep(self, image: Image) -> None:
        """Stores bytes that are only in memory. StoreFailed."""
        if image.data is not None and not image.is_kept:
            await self._blobs.put(image.data)

    async def asset(self, digest: str, form: Format) -> Image:
        """The asset of this digest and format. SourceMissing where the store has none; StoreFailed."""
        size = await self._blobs.size(digest)
        if size is None:
            raise SourceMissing("this asset is not kept here")
        self.count_hits(1)
        return Image(
            digest=digest,
            format=form,
            width=None,
            height=None,
            bytes=size,
            data=None,
            is_original=False,
            is_kept=True,
        )

    async def known_name(self, origin: SourceUrl, spec: ThumbnailSpec | None) -> str | None:
        """The asset name that a spec of an origin URL has, as far as the index knows; asks nothing else."""
        try:
            entry = await self._index.source(origin)
            if entry is None or entry.digest is None or entry.picture is None:
                return None
            if spec is None or is_own_thumbnail(entry.picture, spec):
                return asset_name(entry.digest, entry.picture.format)
            record = await self._index.thumbnail(entry.digest, spec.key())
        except StoreFailed:
            return None
        return asset_name(record.digest, record.format) if isinstance(record, IndexedThumbnail) else None

    async def info(self, address: str) -> OriginalInfo:
        """What there is to know of the image behind an address; fetches it where needed."""
        original = await self.obtain(address)
        return OriginalInfo(
            origin=original.url,
            digest=original.digest,
            format=original.picture.format,
            width=original.picture.width,
            height=original.picture.height,
            bytes=original.picture.bytes,
            animated=original.picture.animated,
            placeholder=await self.placeholder(original),
            fetched_at=original.entry.fetched_at,
            expires_at=original.entry.expires_at,
        )

    async def placeholder(self, original: Original) -> Placeholder:
        """The placeholder of an original, computed where no one computed it before."""
        known = await self._thumbnails.known_placeholder(original)
        if known is not None:
            return known
        original, source = await self._source(original)
        try:
            return await self._thumbnails.compute_placeholder(original, source)
        except StoreFailed:
            original, source = await self._source(await self._originals.fetch_again(original))
            return await self._thumbnails.compute_placeholder(original, source)

    async def purge(self, address: str) -> SourceUrl:
        """Forgets the original behind an address and every thumbnail of it, in all replicas; the origin URL.

        A source that policy forbids by now can be purged as well. StoreFailed: ask again.
        """
        origin = self._addresses.origin(address)
        await self._originals.purge(origin)
        return origin

    def forget(self, url: str) -> None:
        """Drops what only this process remembers of a URL that was purged elsewhere."""
        self._originals.forget(url)

    def forget_all(self) -> None:
        """Drops everything that this process alone remembers."""
        self._originals.forget_all()

    def count_hits(self, number: int) -> None:
        """Counts images that were answered from the cache, for the figures of the index."""
        self.tally.add(Tally(hits=number))

    async def report(self) -> None:
        """Adds the hits and misses since the last time to the index.

        Where that fails, the next call tries again.
        """
        taken = self.tally.take()
        if taken == Tally():
            return
        try:
            await self._index.count(taken)
        except StoreFailed:
            self.tally.add(taken)

    async def close(self) -> None:
        """Ends refreshes that are under way."""
        await self._originals.close()
        await self.report()
