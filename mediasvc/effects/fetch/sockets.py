"""One guarded HTTP exchange: DNS answers and the address of every new socket are checked, errors translated."""  # noqa: E501

import asyncio
import contextlib
import functools
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import AddrInfoType, Connection
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from mediasvc.core.addresses.policy import FetchPolicy
from mediasvc.core.addresses.urls import split_origin
from mediasvc.core.http import origin_reply, reply_head, retry
from mediasvc.core.http.host_headers import request_head
from mediasvc.core.http.origin_reply import FetchRules, Headers
from mediasvc.effects.fetch.head_filter import filtered
from mediasvc.errors import MediaError, Overloaded, SourceFailed, SourceRefused, SourceTimeout

_BUFFER_BYTES = 256 * 1024
_MAX_LINE_BYTES = 8190
_WAYS = 1024  # to hosts, remembered
_NO_AUTO_HEADERS = ("Accept", "Accept-Encoding", "User-Agent")
_NAME_SHALL_NOT_BE = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5)})


class VettedNames(AbstractResolver):
    """Refuses a name if any of its addresses is forbidden: a mixture is taken for an attack."""

    def __init__(self, policy: FetchPolicy, names: AbstractResolver, timeout_s: float) -> None:
        self._policy = policy
        self._names = names
        self._timeout_s = timeout_s

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """SourceRefused: a forbidden address among the answers.

        OSError: no such name, or no answer in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                answers = await self._names.resolve(host, port, family)
        except TimeoutError as error:
            raise OSError(socket.EAI_AGAIN, "no answer from the name service in time") from error
        for answer in answers:
            self._policy.check_address(answer["host"])
        return answers

    async def close(self) -> None:
        await self._names.close()


class _ForbiddenAddress(OSError):
    pass


class SocketReply:
    """See OriginReply.

    headers: names lower-case, repeats joined by ", ".
    """

    def __init__(
        self, message: RawResponseMessage, body: aiohttp.StreamReader, protocol: ResponseHandler
    ) -> None:
        self._body = body
        self._protocol = protocol
        self.status = message.code
        headers: dict[str, str] = {}
        for raw_name, raw_value in message.raw_headers:
            name = raw_name.decode("latin-1").lower()
            value = (
                origin_reply.location_text(raw_value) if name == "location" else raw_value.decode("latin-1")
            )
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.headers: Headers = headers

    async def read(self) -> bytes:
        """The next bytes of the body, not decoded; empty at its end.

        SourceFailed: the body is cut short, garbled or longer than announced, or the connection broke.
        """
        try:
            piece = await self._body.readany()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translated(error) from error
        if not piece:
            behind = self._protocol.exception()
            if isinstance(behind, HttpProcessingError):
                raise SourceFailed(
                    "The source's reply is longer than it says.", reason=retry.PROTOCOL
                ) from behind
        return piece


class _Slots:
    """Bounds requests at once, in all and per host; a bounded number of others waits."""

    def __init__(self, rules: FetchRules) -> None:
        self._rules = rules
        self._all = asyncio.Semaphore(rules.concurrency)
        self._hosts: dict[str, tuple[asyncio.Semaphore, int]] = {}
        self._waiting = 0

    async def take(self, host: str, held: list[asyncio.Semaphore]) -> float:
        """Waits for a slot; the seconds waited. Overloaded.

        held: gets the semaphores taken; the caller gives them back even after an error.
        """
        line, users = self._hosts.get(host, (None, 0))
        line = line or asyncio.Semaphore(self._rules.per_host)
        self._hosts[host] = (line, users + 1)
        # The host's own line first: a request that waits for a slow host takes none of the shared slots.
        if line.locked() or self._all.locked():
            began = time.monotonic()
            await self._wait_in_line(line, held)
            return time.monotonic() - began
        for semaphore in (line, self._all):  # at once, and without a timer
            await semaphore.acquire()
            held.append(semaphore)
        return 0.0

    def give_back(self, host: str, held: list[asyncio.Semaphore]) -> None:
        for semaphore in reversed(held):
            semaphore.release()
        line, users = self._hosts[host]
        if users == 1:
            del self._hosts[host]
        else:
            self._hosts[host] = (line, users - 1)

    async def _wait_in_line(self, line: asyncio.Semaphore, held: list[asyncio.Semaphore]) -> None:
        if self._waiting >= self._rules.max_waiting:
            raise Overloaded("Too many fetches are waiting.", retry_after_s=1)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._rules.max_wait_s):
                for semaphore in (line, self._all):
                    await semaphore.acquire()
                    held.append(semaphore)
        except TimeoutError as error:
            raise Overloaded("The source's host has too many fetches waiting.", retry_after_s=5) from error
        finally:
            self._waiting -= 1


class _Slot:
    """See Connections.slot."""

    __slots__ = ("_held", "_host", "_slots")

    def __init__(self, slots: _Slots, host: str) -> None:
        self._slots = slots
        self._host = host
        self._held: list[asyncio.Semaphore] = []

    async def __aenter__(self) -> float:
        try:
            return await self._slots.take(self._host, self._held)
        except BaseException:
            self._slots.give_back(self._host, self._held)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._slots.give_back(self._host, self._held)


@dataclass(frozen=True, slots=True)
class _Way:
    """How one host is reached.

    request: what the pool needs to know.
    by_url: the request line has the whole URL, for a proxy.
    """

    pool: aiohttp.BaseConnector
    request: aiohttp.ClientRequest
    by_url: bool


class Connections:
    """See Exchanges. Async context manager; no cookies or credentials pass from one request to another.

    names: resolves host names; closed with this.
    ca_file: PEM file of authorities trusted beside the system's.
    proxy: URL of an HTTP proxy for everything except CONNECT_TO. The proxy resolves names, so only literal
    addresses are guarded then.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        rules: FetchRules,
        names: AbstractResolver,
        *,
        ca_file: Path | None = None,
        proxy: str | None = None,
    ) -> None:
        self._policy = policy
        self._rules = rules
        self._names = names
        self._ca_file = ca_file
        self._proxy = URL(proxy) if proxy else None
        self._slots = _Slots(rules)
        self._open = contextlib.AsyncExitStack()
        self._guarded: aiohttp.BaseConnector
        self._trusted: aiohttp.BaseConnector
        self._timeout = aiohttp.ClientTimeout(total=None, connect=rules.connect_timeout_s)
        self._way = functools.lru_cache(_WAYS)(self._find_way)

    async def __aenter__(self) -> "Connections":
        tls = ssl.create_default_context()
        if self._ca_file is not None:
            tls.load_verify_locations(self._ca_file)
        self._open.push_async_callback(self._names.close)
        vetted = VettedNames(self._policy, self._names, self._rules.connect_timeout_s)
        # Two pools: a connection that CONNECT_TO or the proxy allowed is never used for anything else.
        self._guarded = await self._pool(tls, vetted, guarded=True)
        self._trusted = await self._pool(tls, self._names, guarded=False)
        return self

    async def _pool(
        self, tls: ssl.SSLContext, names: AbstractResolver, *, guarded: bool
    ) -> aiohttp.BaseConnector:
        connector = aiohttp.TCPConnector(
            ssl=tls,
            resolver=names,
            limit=0,  # bounded by the slots of the fetcher
            ttl_dns_cache=10,
            socket_factory=self._open_socket if guarded else None,
        )
        return await self._open.enter_async_context(connector)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()
        # Connections that an exchange has just closed release their sockets in the next turn of the loop.
        await asyncio.sleep(0)

    def _open_socket(self, target: AddrInfoType) -> socket.socket:
        """Opens the socket of every new connection, wherever its address came from, after checking that
        address.
        """
        family, kind, protocol, _, address = target
        try:
            self._policy.check_address(str(address[0]))
        except SourceRefused as error:
            raise _ForbiddenAddress(error.reason) from error
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    def slot(self, host: str) -> contextlib.AbstractAsyncContextManager[float]:
        """A slot for one request to this host, to be used around `exchange`.

        Gives the seconds that it waited. Overloaded: too many requests wait, or one waited too long.
        """
        return _Slot(self._slots, host)

    @contextlib.asynccontextmanager
    async def exchange(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[SocketReply]:
        """A GET. Leaving gives the connection back if the reply was read whole, else closes it.

        Follows no redirect.

        url: normalised, and allowed by the policy.
        Raises SourceRefused for a forbidden address; SourceFailed and SourceTimeout (of connecting) with a
        reason of core/http/retry.py.
        """
        origin, target = split_origin(url)
        try:
            way = self._way(origin)
            connection, reply = await self._ask(way, url if way.by_url else target, headers)
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError) as error:
            # ValueError: a name that cannot be looked up. RuntimeError: uvloop's word for some failed
            # connections.
            raise _translated(error) from error
        try:
            yield reply
        finally:
            connection.release()

    def _find_way(self, origin: str) -> _Way:
        """origin: scheme, host and port of a URL. ValueError: no such URL."""
        address = URL(origin, encoded=True)
        host = address.raw_host or ""
        pool, proxy, server_name, fields = self._guarded, None, None, {}
        target = self._policy.connect_target(host, address.port or 0)
        if target is not None:
            fields = {"Host": address.raw_authority}
            address = address.with_host(target[0]).with_port(target[1])
            pool, server_name = self._trusted, host
        elif self._proxy is not None:
            pool, proxy = self._trusted, self._proxy
        request = aiohttp.ClientRequest(
            "GET",
            address,
            headers=fields,
            skip_auto_headers=_NO_AUTO_HEADERS,
            proxy=proxy,
            server_hostname=server_name,
        )
        return _Way(pool, request, by_url=proxy is not None and not request.is_ssl())

    async def _ask(
        self, way: _Way, target: str, headers: Mapping[str, str]
    ) -> tuple[Connection, SocketReply]:
        """Sends a request and waits for the head of its reply.

        A connection that breaks before that is opened again, once: the origin may have closed it between two
        requests (RFC 9112 section 9.3.1).
        """
        may_repeat = True
        while True:
            connection = await way.pool.connect(way.request, [], self._timeout)
            try:
                return connection, await _first(
                    connection, request_head(target, way.request.headers, headers)
                )
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                connection.close()
                if not may_repeat:
                    raise
                may_repeat = False
            except BaseException:
                connection.close()
                raise


async def _first(connection: Connection, head: bytes) -> SocketReply:
    """The reply to a request; the filter passes over interim replies (RFC 9110 section 15.2)."""
    protocol = connection.protocol
    assert protocol is not None
    protocol.set_response_params(
        read_until_eof=True,
        auto_decompress=False,
        read_bufsize=_BUFFER_BYTES,
        max_line_size=_MAX_LINE_BYTES,
        # One more of each: the filter has judged the head already.
        max_field_size=2 * reply_head.MAX_FIELD_BYTES,
        max_headers=reply_head.MAX_FIELDS + 1,
    )
    if protocol.transport is None:
        raise aiohttp.ServerDisconnectedError
    filter = filtered(protocol)
    filter.expect_head()
    protocol.transport.write(head)
    message, body = await protocol.read()
    filter.watch(body)
    return SocketReply(message, body, protocol)


def _translated(error: Exception) -> MediaError:
    """What an exception of the HTTP library means; the message names no address."""
    match error:
        case TimeoutError():  # of connecting: no other of the library's is in force
            return SourceTimeout("The source's host did not answer in time.", reason=retry.CONNECT_DEADLINE)
        case aiohttp.ClientConnectorCertificateError():
            return SourceFailed("The source's certificate is not valid.", reason=retry.CERTIFICATE)
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return SourceFailed("No secure connection to the source came about.", reason=retry.TLS)
        case aiohttp.ClientConnectorDNSError(os_error=os_error):
            if os_error.errno in _NAME_SHALL_NOT_BE:
                return SourceFailed("The source's host name does not exist.", reason=retry.NAME)
            return SourceFailed("The source's host name cannot be resolved.", reason=retry.NAME_FOR_NOW)
        case aiohttp.ClientConnectorError(os_error=_ForbiddenAddress() as os_error):
            return SourceRefused("The source's address may not be fetched from.", reason=str(os_error))
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError():
            return SourceFailed("The source's host cannot be reached.", reason=retry.CONNECT)
        case UnicodeError():
            return SourceFailed("The source's host name cannot be looked up.", reason=retry.NAME)
        case aiohttp.InvalidURL():
            return SourceRefused("The source's URL cannot be asked for.", reason="url")
        case RuntimeError():
            return SourceFailed("The source's host cannot be reached.", reason=retry.CONNECT)
        case aiohttp.ClientPayloadError():
            return SourceFailed("The source's reply is cut short or garbled.", reason=retry.TRUNCATED)
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return SourceFailed("The source's reply is not HTTP as we know it.", reason=retry.PROTOCOL)
        case aiohttp.ClientConnectionError() | OSError():
            return SourceFailed("The source broke the connection off.", reason=retry.RESET)
    return SourceFailed("The source could not be asked.", reason=retry.PROTOCOL)
