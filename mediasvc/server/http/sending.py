"""Image bytes to the client: conditions, ranges, and large files from disk to socket inside the kernel."""

import asyncio
import io
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from mediasvc.core.http import conditional
from mediasvc.core.http.conditional import ByteRange, Unsatisfiable
from mediasvc.core.http.retry import parse_date
from mediasvc.errors import PreconditionFailed, RangeNotSatisfiable
from mediasvc.server.http import problem
from mediasvc.server.http.representation import Representation

_STEP_BYTES = 4 * 1024 * 1024
# A client that reads nothing for this long has left.
_STALL_TIMEOUT_S = 60.0


def decided_without_bytes(
    request: web.Request, representation: Representation, cache: str
) -> web.Response | None:
    """304 or 412 where the request's conditions decide; None: send the bytes.

    Source: RFC 9110 section 13.2.2.
    """
    asked = lower_case(request)
    modified = _moment(representation)
    if not _if_match_holds(asked, representation.etag, modified):
        status, headers, body = problem.of(
            PreconditionFailed("the image is no longer the one that was named")
        )
        return web.Response(status=status, body=body, headers=headers)
    if conditional.not_modified(asked, representation.etag, modified):
        fields = representation.headers(time.time(), with_body=False) | {"X-Cache": cache}
        return web.Response(status=304, headers=fields)
    return None


def send(
    request: web.Request, representation: Representation, content: bytes | io.FileIO, length: int, cache: str
) -> web.StreamResponse:
    """200, 206 or 416. content: the whole, in memory or as an open file of `length` bytes, closed when sent."""  # noqa: E501
    fields = representation.headers(time.time()) | {"X-Cache": cache}
    wanted = _range(request, representation, length)
    if isinstance(wanted, Unsatisfiable):
        if not isinstance(content, bytes):
            content.close()
        status, headers, body = problem.of(RangeNotSatisfiable(f"the image has {length} bytes"))
        headers |= {"Content-Range": wanted.content_range, "Accept-Ranges": "bytes"}
        return web.Response(status=status, body=body, headers=headers)
    status, start, stop = 200, 0, length
    if wanted is not None:
        status, start, stop = 206, wanted.start, wanted.stop
        fields["Content-Range"] = wanted.content_range
    if not isinstance(content, bytes):
        return FileReply(content, start, stop - start, status, fields)
    body = content if stop - start == length else content[start:stop]
    return web.Response(status=status, body=body, headers=fields)


def lower_case(request: web.Request) -> Mapping[str, str]:
    """The header as the core reads it: names in lower case, repeats joined."""
    fields: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        fields[key] = f"{fields[key]}, {value}" if key in fields else value
    return fields


def _range(
    request: web.Request, representation: Representation, length: int
) -> ByteRange | Unsatisfiable | None:
    field = request.headers.get("Range")
    if field is None or request.method != "GET":
        return None
    if not conditional.range_applies(lower_case(request), representation.etag, _moment(representation)):
        return None
    return conditional.parse_range(field, length)


def _if_match_holds(asked: Mapping[str, str], etag: str, modified: datetime | None) -> bool:
    field = asked.get("if-match")
    if field is not None:
        # A weak tag never fits here, so the strong comparison of the list is one of texts.
        return field.strip() == "*" or etag in (tag.strip() for tag in field.split(","))
    since = parse_date(asked.get("if-unmodified-since"))
    return since is None or modified is None or modified <= since


def _moment(representation: Representation) -> datetime | None:
    second = representation.modified_s
    return None if second is None else datetime.fromtimestamp(second, UTC)


class FileReply(web.StreamResponse):
    """Part of an open file. The loop has no sendfile of its own (uvloop), so the system call is made here."""

    def __init__(
        self, file: io.FileIO, start: int, count: int, status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status=status, headers=headers)
        self._file = file
        self._position = start
        self._left = count
        self.content_length = count

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Sends the head and then the bytes; ConnectionError where the client left or the file became
        shorter.
        """
        with self._file:
            writer = await super().prepare(request)
            transport = request.transport
            if request.method != "HEAD" and self._left:
                if transport is None:
                    raise ConnectionResetError("the client left")
                await self._push(transport)
            await super().write_eof()
        return writer

    async def _push(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        # A second descriptor of the same socket: the loop watches the first one for its transport.
        socket_fd = os.dup(transport.get_extra_info("socket").fileno())
        try:
            while transport.get_write_buffer_size():  # the head goes first
                await _writable(loop, socket_fd)
            while self._left:
                step = loop.run_in_executor(
                    None, _fill, socket_fd, self._file.fileno(), self._position, min(self._left, _STEP_BYTES)
                )
                try:
                    sent = await asyncio.shield(step)
                except asyncio.CancelledError:
                    await asyncio.wait([step])  # never blocks on the client, only on the disk
                    raise
                if sent is None:
                    await _writable(loop, socket_fd)
                    continue
                if not sent:
                    raise ConnectionResetError("the file became shorter while it was being sent")
                self._position += sent
                self._left -= sent
        finally:
            os.close(socket_fd)


def _fill(socket_fd: int, file_fd: int, position: int, count: int) -> int | None:
    """The number of bytes sent; None: the socket is full. Runs in a thread, because the disk may be slow."""
    try:
        return os.sendfile(socket_fd, file_fd, position, count)
    except BlockingIOError:
        return None


async def _writable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    ready = asyncio.Event()
    loop.add_writer(fd, ready.set)
    try:
        async with asyncio.timeout(_STALL_TIMEOUT_S):
            await ready.wait()
    except TimeoutError:
        raise ConnectionResetError("the client does not take its reply") from None
    finally:
        loop.remove_writer(fd)
