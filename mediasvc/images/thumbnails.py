"""Thumbnails of originals that are at hand: looked up, made, kept."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from mediasvc import errors, logs, metrics
from mediasvc.core.addresses import urls
from mediasvc.core.http import caching
from mediasvc.core.http.caching import CacheRules, Entry, Rendition
from mediasvc.core.picture import Format, Picture, Rendered, ThumbnailSpec, is_own_thumbnail
from mediasvc.core.records.asset_name import asset_name
from mediasvc.core.records.index_entry import PLACEHOLDER_KEY
from mediasvc.effects.blobs import Blobs
from mediasvc.effects.imaging.pool import ImageWorkers, Processed
from mediasvc.effects.index import Index
from mediasvc.errors import MediaError, StoreFailed


class CacheStatus(StrEnum):
    """How the original came to be at hand; the words of the X-Cache header."""

    HIT = "HIT"
    MISS = "MISS"
    STALE = "STALE"
    REVALIDATED = "REVALIDATED"


@dataclass(frozen=True, slots=True)
class Made:
    """A thumbnail that was made while its original was fetched. is_kept: it can be had from the store as well."""

    rendered: Rendered
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The original of one source URL, at hand.

    unkept: its bytes, where they may not be kept (private, no-store) or could not be (store failed).
    made: what was made in the same step, by the key of its spec; placeholder: what was computed there, as
    Images.placeholder gives it.
    """

    resolution: urls.Resolution
    entry: Entry
    picture: Picture
    digest: str
    cache: CacheStatus
    unkept: bytes | None = None
    made: Mapping[str, Made] = field(default_factory=dict)
    placeholder: tuple[str | None, str | None] | None = None

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

    @property
    def name(self) -> str:
        """The immutable name of these bytes as an asset."""
        return asset_name(self.digest, self.format)


def remembered(code: str, retry_after_s: int | None = None) -> MediaError:
    """The failure that the index keeps, raised again."""
    kind = errors.BY_CODE.get(code, errors.SourceFailed)
    message = "this image failed a short while ago and is not tried again yet"
    return kind(message, retry_after_s=retry_after_s, reason="remembered")


class Renditions:
    """What is made of originals. The keys of the index are the original's digest and the spec."""

    def __init__(
        self,
        *,
        workers: ImageWorkers,
        blobs: Blobs,
        index: Index,
        rules: CacheRules,
        clock: Callable[[], datetime],
    ) -> None:
        self._workers = workers
        self._blobs = blobs
        self._index = index
        self._rules = rules
        self._clock = clock

    def at_hand(self, held: Held, spec: ThumbnailSpec, *, load: bool = True) -> Served | None:
        """A thumbnail that was made while its original was fetched. load False: as for ready."""
        made = held.made.get(spec.key())
        if made is None:
            return None
        served = _served(held, made.rendered)
        return served if load or not made.is_kept else replace(served, data=None)

    async def of_unkept(self, held: Held, spec: ThumbnailSpec, data: bytes) -> Served:
        """A thumbnail of bytes that are not kept."""
        processed = await self._workers.process(data, (spec,))
        return _served(held, _or_raise(processed.renditions[0]))

    async def ready(self, held: Held, spec: ThumbnailSpec, *, load: bool = True) -> Served | None:
        """A thumbnail that was made before; None: it has to be made. Raises what failed a short while ago.

        load False: it is only known to be there, its bytes are not read.
        """
        try:
            record = await self._index.rendition(held.digest, spec.key())
        except StoreFailed:
            return None
        if record is None:
            metrics.cache_requests.labels("rendition", "miss").inc()
            return None
        if record.failure is not None:
            if record.expires_at is not None and record.expires_at <= self._clock():
                return None
            metrics.cache_requests.labels("rendition", "negative").inc()
            raise remembered(record.failure)
        if record.digest is None:
            return None
        metrics.cache_requests.labels("rendition", "hit").inc()
        if record.digest == held.digest:
            return original(held)
        data = await self._blobs.read(record.digest) if load else None
        if data is None and (load or await self._blobs.size(record.digest) is None):
            return None
        size = (record.width, record.height)
        return Served(record.digest, Format(record.format), *size, data, record.bytes, same_as_original=False)

    async def make(self, held: Held, source: Path | bytes, spec: ThumbnailSpec) -> Served:
        """A thumbnail made now, and kept where that is possible. What the picture does to us is remembered too."""
        try:
            made: Rendered | MediaError = (await self._workers.process(source, (spec,))).renditions[0]
        except (errors.Undecodable, errors.ProcessingTimeout, errors.TooManyPixels) as error:
            made = error
        if held.unkept is None:
            _, records = await self.keep(held.entry, (spec,), (made,))
            await self._put(held.digest, records)
        return _served(held, _or_raise(made))

    async def keep(
        self, entry: Entry, specs: tuple[ThumbnailSpec, ...], made: tuple[Rendered | MediaError, ...]
    ) -> tuple[dict[str, Made], dict[str, Rendition]]:
        """Keeps the bytes of what was made of an original; what is at hand now, and what the index is to know of it.

        Trouble is logged: the bytes are at hand all the same.
        """
        at_hand: dict[str, Made] = {}
        records: dict[str, Rendition] = {}
        for spec, rendered in zip(specs, made, strict=True):
            key = spec.key()
            try:
                record = await self._keep(entry, rendered)
            except StoreFailed as error:
                logs.get().warning("rendition.unkept", reason=str(error))
                record = None
            if record is not None:
                records[key] = record
            if isinstance(rendered, Rendered):
                at_hand[key] = Made(rendered, record is not None)
        return at_hand, records

    async def _keep(self, entry: Entry, made: Rendered | MediaError) -> Rendition | None:
        if entry.digest is None or entry.picture is None:
            return None
        if isinstance(made, MediaError):
            until = caching.negative_until(made, self._clock(), self._rules)
            form = entry.picture.format
            return None if until is None else Rendition(None, form, 0, 0, 0, made.code, until, None, None)
        digest = entry.digest if made.data is None else await self._blobs.put(made.data)
        size = entry.picture.bytes if made.data is None else len(made.data)
        return Rendition(
            digest, made.format, made.width, made.height, size, None, None, made.thumbhash, made.dominant
        )

    async def _put(self, digest: str, records: Mapping[str, Rendition]) -> None:
        try:
            for key, record in records.items():
                await self._index.put_rendition(digest, key, record)
        except StoreFailed as error:
            logs.get().warning("rendition.unkept", reason=str(error))

    async def known_placeholder(self, held: Held) -> tuple[str | None, str | None] | None:
        """(thumbhash in base64, dominant colour as #rrggbb), if they were computed before; each may be None."""
        try:
            record = await self._index.rendition(held.digest, PLACEHOLDER_KEY)
        except StoreFailed:
            return None
        return None if record is None else (record.thumbhash, record.dominant)

    async def placeholder(self, held: Held, source: Path | bytes) -> tuple[str | None, str | None]:
        """The same, computed now. None each where the picture cannot be decoded."""
        try:
            processed = await self._workers.process(source, (), placeholder=True)
        except (errors.Undecodable, errors.ProcessingTimeout):
            return None, None
        if held.unkept is None:
            await self._put(held.digest, placeholder_record(held.digest, processed))
        return processed.thumbhash, processed.dominant


def placeholder_record(digest: str, processed: Processed) -> dict[str, Rendition]:
    """What the index is to know of the placeholder of an original, by the key of its spec."""
    picture = processed.picture
    size = (picture.width, picture.height, picture.bytes)
    record = Rendition(digest, picture.format, *size, None, None, processed.thumbhash, processed.dominant)
    return {PLACEHOLDER_KEY: record}


def original(held: Held) -> Served:
    """The original itself, served."""
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


def _served(held: Held, rendered: Rendered) -> Served:
    data = rendered.data
    if data is None:
        return original(held)
    digest = hashlib.sha256(data).hexdigest()
    size = (rendered.width, rendered.height)
    return Served(digest, rendered.format, *size, data, len(data), same_as_original=False)


def _or_raise(made: Rendered | MediaError) -> Rendered:
    if isinstance(made, MediaError):
        raise made
    return made
