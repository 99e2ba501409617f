"""One client connection: the fast path for hits, and deadlines for slow clients."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from mediasvc.server.http.fast_path import FastPath

_END = b"\r\n\r\n"
# Deadlines for a request head to arrive, and for a client to read any more of its reply.
HEAD_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 60.0

_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

ErrorReply = Callable[[int, BaseException | None], web.StreamResponse]


class Connection(RequestHandler):
    """aiohttp's protocol with two changes.

    The fast path is tried first for bytes that are exactly one request and arrive while no other is under
    way. And the connection records since when its client is slow, so that `sweep` can end it.
    """

    __slots__ = (
        "_at_boundary",
        "_error_reply",
        "_fast_path",
        "_head_since_s",
        "_most_connections",
        "_stall_bytes",
        "_stall_since_s",
    )

    def __init__(
        self,
        server: web.Server,
        fast_path: FastPath,
        error_reply: ErrorReply,
        most_connections: int,
        **options: Any,
    ) -> None:
        # Any: the options of RequestHandler, which it names and checks itself
        super().__init__(server, **options)
        self._most_connections = most_connections
        self._fast_path = fast_path
        self._error_reply = error_reply
        # Whether all bytes so far ended where a request ends. Once that is unknown, the fast path is not used
        # again.
        self._at_boundary = True
        self._head_since_s = 0.0
        self._stall_bytes = 0
        self._stall_since_s = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a request has arrived and is not answered yet."""
        return self._request_in_progress or bool(self._messages)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepts the connection, or answers 503 where there are too many."""
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
        """Gives the bytes to the fast path, or to the parser where that does not answer."""
        if self._at_boundary and data:
            if self._fast_path.open and self._is_idle() and not self._paused:
                reply = self._fast_path.answer(data)
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
        """No request is under way: the task waits for one, or has not started to wait for the first."""
        waiter = self._waiter
        if waiter is None:
            return self._request_count == 0 and not self._force_close
        return not waiter.done() and not self._messages

    def sweep(self, now_s: float) -> None:
        """Ends the connection where a head takes too long or the client does not read its reply.

        now_s: time of the event loop.
        """
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
        """The reply to bytes that are no HTTP request, in the form of every other failure."""
        if request.writer.output_size > 0:
            raise ConnectionError("the reply has begun, so only closing the connection can show its failure")
        reply = self._error_reply(status, exc)
        reply.force_close()
        return reply


def _is_one_bodiless_request(data: bytes) -> bool:
    if not data.endswith(_END) or data.find(_END) != len(data) - len(_END):
        return False
    fields = data.lower()
    return not any(name in fields for name in (b"content-length", b"transfer-encoding", b"upgrade"))
