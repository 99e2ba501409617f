"""The two nouns of the image walk: an original that is available, and an image that answers a request."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mediasvc import errors
from mediasvc.core.addresses.urls import SourceUrl
from mediasvc.core.formats import Format
from mediasvc.core.picture import Picture, Placeholder, ThumbnailSpec, is_own_thumbnail
from mediasvc.core.records.asset_name import asset_name
from mediasvc.core.records.index_entry import Entry
from mediasvc.errors import MediaError


class CacheStatus(StrEnum):
    """Where an original came from; the words of the X-Cache header."""

    HIT = "HIT"
    MISS = "MISS"
    STALE = "STALE"
    REVALIDATED = "REVALIDATED"


@dataclass(frozen=True, slots=True)
class Image:
    """Bytes that answer a request.

    width, height: pixels as shown; 0 where an SVG states none; None where only the bytes are known.
    data: the bytes, where they are in memory; None: the store has them.
    bytes: how many there are.
    is_original: these are the original's bytes, unchanged.
    is_kept: the store has the bytes.
    """

    digest: str
    format: Format
    width: int | None
    height: int | None
    data: bytes | None
    bytes: int
    is_original: bool
    is_kept: bool

    @property
    def name(self) -> str:
        """The immutable name of these bytes as an asset."""
        return asset_name(self.digest, self.format)


@dataclass(frozen=True, slots=True)
class Original:
    """The original of one source URL, available. One value for all callers that waited for it.

    unkept: its bytes, where they may not be stored (private, no-store) or could not be (the store failed).
    thumbnails: made in the same step, by the key of the spec.
    placeholder: computed in the same step; None: not asked for.
    """

    entry: Entry
    picture: Picture
    digest: str
    cache: CacheStatus
    unkept: bytes | None = None
    thumbnails: Mapping[str, Image] = field(default_factory=dict)
    placeholder: Placeholder | None = None

    @property
    def url(self) -> SourceUrl:
        """The origin URL."""
        return SourceUrl(self.entry.url)

    def etag(self, spec: ThumbnailSpec | None) -> str:
        """The strong validator of the reply for a spec, in its quotes; known without any image work."""
        if spec is None or is_own_thumbnail(self.picture, spec):
            return f'"{self.digest}"'
        return f'"{hashlib.sha256(f"{self.digest} {spec.key()}".encode()).hexdigest()}"'

    def as_image(self) -> Image:
        """The original as the answer."""
        return Image(
            digest=self.digest,
            format=self.picture.format,
            width=self.picture.width,
            height=self.picture.height,
            bytes=self.picture.bytes,
            data=self.unkept,
            is_original=True,
            is_kept=self.unkept is None,
        )


def stored_original(entry: Entry, cache: CacheStatus) -> Original:
    """The original that an entry names, in the store. Raises the failure of an entry that is of one."""
    if entry.digest is None or entry.picture is None:
        raise remembered_failure(entry.failure or errors.SourceFailed.code)
    return Original(entry=entry, picture=entry.picture, digest=entry.digest, cache=cache)


def remembered_failure(code: str, retry_after_s: int | None = None) -> MediaError:
    """A failure that the index has kept, to be raised again."""
    kind = errors.BY_CODE.get(code, errors.SourceFailed)
    message = "this image failed a short while ago and is not tried again yet"
    return kind(message, retry_after_s=retry_after_s, reason="remembered")
