"""The middleware around every request: its id, metrics and log line, its failure as a problem, common
headers.
"""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong
from prometheus_client import Counter, Histogram

from mediasvc import logs, metrics
from mediasvc.errors import HeadersTooLarge, InvalidRequest, MediaError, MethodNotAllowed, NotFound
from mediasvc.server.http import problem
from mediasvc.server.http.admission import Admission
from mediasvc.server.http.fast_path import REQUEST_ID, RequestIds
from mediasvc.server.http.own_hosts import OwnHosts
from mediasvc.server.http.representation import COMMON_HEADERS, CORS_HEADERS, SERVER
from mediasvc.server.purges import PurgeFeed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Log events by route name, for success and failure. Routes that machines ask every few seconds are logged as
# debug.
_EVENTS = {
    "img": ("image.served", "image.failed"),
    "image": ("image.served", "image.failed"),
    "assets": ("image.served", "image.failed"),
    "rewrite": ("article.rewritten", "article.failed"),
}
_OTHERS = ("request.answered", "request.refused")
_QUIET = frozenset({"healthz", "readyz", "metrics"})
_ALLOWED_HEADERS = (
    "Accept, Authorization, Content-Type, If-None-Match, If-Modified-Since, Range, X-Request-ID"
)
_PREFLIGHT_S = 86_400
_WRITING = frozenset({"POST", "DELETE"})
_BUG = "this is a bug in mediasvc; the log has it under the request id"


class Observer:
    """The one middleware. It knows no routes; handlers leave `host` and `cache` on the request for the log.

    hosts: the Host headers that are answered.
    purges: what other processes purged is dropped before a request is answered.
    pages_may_write: whether web pages of other sites may send POST and DELETE.
    """

    def __init__(
        self,
        ids: RequestIds,
        admission: Admission,
        *,
        hosts: OwnHosts,
        purges: PurgeFeed,
        pages_may_write: bool,
    ) -> None:
        self._hosts = hosts
        self._purges = purges
        self._pages_may_write = pages_may_write
        self.ids = ids
        self.admission = admission
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    @web.middleware
    async def observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Runs a handler. An expected failure becomes its reply, every other one a log entry and a 500."""
        started = time.perf_counter()
        given = request.headers.get("X-Request-ID", "")
        request_id = given if REQUEST_ID.match(given.encode("utf-8", "replace")) else self.ids.next()
        logs.request_id.set(request_id)
        route = request.match_info.route.name or "unknown"
        code = ""
        status = 499  # logged and counted where the client leaves before the reply
        metrics.http_in_progress.inc()
        try:
            try:
                self._check_host(request)
                if not self._purges.is_current():
                    await self._purges.catch_up()
                reply = await handler(request)
            except MediaError as error:
                code = error.code
                reply = _reply(*problem.of(error, request_id))
            except web.HTTPException as error:
                reply, code = self._of_router(request, error, request_id)
            except Exception as error:
                logs.get().error("request.failed", route=route, exc_info=error)
                code = MediaError.code
                reply = _reply(*problem.of(MediaError(_BUG), request_id))
            status = reply.status
        finally:
            metrics.http_in_progress.dec()
            seconds = time.perf_counter() - started
            count, duration = self._measures(route, status)
            count.inc()
            duration.observe(seconds)
            _log(request, route, status, code, seconds)
        self.dress(reply, request_id, _wanted_method(request))
        return reply

    def _measures(self, route: str, status: int) -> tuple[Counter, Histogram]:
        """The metrics of a route and status, kept because finding them by labels costs as much as counting."""  # noqa: E501
        found = self._known.get((route, status))
        if found is None:
            found = (metrics.http_requests.labels(route, str(status)), metrics.http_duration_s.labels(route))
            self._known[route, status] = found
        return found

    def dress(self, reply: web.StreamResponse, request_id: str, method: str = "GET") -> None:
        """Adds the headers that every reply carries.

        Pages of other sites get a grant where they may send the method.
        """
        fields = reply.headers
        is_granted = self._pages_may_write or method not in _WRITING
        for name, value in COMMON_HEADERS:
            if name not in fields and (is_granted or name not in CORS_HEADERS):
                fields[name] = value
        fields["X-Request-ID"] = request_id
        fields["Server"] = SERVER
        if "Cache-Control" not in fields:
            fields["Cache-Control"] = "no-store"
        if self.admission.is_leaving:
            reply.force_close()

    def unreadable(self, status: int, error: BaseException | None) -> web.StreamResponse:
        """The reply where the bytes of a request are no HTTP, or its handling broke outside of any handler."""  # noqa: E501
        request_id = self.ids.next()
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logs.get().error("connection.failed", exc_info=error)
            failure, status = MediaError(_BUG), MediaError.status
        elif isinstance(error, LineTooLong):
            failure = HeadersTooLarge("the request line or a header field is too long")
            status = failure.status
        else:
            failure = InvalidRequest("this is not a readable HTTP/1.1 request")
        metrics.http_requests.labels("unknown", str(status)).inc()
        reply = _reply(*problem.of(failure, request_id, status=status))
        self.dress(reply, request_id)
        reply.headers["Connection"] = "close"
        return reply

    def _of_router(
        self, request: web.Request, error: web.HTTPException, request_id: str
    ) -> tuple[web.Response, str]:
        """The reply where no route or no method matches, and to OPTIONS on a known route, which is a
        preflight.
        """
        if isinstance(error, web.HTTPMethodNotAllowed):
            allowed = ", ".join(sorted({*error.allowed_methods, "OPTIONS"}))
            if request.method == "OPTIONS":
                return self._preflight(request, allowed), ""
            failure: MediaError = MethodNotAllowed(f"this route answers {allowed}")
            status, headers, body = problem.of(failure, request_id)
            return _reply(status, headers | {"Allow": allowed}, body), failure.code
        if request.method == "OPTIONS" and request.raw_path == "*":
            return self._preflight(request, "DELETE, GET, HEAD, OPTIONS, POST"), ""
        if error.status == HTTPStatus.NOT_FOUND:
            failure = NotFound("there is no such route; GET /openapi.json lists them all")
        else:
            failure = InvalidRequest("this cannot be answered")
        return _reply(*problem.of(failure, request_id, status=error.status)), failure.code

    def _preflight(self, request: web.Request, allowed: str) -> web.Response:
        """Without a token no page of another site may send POST or DELETE.

        Browsers send POST even where Access-Control-Allow-Methods lacks it, so a preflight for such a method
        gets no grant at all; `dress` adds none either.
        """
        fields = {"Allow": allowed, "Cache-Control": f"public, max-age={_PREFLIGHT_S}"}
        fields["Vary"] = "Access-Control-Request-Method"
        if self._pages_may_write or _wanted_method(request) not in _WRITING:
            methods = [one for one in allowed.split(", ") if self._pages_may_write or one not in _WRITING]
            fields["Access-Control-Allow-Methods"] = ", ".join(methods)
            fields["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            fields["Access-Control-Max-Age"] = str(_PREFLIGHT_S)
        return web.Response(status=204, headers=fields)

    def _check_host(self, request: web.Request) -> None:
        """InvalidRequest for a missing or repeated Host (RFC 9112 section 3.2), and on loopback for a foreign
        one.
        """
        hosts = request.headers.getall("Host", [])
        if request.version >= HttpVersion11 and len(hosts) != 1:
            raise InvalidRequest("an HTTP/1.1 request has exactly one Host header")
        if not all(self._hosts.has(host.encode("utf-8", "surrogateescape")) for host in hosts):
            raise InvalidRequest(
                "this service listens on loopback and has no such host name; MEDIASVC_PUBLIC_URL can name one"
            )


def _reply(status: int, headers: dict[str, str], body: bytes) -> web.Response:
    return web.Response(status=status, headers=headers, body=body)


def _wanted_method(request: web.Request) -> str:
    """The method of a request, or the one that a preflight asks for."""
    if request.method == "OPTIONS":
        return request.headers.get("Access-Control-Request-Method", "GET").strip().upper()
    return request.method


def _log(request: web.Request, route: str, status: int, code: str, seconds: float) -> None:
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return  # has its entry, with the traceback
    log = logs.get()
    fields: dict[str, object] = {"route": route, "status": status, "ms": round(seconds * 1000, 2)}
    if code:
        fields["code"] = code
    if "host" in request:
        fields["host"] = request["host"]
    if "cache" in request:
        fields["source"] = "origin" if request["cache"] == "MISS" else "cache"
    event = _EVENTS.get(route, _OTHERS)[bool(code)]
    if route in _QUIET:
        log.debug(event, **fields)
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning(event, **fields)
    else:
        log.info(event, **fields)
