"""What the index keeps of one blob: its thumbnails, those that failed, and its placeholder; as values and as
JSON.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from mediasvc.core.formats import Format
from mediasvc.core.picture import Placeholder
from mediasvc.core.records import json_fields

_FORMATS: Final = {member.value: member for member in Format}


@dataclass(frozen=True, slots=True)
class IndexedThumbnail:
    """A thumbnail that was made of an original by one spec.

    digest: of its bytes; the original's own digest where the original serves unchanged.
    bytes: how many there are.
    """

    digest: str
    format: Format
    width: int
    height: int
    bytes: int

    def to_json(self) -> str:
        """One line; `thumbnail_from_json` gives the same value back."""
        return orjson.dumps(
            {
                "form": json_fields.FORM,
                "digest": self.digest,
                "format": self.format.value,
                "width": self.width,
                "height": self.height,
                "bytes": self.bytes,
                "failure": None,
            }
        ).decode()


@dataclass(frozen=True, slots=True)
class ThumbnailFailure:
    """A thumbnail that could not be made of an original.

    code: of the MediaError.
    expires_at: until then the failure counts; aware UTC.
    """

    code: str
    expires_at: datetime

    def to_json(self) -> str:
        """One line; `thumbnail_from_json` gives the same value back (times to the microsecond)."""
        return orjson.dumps(
            {"form": json_fields.FORM, "failure": self.code, "expires_at": self.expires_at.timestamp()}
        ).decode()


ThumbnailRecord = IndexedThumbnail | ThumbnailFailure


def thumbnail_from_json(text: str) -> ThumbnailRecord:
    """The value that `to_json` wrote, in this version or an earlier one. ValueError for any other text."""
    row = json_fields.read_object(text)
    digest, failure = json_fields.digest(row), json_fields.failure(row)
    if failure is not None:
        if digest is not None:
            raise ValueError("a record is of a thumbnail or of a failure")
        return ThumbnailFailure(failure, json_fields.moment(row, "expires_at"))
    form = _FORMATS.get(json_fields.text(row, "format"))
    if digest is None or form is None:
        raise ValueError("a thumbnail has a digest and one of our formats")
    return IndexedThumbnail(
        digest=digest,
        format=form,
        width=json_fields.number(row, "width"),
        height=json_fields.number(row, "height"),
        bytes=json_fields.number(row, "bytes"),
    )


def placeholder_to_json(placeholder: Placeholder) -> str:
    """One line; `placeholder_from_json` gives the same value back."""
    return orjson.dumps(
        {
            "form": json_fields.FORM,
            "thumbhash": placeholder.thumbhash,
            "dominant": placeholder.dominant,
        }
    ).decode()


def placeholder_from_json(text: str) -> Placeholder:
    """The value that `placeholder_to_json` wrote; rows of earlier versions have these fields too.

    ValueError for any other text.
    """
    row = json_fields.read_object(text)
    if not row.keys() >= {"thumbhash", "dominant"}:
        raise ValueError("a placeholder has a thumbhash and a colour")
    return Placeholder(
        thumbhash=json_fields.text_or_none(row, "thumbhash"),
        dominant=json_fields.text_or_none(row, "dominant"),
    )
