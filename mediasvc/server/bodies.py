"""Request bodies, bounded in size and in time."""

import asyncio
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mediasvc.errors import BodyTooLarge, InvalidRequest, MediaError

# Long enough for 8 MiB over a poor line.
_TIMEOUT_S = 60.0


class BodyTooSlow(MediaError):
    """The body did not arrive within its time."""

    status, code, exit_code, retryable = 408, "request_timeout", 4, True


async def read(request: web.Request, most_bytes: int) -> bytes:
    """The whole body. BodyTooLarge, BodyTooSlow, InvalidRequest where it breaks off or comes encoded."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise InvalidRequest("send the body without Content-Encoding")
    if request.content_length is not None and request.content_length > most_bytes:
        raise _too_large(most_bytes)
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            async for piece in request.content.iter_any():
                size += len(piece)
                if size > most_bytes:
                    raise _too_large(most_bytes)
                pieces.append(piece)
    except TimeoutError as error:
        raise BodyTooSlow("the body did not arrive in time") from error
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise InvalidRequest("the body is not framed as its headers say") from error
    return b"".join(pieces)


def _too_large(most_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request body may have at most {most_bytes} bytes")


def parse_object(body: bytes, names: frozenset[str]) -> dict[str, Any]:
    """A JSON object with no other members than these; null counts as not given. InvalidRequest."""
    # Any: JSON; each member is checked by who asks for it
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
