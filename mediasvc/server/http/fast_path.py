"""The fast path: answers from memory, found by the raw bytes of a request, without parser, routes or
middleware.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex

from prometheus_client import Histogram

from mediasvc import logs, metrics
from mediasvc.core.records.cache_news import Tally
from mediasvc.server.http.accept import parse_accept
from mediasvc.server.http.memory import Memory
from mediasvc.server.http.own_hosts import OwnHosts

REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}\Z")
# One whole request without a body and with nothing after it; the parser gets everything else.
_REQUEST = re.compile(
    rb"GET (/(?:img|assets|v1/image)[/?][!-~]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)+)\r\n\Z"
)
# Fields that only the routes can answer.
_FOR_ROUTES = frozenset(
    {
        b"content-length",
        b"expect",
        b"if-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
        b"traceparent",
        b"transfer-encoding",
        b"upgrade",
    }
)
_READ = _FOR_ROUTES | {
    b"accept",
    b"connection",
    b"host",
    b"if-modified-since",
    b"if-none-match",
    b"x-request-id",
}
_ROUTES = {b"/i": "img", b"/a": "assets", b"/v": "image"}


class RequestIds:
    """Identifiers that are unique across processes and requests; not secret."""

    def __init__(self) -> None:
        self._prefix = token_hex(6)
        self._count = 0

    def next(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count:06x}"


@dataclass(slots=True)
class RouteTally:
    """Replies of one route since the last report to the metrics."""

    found: int = 0
    unchanged: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class FastPath:
    """Answers hits of the memory cache.

    tally: gets the number of hits when `report` is called.
    hosts: the Host headers that are answered; the routes refuse the others.
    is_current: whether memory knows every purge; the routes catch up.
    open: False while the process drains, or where every request must reach the routes (tracing).
    """

    memory: Memory
    ids: RequestIds
    tally: Tally
    hosts: OwnHosts = field(default_factory=OwnHosts)
    is_current: Callable[[], bool] = lambda: True
    open: bool = True
    log_hits: bool = False
    tallies: dict[str, RouteTally] = field(
        default_factory=lambda: {route: RouteTally() for route in _ROUTES.values()}
    )

    def answer(self, request: bytes) -> tuple[bytes, bytes] | None:
        """(head, body) of the reply to one whole request. None: the parser and the routes must answer it."""
        if not self.is_current():
            return None
        started = time.time()
        match = _REQUEST.match(request)
        if match is None:
            return None
        target, block = match.groups()
        accept: str | None = None
        wanted = None
        since = False
        hosts = 0
        request_id = b""
        for line in block.split(b"\r\n"):
            name, _, value = line.partition(b":")
            name = name.lower()
            if name not in _READ:
                continue
            if name == b"host":
                if not self.hosts.has(value):
                    return None
                hosts += 1
            elif name == b"accept":
                text = value.strip().decode("latin-1")
                accept = text if accept is None else f"{accept}, {text}"
            elif name == b"x-request-id":
                request_id = value.strip()
            elif name == b"if-none-match" and wanted is None:
                wanted = value.strip()
            elif name == b"if-modified-since":
                since = True
            elif name != b"connection" or value.strip().lower() != b"keep-alive":
                return None
        if hosts != 1 or (since and wanted is None):
            return None
        ready = self.memory.get(target, parse_accept(accept), started)
        if ready is None:
            return None
        found, unchanged = ready.heads(started)
        if not REQUEST_ID.match(request_id):
            request_id = self.ids.next().encode()
        tally = self.tallies[_ROUTES[target[:2]]]
        if wanted is None:
            tally.found += 1
            head, body = found, ready.body
        elif wanted == ready.representation.etag.encode():
            tally.unchanged += 1
            head, body = unchanged, b""
        else:
            return None  # lists, weak tags, another version
        if self.log_hits:
            logs.get().debug("image.served", request_id=request_id.decode(), source="memory", bytes=len(body))
        tally.seconds += time.time() - started
        return head + request_id + b"\r\n\r\n", body

    def report(self) -> None:
        """Adds the replies since the last call to the metrics: once a second is cheaper than once a request."""  # noqa: E501
        for route, tally in self.tallies.items():
            found, unchanged, seconds = tally.found, tally.unchanged, tally.seconds
            tally.found = tally.unchanged = 0
            tally.seconds = 0.0
            if found + unchanged == 0:
                continue
            metrics.cache_requests.labels("memory", "hit").inc(found + unchanged)
            self.tally.add(Tally(hits=found + unchanged))
            if found:
                metrics.http_requests.labels(route, "200").inc(found)
            if unchanged:
                metrics.http_requests.labels(route, "304").inc(unchanged)
            _observe_many(metrics.http_duration_s.labels(route), found + unchanged, seconds)


def _observe_many(histogram: Histogram, count: int, seconds: float) -> None:
    """Observes `count` values at once, all in the first bucket: a hit takes a hundredth of its millisecond.

    The library has no call for this; a test compares the result with that many calls of `observe`.
    """
    histogram._sum.inc(seconds)
    histogram._buckets[0].inc(count)
