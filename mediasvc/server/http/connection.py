"""One client connection: the short way for hits, and an end to clients that dawdle."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from mediasvc.server.http.fast_path import Lane

_END = b"\r\n\r\n"
# A head that arrives slower than this is given up; so is a client that does not take its reply for so long.
HEAD_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 60.0

_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

ErrorReply = Callable[[int, BaseException | None], web.StreamResponse]


class Connection(RequestHandler):
    """aiohttp's protocol with two changes.

    A chunk of bytes that is exactly one request, arriving while nothing else is under way, is offered to the lane
    first. And what a client is slow with is noted, so that `sweep` can end it.
    """

    __slots__ = (
        "_at_boundary",
        "_error_reply",
        "_head_since_s",
        "_lane",
        "_most_connections",
        "_stall_bytes",
        "_stall_since_s",
    )

    def __init__(
        self, server: web.Server, lane: Lane, error_reply: ErrorReply, most_connections: int, **options: Any
    ) -> None:
        # Any: the options of RequestHandler, which it names and checks itself
        super().__init__(server, **options)
        self._most_connections = most_connections
        self._lane = lane
        self._error_reply = error_reply
        # Everything so far ended where a request ends. Once that cannot be said, the lane stays closed.
        self._at_boundary = True
        self._head_since_s = 0.0
        self._stall_bytes = 0
        self._stall_since_s = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a request has arrived that is not answered yet."""
        return self._request_in_progress or bool(self._messages)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the connection, or says that there are too many already."""
        super().connection_made(transport)
        manager = self._manager
        if (
            manager is not None
            and len(manager._connections) > self._most_connections
            and self.transport is not None
        ):
            self.transport.write(_TOO_MANY)
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """The lane if it can, else the parser."""
        if self._at_boundary and data:
            if self._lane.open and self._is_idle() and not self._paused:
                reply = self._lane.answer(data)
                if reply is not None and self.transport is not None:
                    self.transport.writelines(reply)
                    self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
                    return
            self._at_boundary = _is_one_bodiless_request(data)
        super().data_received(data)
        if not self._is_idle():
            self._head_since_s = 0.0
        elif not self._head_since_s and data:
            self._head_since_s = self._loop.time()

    def _is_idle(self) -> bool:
        """Nothing is under way: the task waits for a request, or has not come to wait for the first one yet."""
        waiter = self._waiter
        if waiter is None:
            return self._request_count == 0 and not self._force_close
        return not waiter.done() and not self._messages

    def sweep(self, now_s: float) -> None:
        """Ends the connection where a head takes too long, or where a reply is not being read. now_s: loop time."""
        transport = self.transport
        if transport is None:
            return
        if self._head_since_s and now_s - self._head_since_s > HEAD_TIMEOUT_S:
            transport.write(_TOO_SLOW)
            self.force_close()
            return
        waiting = transport.get_write_buffer_size()
        if waiting != self._stall_bytes:
            self._stall_bytes = waiting
            self._stall_since_s = now_s
        elif waiting and now_s - self._stall_since_s > STALL_TIMEOUT_S:
            transport.abort()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What could not be parsed at all, told in the same form as every other failure."""
        if request.writer.output_size > 0:
            raise ConnectionError("the reply has begun; its failure can only be told by ending it")
        reply = self._error_reply(status, exc)
        reply.force_close()
        return reply


def _is_one_bodiless_request(data: bytes) -> bool:
    if not data.endswith(_END) or data.find(_END) != len(data) - len(_END):
        return False
    fields = data.lower()
    return not any(name in fields for name in (b"content-length", b"transfer-encoding", b"upgrade"))
