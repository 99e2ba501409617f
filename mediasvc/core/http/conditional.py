"""Conditional and range requests to this service: what the client has already, and which part it wants."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mediasvc.core.http.retry import parse_date

Headers = Mapping[str, str]
"""Names in lower case, repeated fields joined with ", "."""

_GAP = re.compile(r"[ \t,]*")
_TAG = re.compile(r'((?:W/)?"[\x21\x23-\x7e\x80-\xff]*+")[ \t]*+(?=,|\Z)')
_RANGE = re.compile(r"([0-9]{0,20})-([0-9]{0,20})\Z")
_MAX_FIELD_CHARS: Final = 8192


def _tags(field: str) -> list[str] | None:
    """Entity tags of a list, as written, with commas inside tags; None: not such a list."""
    if len(field) > _MAX_FIELD_CHARS:
        return None
    tags: list[str] = []
    position = _past_gap(field, 0)
    while position < len(field):
        match = _TAG.match(field, position)
        if match is None:
            return None
        tags.append(match[1])
        position = _past_gap(field, match.end())
    return tags


def _past_gap(text: str, position: int) -> int:
    gap = _GAP.match(text, position)
    return gap.end() if gap else position


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")


def not_modified(request: Headers, etag: str, last_modified: datetime | None) -> bool:
    """Whether the client has the current reply, so that a GET or HEAD is answered with 304.

    etag: ours, quoted.
    last_modified: aware; None where there is none.
    If-None-Match is compared weakly; where it is present, dates do not count. An unreadable date does not
    count. Source: RFC 9110 sections 13.1.2, 13.1.3 and 13.2.2.
    """
    field = request.get("if-none-match")
    if field is not None:
        if field.strip() == "*":
            return True
        return any(_opaque(tag) == _opaque(etag) for tag in _tags(field) or ())
    if last_modified is None:
        return False
    since = parse_date(request.get("if-modified-since"))
    return since is not None and last_modified.replace(microsecond=0) <= since


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to and without `stop` of a reply of `length` bytes; never empty."""

    start: int
    stop: int
    length: int

    @property
    def content_range(self) -> str:
        """Value of Content-Range for the 206."""
        return f"bytes {self.start}-{self.stop - 1}/{self.length}"


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """No byte of the reply is asked for: 416."""

    length: int

    @property
    def content_range(self) -> str:
        """Value of Content-Range for the 416."""
        return f"bytes */{self.length}"


def parse_range(value: str | None, length: int) -> ByteRange | Unsatisfiable | None:
    """The one range that a Range field asks for.

    length: bytes of the whole reply.
    None: no field, or one that may be ignored, so answer 200: another unit, an unreadable range, several
    ranges (a multipart reply is never worth it for an image). Source: RFC 9110 sections 14.1.2 and 14.2.
    """
    unit, separator, ranges = (value or "").partition("=")
    if not separator or unit.strip().lower() != "bytes":
        return None
    match = _RANGE.match(ranges.strip())
    if match is None or match[0] == "-":
        return None
    first, last = match[1], match[2]
    if not first:
        wanted = min(int(last), length)
        return ByteRange(length - wanted, length, length) if wanted else Unsatisfiable(length)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= length:
        return Unsatisfiable(length)
    return ByteRange(start, min(int(last) + 1, length) if last else length, length)


def range_applies(request: Headers, etag: str, last_modified: datetime | None) -> bool:
    """Whether If-Range is absent or names the current reply, so that Range counts; else send the whole.

    A weak tag never matches, a date only when it is exactly ours. Source: RFC 9110 section 13.1.5.
    """
    field = request.get("if-range")
    if field is None:
        return True
    text = field.strip()
    if text.startswith(('"', "W/")):
        return text == etag and not etag.startswith("W/")
    moment = parse_date(text)
    return moment is not None and last_modified is not None and moment == last_modified.replace(microsecond=0)
