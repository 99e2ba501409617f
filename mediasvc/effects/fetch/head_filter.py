"""Between a connection's transport and aiohttp's protocol: heads are put in order, and what is no picture is
counted.
"""

import asyncio
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler

from mediasvc.core.http import reply_head, retry
from mediasvc.errors import MediaError, SourceFailed

_FREE_FRAMING_BYTES: Final = 1024 * 1024
_BODY_BYTES_PER_FRAMING_BYTE: Final = 8


class HeadFilter(asyncio.Protocol):
    """The protocol of one connection; passes everything on to aiohttp's, except for two things.

    A head is held back until it is whole, and then passed on in order (core/http/reply_head.py). Interim
    replies end here, at most eight of them: aiohttp's reader would take any number without a pause. The
    framing of a body (sizes of chunks, extensions, trailers) may take an eighth of the body's bytes, beyond
    the first MiB: a body in chunks of one byte costs the processor a thousand times what it carries.
    """

    def __init__(self, inner: ResponseHandler) -> None:
        self._inner = inner
        self._is_in_head = False
        self._held = bytearray()
        self._head_bytes = 0
        self._interim = 0
        self._behind_head = 0
        self._body: aiohttp.StreamReader | None = None

    def expect_head(self) -> None:
        """A request is about to be sent."""
        self._is_in_head = True
        self._body = None
        self._held.clear()
        self._head_bytes = self._interim = self._behind_head = 0

    def watch(self, body: aiohttp.StreamReader) -> None:
        """The body of the reply whose head was passed on."""
        self._body = body

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            if self._is_in_head:
                data = self._take_head(data)
            else:
                self._count(data)
        except MediaError as error:
            self._fail(error)
            return
        if data:
            self._inner.data_received(data)

    def _take_head(self, data: bytes) -> bytes:
        """Bytes for aiohttp: the final head and what follows; empty while the head is not whole."""
        seen = len(self._held)
        self._held += data
        while self._held:
            if not self._held.startswith(b"HTTP/"[: len(self._held)]):
                return self._pass_on(b"")
            end = reply_head.find_end(self._held, seen)
            if self._head_bytes + (len(self._held) if end is None else end) > reply_head.MAX_HEAD_BYTES:
                raise SourceFailed("The source's reply has too large a header.", reason=retry.PROTOCOL)
            if end is None:
                return b""
            head = bytes(self._held[:end])
            del self._held[:end]
            self._head_bytes += end
            if not reply_head.is_interim(head):
                return self._pass_on(reply_head.in_order(head))
            self._interim += 1
            if self._interim > reply_head.MAX_INTERIM:
                raise SourceFailed("The source does not come to its reply.", reason=retry.PROTOCOL)
            seen = 0
        return b""

    def _pass_on(self, head: bytes) -> bytes:
        self._is_in_head = False
        self._behind_head = len(self._held)
        data = head + self._held
        self._held.clear()
        return data

    def _count(self, data: bytes) -> None:
        self._behind_head += len(data)
        if self._body is not None:
            carried = self._body.total_bytes
            framing = self._behind_head - carried
            if framing > _FREE_FRAMING_BYTES + carried // _BODY_BYTES_PER_FRAMING_BYTE:
                raise SourceFailed("The source's reply comes in too small chunks.", reason=retry.PROTOCOL)

    def _fail(self, error: MediaError) -> None:
        if self._body is not None:
            self._body.set_exception(error)
        self._inner.set_exception(error)
        self._inner.close()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._held:
            self._inner.data_received(self._pass_on(b""))
        self._inner.connection_lost(error)

    def eof_received(self) -> None:
        """See asyncio.Protocol."""
        self._inner.eof_received()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._inner.resume_writing()


def filtered(protocol: ResponseHandler) -> HeadFilter:
    """The filter of a connection, put in place when the connection is first used."""
    assert protocol.transport is not None
    current = protocol.transport.get_protocol()
    if isinstance(current, HeadFilter):
        return current
    filter = HeadFilter(protocol)
    protocol.transport.set_protocol(filter)
    return filter
