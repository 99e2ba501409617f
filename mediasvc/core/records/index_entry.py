"""What the index keeps: the entry of a source URL, and the record of a thumbnail; as values and as JSON."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson

from mediasvc.core.picture import Format, Picture
from mediasvc.errors import BY_CODE

PLACEHOLDER_KEY: Final = "placeholder:v3"
"""Stands for a spec where the record is of a blob's placeholder (thumbhash, colour) and of no thumbnail."""
_FORM: Final = 1
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_MAX_TEXT_CHARS: Final = 65_536
_MAX_GRANTS: Final = 8
_MAX_NUMBER: Final = 1 << 53
_MAX_MOMENT_S: Final = 253_402_300_799.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What answers for one source URL. Times are aware UTC.

    digest, picture: of the original; both None for a failure. expires_at: fresh until. revalidate_until: served while
    it is being revalidated, until. stale_until: served if the origin fails, until. etag, last_modified: the origin's.
    failure: code of a MediaError for a source that failed; then expires_at says until when it is not tried again.
    final_url: where redirects led, the URL whose validators these are; None: the source URL itself.
    grants: the fields of the reply that say how long it may be served, for a 304 that leaves them out.
    paused_until: the origin failed when it was asked last, and is not asked again before then.
    """

    url: str
    digest: str | None
    picture: Picture | None
    fetched_at: datetime
    expires_at: datetime
    stale_until: datetime
    revalidate_until: datetime
    etag: str | None
    last_modified: str | None
    failure: str | None
    final_url: str | None = None
    grants: Mapping[str, str] = field(default_factory=dict)
    paused_until: datetime | None = None

    def to_json(self) -> str:
        """One line; `from_json` gives the same value back (times to the microsecond)."""
        picture = self.picture
        return orjson.dumps(
            {
                "form": _FORM,
                "url": self.url,
                "digest": self.digest,
                "picture": None
                if picture is None
                else {
                    "format": picture.format.value,
                    "width": picture.width,
                    "height": picture.height,
                    "bytes": picture.bytes,
                    "frames": picture.frames,
                    "upright": picture.upright,
                    "has_alpha": picture.has_alpha,
                    "tail": picture.tail,
                },
                "fetched_at": self.fetched_at.timestamp(),
                "expires_at": self.expires_at.timestamp(),
                "stale_until": self.stale_until.timestamp(),
                "revalidate_until": self.revalidate_until.timestamp(),
                "etag": self.etag,
                "last_modified": self.last_modified,
                "failure": self.failure,
                "final_url": self.final_url,
                "grants": dict(self.grants),
                "paused_until": self.paused_until.timestamp() if self.paused_until else None,
            }
        ).decode()

    @staticmethod
    def from_json(text: str) -> "Entry":
        """ValueError: anything but what `to_json` writes, whoever wrote it."""
        fields = _fields(text)
        picture = fields.get("picture")
        entry = Entry(
            url=_text(fields, "url"),
            digest=_digest(fields),
            picture=None if picture is None else _picture(picture),
            fetched_at=_moment(fields, "fetched_at"),
            expires_at=_moment(fields, "expires_at"),
            stale_until=_moment(fields, "stale_until"),
            revalidate_until=_moment(fields, "revalidate_until"),
            etag=_text_or_none(fields, "etag"),
            last_modified=_text_or_none(fields, "last_modified"),
            failure=_failure(fields),
            final_url=_text_or_none(fields, "final_url"),
            grants=_grants(fields),
            paused_until=None if fields.get("paused_until") is None else _moment(fields, "paused_until"),
        )
        if (entry.failure is None) != (entry.digest is not None and entry.picture is not None):
            raise ValueError("an entry is of a picture or of a failure")
        return entry


@dataclass(frozen=True, slots=True)
class Rendition:
    """The thumbnail of one original by one spec.

    digest: of its bytes, the original's own where that serves; None for a failure. format: value of a Format.
    failure, expires_at: code of a MediaError, and until when it counts; both None for a picture.
    """

    digest: str | None
    format: str
    width: int
    height: int
    bytes: int
    failure: str | None
    expires_at: datetime | None
    thumbhash: str | None
    dominant: str | None

    def to_json(self) -> str:
        """One line; `from_json` gives the same value back (times to the microsecond)."""
        return orjson.dumps(
            {
                "form": _FORM,
                "digest": self.digest,
                "format": self.format,
                "width": self.width,
                "height": self.height,
                "bytes": self.bytes,
                "failure": self.failure,
                "expires_at": self.expires_at.timestamp() if self.expires_at else None,
                "thumbhash": self.thumbhash,
                "dominant": self.dominant,
            }
        ).decode()

    @staticmethod
    def from_json(text: str) -> "Rendition":
        """ValueError: anything but what `to_json` writes, whoever wrote it."""
        fields = _fields(text)
        rendition = Rendition(
            digest=_digest(fields),
            format=_text(fields, "format"),
            width=_number(fields, "width"),
            height=_number(fields, "height"),
            bytes=_number(fields, "bytes"),
            failure=_failure(fields),
            expires_at=None if fields.get("expires_at") is None else _moment(fields, "expires_at"),
            thumbhash=_text_or_none(fields, "thumbhash"),
            dominant=_text_or_none(fields, "dominant"),
        )
        if (rendition.failure is None) != (rendition.digest is not None):
            raise ValueError("a rendition is a picture or a failure")
        if rendition.failure is None and rendition.format not in _FORMATS:
            raise ValueError("format is none of ours")
        if rendition.failure is not None and rendition.expires_at is None:
            raise ValueError("a failure ends some time")
        return rendition


_FORMATS: Final = frozenset(member.value for member in Format)


def _fields(text: str) -> Mapping[str, object]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError("not JSON") from error
    if not isinstance(value, dict) or value.get("form") != _FORM:
        raise ValueError("not of this form")
    return value


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or len(value) > _MAX_TEXT_CHARS:
        raise ValueError(f"{name} is not a text")
    return value


def _text_or_none(fields: Mapping[str, object], name: str) -> str | None:
    value = None if fields.get(name) is None else _text(fields, name)
    if value is not None and not value.isprintable():
        # These go into header fields of requests to come.
        raise ValueError(f"{name} holds control characters")
    return value


def _digest(fields: Mapping[str, object]) -> str | None:
    value = _text_or_none(fields, "digest")
    if value is not None and not _DIGEST.match(value):
        raise ValueError("digest is no SHA-256")
    return value


def _failure(fields: Mapping[str, object]) -> str | None:
    value = _text_or_none(fields, "failure")
    if value is not None and value not in BY_CODE:
        raise ValueError("failure is no code of ours")
    return value


def _number(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_NUMBER:
        raise ValueError(f"{name} is not a count")
    return value


def _claim(fields: Mapping[str, object], name: str) -> bool:
    value = fields.get(name)
    if value is True or value is False:
        return value
    raise ValueError(f"{name} is neither true nor false")


def _moment(fields: Mapping[str, object], name: str) -> datetime:
    value = fields.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MAX_MOMENT_S:
        raise ValueError(f"{name} is not a time")
    return datetime.fromtimestamp(value, UTC)


def _grants(fields: Mapping[str, object]) -> Mapping[str, str]:
    """Entries of earlier versions have none."""
    value = fields.get("grants", {})
    if not isinstance(value, dict) or len(value) > _MAX_GRANTS:
        raise ValueError("grants is no small object")
    return {name: _text(value, name) for name in value}


def _picture(value: object) -> Picture:
    if not isinstance(value, dict) or len(value) != 8:
        raise ValueError("picture is not an object of eight fields")
    return Picture(
        format=Format(_text(value, "format")),
        width=_number(value, "width"),
        height=_number(value, "height"),
        bytes=_number(value, "bytes"),
        frames=_number(value, "frames"),
        upright=_claim(value, "upright"),
        has_alpha=_claim(value, "has_alpha"),
        tail=_number(value, "tail"),
    )
