"""Request bodies, bounded in size and in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mediasvc.errors import BodyTooLarge, InvalidRequest, Overloaded, RequestTimeout

# Enough for 8 MiB over a slow line.
_TIMEOUT_S = 60.0


class Bodies:
    """Reads bodies, and bounds the memory of all bodies that are being read or worked on."""

    def __init__(self, most_bytes_together: int) -> None:
        self._most = most_bytes_together
        self._held = 0

    @asynccontextmanager
    async def read(self, request: web.Request, most_bytes: int) -> AsyncIterator[bytes]:
        """The whole body, which counts until the block ends.

        BodyTooLarge, RequestTimeout, Overloaded; InvalidRequest where it breaks off or comes encoded.
        """
        coding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise InvalidRequest("send the body without Content-Encoding")
        if request.content_length is not None and request.content_length > most_bytes:
            raise _too_large(most_bytes)
        share = _Share()
        try:
            yield await self._gathered(request, most_bytes, share)
        finally:
            self._held -= share.bytes

    async def _gathered(self, request: web.Request, most_bytes: int, share: "_Share") -> bytes:
        pieces: list[bytes] = []
        try:
            if request.content.is_eof():  # it came together with the head, as small ones do
                body = request.content.read_nowait()
                self._take(share, len(body), most_bytes)
                return body
            async with asyncio.timeout(_TIMEOUT_S):
                async for piece in request.content.iter_any():
                    self._take(share, len(piece), most_bytes)
                    pieces.append(piece)
        except TimeoutError as error:
            raise RequestTimeout("the body did not arrive in time") from error
        except (web.RequestPayloadError, HttpProcessingError) as error:
            raise InvalidRequest("the body is not framed as its headers say") from error
        return b"".join(pieces)

    def _take(self, share: "_Share", count: int, most_bytes: int) -> None:
        share.bytes += count
        self._held += count
        if share.bytes > most_bytes:
            raise _too_large(most_bytes)
        if self._held > self._most:
            raise Overloaded("too many large bodies at once; try again", retry_after_s=1)


@dataclass(slots=True)
class _Share:
    """The share of one body in the memory of all."""

    bytes: int = 0


def _too_large(most_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request body may have at most {most_bytes} bytes")


def parse_object(body: bytes, names: frozenset[str]) -> dict[str, Any]:
    """A JSON object with no other members than these; null counts as not given. InvalidRequest."""
    # Any: JSON; callers check each member
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("the body is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidRequest("the body is not a JSON object")
    unknown = sorted(set(value) - names)
    if unknown:
        raise InvalidRequest(f"the object knows only {', '.join(sorted(names))}")
    return {name: member for name, member in value.items() if member is not None}


async def expect_continue(request: web.Request) -> None:
    """Answers `Expect: 100-continue`; other expectations are passed over. Source: RFC 9110 section 10.1.1."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
