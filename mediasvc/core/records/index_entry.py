"""What the index keeps of one source URL, as a value and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson

from mediasvc.core.formats import Format
from mediasvc.core.picture import Picture
from mediasvc.core.records import json_fields

_MAX_GRANTS: Final = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """What answers for one source URL. Times are aware UTC.

    digest, picture: of the original; both None for a failure.
    expires_at: end of freshness; for a failure, when the source is tried again.
    revalidate_until: until then it is served stale while it is being revalidated.
    stale_until: until then it is served stale if the origin fails.
    etag, last_modified: the origin's.
    failure: code of the MediaError of a source that failed.
    final_url: the URL to which redirects led, and to which the validators belong; None: the source URL
    itself.
    grants: the fields of the reply that say how long it may be served, for a 304 that leaves them out.
    paused_until: the origin failed at the last request, and is not asked again before this time.
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
                "form": json_fields.FORM,
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
        """The value that `to_json` wrote. ValueError for any other text."""
        row = json_fields.read_object(text)
        picture = row.get("picture")
        entry = Entry(
            url=json_fields.text(row, "url"),
            digest=json_fields.digest(row),
            picture=None if picture is None else _picture(picture),
            fetched_at=json_fields.moment(row, "fetched_at"),
            expires_at=json_fields.moment(row, "expires_at"),
            stale_until=json_fields.moment(row, "stale_until"),
            revalidate_until=json_fields.moment(row, "revalidate_until"),
            etag=json_fields.text_or_none(row, "etag"),
            last_modified=json_fields.text_or_none(row, "last_modified"),
            failure=json_fields.failure(row),
            final_url=json_fields.text_or_none(row, "final_url"),
            grants=_grants(row),
            paused_until=_moment_or_none(row, "paused_until"),
        )
        if (entry.failure is None) != (entry.digest is not None and entry.picture is not None):
            raise ValueError("an entry is of a picture or of a failure")
        return entry


def _moment_or_none(row: Mapping[str, object], name: str) -> datetime | None:
    return None if row.get(name) is None else json_fields.moment(row, name)


def _grants(row: Mapping[str, object]) -> Mapping[str, str]:
    """Entries of earlier versions have none."""
    value = row.get("grants", {})
    if not isinstance(value, dict) or len(value) > _MAX_GRANTS:
        raise ValueError("grants is no small object")
    return {name: json_fields.text(value, name) for name in value}


def _picture(value: object) -> Picture:
    if not isinstance(value, dict) or len(value) != 8:
        raise ValueError("picture is not an object of eight fields")
    return Picture(
        format=Format(json_fields.text(value, "format")),
        width=json_fields.number(value, "width"),
        height=json_fields.number(value, "height"),
        bytes=json_fields.number(value, "bytes"),
        frames=json_fields.number(value, "frames"),
        upright=json_fields.claim(value, "upright"),
        has_alpha=json_fields.claim(value, "has_alpha"),
        tail=json_fields.number(value, "tail"),
    )
