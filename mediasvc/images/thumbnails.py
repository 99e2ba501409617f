"""Thumbnails and placeholders of originals: looked up, made, kept."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from mediasvc import errors, logs, metrics
from mediasvc.core.http import caching
from mediasvc.core.http.caching import CacheRules
from mediasvc.core.picture import Placeholder, Rendered, ThumbnailSpec
from mediasvc.core.records.index_thumbnail import IndexedThumbnail, ThumbnailFailure, ThumbnailRecord
from mediasvc.effects.blobs import Blobs
from mediasvc.effects.imaging.pool import ImageProcesses
from mediasvc.effects.index import Index
from mediasvc.errors import MediaError, StoreFailed
from mediasvc.images.image import Image, Original, remembered_failure


class Thumbnails:
    """What is made of originals. The keys of the index are the original's digest and the spec."""

    def __init__(
        self,
        *,
        image_processes: ImageProcesses,
        blobs: Blobs,
        index: Index,
        rules: CacheRules,
        clock: Callable[[], datetime],
    ) -> None:
        self._image_processes = image_processes
        self._blobs = blobs
        self._index = index
        self._rules = rules
        self._clock = clock

    def made_with(self, original: Original, spec: ThumbnailSpec, *, load: bool = True) -> Image | None:
        """The thumbnail that was made while the original was fetched; None: another one was, or none.

        load: False drops the bytes of a thumbnail that the store has.
        """
        made = original.thumbnails.get(spec.key())
        return made if made is None or load or not made.is_kept else replace(made, data=None)

    async def of_unkept(self, original: Original, spec: ThumbnailSpec, data: bytes) -> Image:
        """A thumbnail of bytes that are not stored; it is not stored either."""
        processed = await self._image_processes.process(data, (spec,))
        return _image(original, _or_raise(processed.thumbnails[0]), None)

    async def stored(self, original: Original, spec: ThumbnailSpec, *, load: bool = True) -> Image | None:
        """The thumbnail that was made earlier; None: it must be made. Raises a failure that still counts.

        load: False: the thumbnail is in the store, but its bytes are not read.
        """
        try:
            record = await self._index.thumbnail(original.digest, spec.key())
        except StoreFailed:
            return None
        match record:
            case None:
                metrics.cache_requests.labels("rendition", "miss").inc()
                return None
            case ThumbnailFailure(code=code, expires_at=expires_at):
                if expires_at <= self._clock():
                    return None
                metrics.cache_requests.labels("rendition", "negative").inc()
                raise remembered_failure(code)
            case IndexedThumbnail():
                metrics.cache_requests.labels("rendition", "hit").inc()
                return await self._read(original, record, load=load)

    async def _read(self, original: Original, record: IndexedThumbnail, *, load: bool) -> Image | None:
        if record.digest == original.digest:
            return original.as_image()
        data = await self._blobs.read(record.digest) if load else None
        if data is None and (load or await self._blobs.size(record.digest) is None):
            return None
        return Image(
            digest=record.digest,
            format=record.format,
            width=record.width,
            height=record.height,
            bytes=record.bytes,
            data=data,
            is_original=False,
            is_kept=True,
        )

    async def make(self, original: Original, source: Path | bytes, spec: ThumbnailSpec) -> Image:
        """A thumbnail made now, and stored where that is possible.

        A failure of the picture is remembered too.
        """
        try:
            made: Rendered | MediaError = (await self._image_processes.process(source, (spec,))).thumbnails[0]
        except (errors.Undecodable, errors.ProcessingTimeout, errors.TooManyPixels) as error:
            made = error
        thumbnails, records = await self.keep(original, (spec,), (made,))
        try:
            for key, record in records.items():
                await self._index.put_thumbnail(original.digest, key, record)
        except StoreFailed as error:
            logs.get().warning("thumbnail.unkept", reason=str(error))
        _or_raise(made)
        return thumbnails[spec.key()]

    async def keep(
        self, original: Original, specs: tuple[ThumbnailSpec, ...], made: tuple[Rendered | MediaError, ...]
    ) -> tuple[dict[str, Image], dict[str, ThumbnailRecord]]:
        """Stores the bytes of thumbnails: (thumbnails that can be served, records for the index), each by
        key.

        Trouble with the store is logged; the thumbnail can be served all the same. Thumbnails of an original
        that is not stored are not stored either, and have no record.
        """
        thumbnails: dict[str, Image] = {}
        records: dict[str, ThumbnailRecord] = {}
        for spec, rendered in zip(specs, made, strict=True):
            record = await self._keep(original, rendered)
            if record is not None:
                records[spec.key()] = record
            if isinstance(rendered, Rendered):
                thumbnails[spec.key()] = _image(original, rendered, record)
        return thumbnails, records

    async def _keep(self, original: Original, made: Rendered | MediaError) -> ThumbnailRecord | None:
        if original.unkept is not None:
            return None
        if isinstance(made, MediaError):
            until = caching.negative_until(made, self._clock(), self._rules)
            return None if until is None else ThumbnailFailure(made.code, until)
        try:
            digest = original.digest if made.data is None else await self._blobs.put(made.data)
        except StoreFailed as error:
            logs.get().warning("thumbnail.unkept", reason=str(error))
            return None
        return IndexedThumbnail(
            digest=digest,
            format=made.format,
            width=made.width,
            height=made.height,
            bytes=original.picture.bytes if made.data is None else len(made.data),
        )

    async def known_placeholder(self, original: Original) -> Placeholder | None:
        """The placeholder that was computed earlier."""
        if original.placeholder is not None or original.unkept is not None:
            return original.placeholder
        try:
            return await self._index.placeholder(original.digest)
        except StoreFailed:
            return None

    async def compute_placeholder(self, original: Original, source: Path | bytes) -> Placeholder:
        """The placeholder, computed now."""
        try:
            processed = await self._image_processes.process(source, (), placeholder=True)
        except (errors.Undecodable, errors.ProcessingTimeout):
            return Placeholder(None, None)
        placeholder = Placeholder(processed.thumbhash, processed.dominant)
        if original.unkept is None:
            try:
                await self._index.put_placeholder(original.digest, placeholder)
            except StoreFailed as error:
                logs.get().warning("thumbnail.unkept", reason=str(error))
        return placeholder


def _image(original: Original, rendered: Rendered, record: ThumbnailRecord | None) -> Image:
    """record: of the thumbnail, where it is stored."""
    if rendered.data is None:
        return original.as_image()
    stored = record if isinstance(record, IndexedThumbnail) else None
    return Image(
        digest=hashlib.sha256(rendered.data).hexdigest() if stored is None else stored.digest,
        format=rendered.format,
        width=rendered.width,
        height=rendered.height,
        bytes=len(rendered.data),
        data=rendered.data,
        is_original=False,
        is_kept=stored is not None,
    )


def _or_raise(made: Rendered | MediaError) -> Rendered:
    if isinstance(made, MediaError):
        raise made
    return made
