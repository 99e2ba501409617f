"""The bounds of a fetch, and the meaning of the head of an origin's reply."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mediasvc.core.http import retry
from mediasvc.errors import SourceFailed, SourceMissing, SourceTooLarge

Headers = Mapping[str, str]
"""Names in lower case, repeated fields joined with ", "."""

# The only fields of an origin's reply that are stored or passed on.
KEPT_HEADERS: Final = (
    "age",
    "cache-control",
    "date",
    "etag",
    "expires",
    "last-modified",
    "pragma",
    "vary",
)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BUSY: Final = frozenset({429, 502, 503, 504})
_WHOLE_RANGE = re.compile(r"bytes 0-(\d{1,19})/(\d{1,19})\Z")


@dataclass(frozen=True, slots=True)
class FetchRules:
    """Bounds of one fetch and of all fetches together. Times in seconds, sizes in bytes.

    timeout_s: for one whole fetch, with retries and redirects, without waiting for a slot.
    min_speed: bytes a second, over any `speed_window_s`; 0: no minimum.
    concurrency, per_host: requests at once, of one process.
    max_waiting: how many requests may wait for a slot; the next is Overloaded.
    max_wait_s: how long one may wait before it is Overloaded.
    """

    timeout_s: float = 20.0
    connect_timeout_s: float = 5.0
    min_speed: int = 1024
    speed_window_s: float = 10.0
    retries: int = 2
    concurrency: int = 64
    per_host: int = 8
    max_waiting: int = 10_000
    max_wait_s: float = 120.0
    max_redirects: int = 5
    max_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """A reply that carries the picture.

    length: of the body before decoding; None: not stated.
    """

    length: int | None


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect.

    location: as sent, not yet resolved or checked.
    """

    location: str


@dataclass(frozen=True, slots=True)
class NotModified:
    """The stored original is still current."""


def judge(
    status: int, headers: Headers, now: datetime, *, is_conditional: bool, max_bytes: int
) -> Body | Redirect | NotModified:
    """What a reply is, by its head alone.

    is_conditional: the request named a validator; a 304 to any other is a broken reply.
    SourceMissing: 404, 410.
    SourceTooLarge: by its stated length.
    SourceFailed: every other status, with Retry-After; a part of a file; a redirect without a target.
    Source: RFC 9110 section 15.
    """
    if status in (200, 203):
        return Body(_length(headers, max_bytes))
    if status == 206:
        return Body(_whole_length(headers, max_bytes))
    if status in _REDIRECTS:
        if not headers.get("location", "").strip():
            raise SourceFailed("The source redirects to nowhere.", reason=retry.PROTOCOL)
        return Redirect(headers["location"])
    if status == 304 and is_conditional:
        return NotModified()
    if status in (404, 410):
        raise SourceMissing(f"The source answers {status}.")
    reason = (
        retry.BUSY
        if status in _BUSY
        else retry.STATUS_FOR_NOW
        if retry.status_is_temporary(status)
        else retry.STATUS
    )
    raise SourceFailed(
        f"The source answers {status}.",
        reason=reason,
        retry_after_s=retry.retry_after_s(headers.get("retry-after"), now),
    )


def _length(headers: Headers, max_bytes: int) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise SourceFailed("The source does not say how long its reply is.", reason=retry.PROTOCOL)
    if len(text) > 18 or int(text) > max_bytes:
        raise SourceTooLarge("The source is larger than allowed.", reason="bytes")
    return int(text)


def _whole_length(headers: Headers, max_bytes: int) -> int:
    """Length of a 206 that has the whole file; this service never asks for a part."""
    match = _WHOLE_RANGE.match(headers.get("content-range", "").strip())
    if match is None or int(match[1]) + 1 != int(match[2]):
        raise SourceFailed("The source sends a part of the file only.", reason=retry.PROTOCOL)
    if int(match[2]) > max_bytes:
        raise SourceTooLarge("The source is larger than allowed.", reason="bytes")
    length = _length(headers, max_bytes)
    if length is not None and length != int(match[2]):
        raise SourceFailed("The source contradicts itself about its length.", reason=retry.PROTOCOL)
    return int(match[2])


def kept(headers: Headers) -> dict[str, str]:
    """The fields of an origin's reply that caching needs."""
    return {name: headers[name] for name in KEPT_HEADERS if name in headers}


def location_text(raw: bytes) -> str:
    """A Location as text: UTF-8 where it is that, else with its foreign bytes percent-encoded, as browsers
    do.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in raw)
