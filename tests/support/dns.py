"""A real DNS server on a free loopback port that answers as a test tells it to, and a resolver that asks it.

with Dns() as dns:
    dns.on("rebind.test", Answer("127.0.0.2"), Answer("127.0.0.1"))   # first this, from then on that
    names = DnsNames(dns)                                             # for Connections(..., names)
"""

import asyncio
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from dnslib import AAAA, CNAME, QTYPE, RCODE, RR, A, DNSRecord


@dataclass(frozen=True, slots=True)
class Answer:
    """Addresses of both families, mixed as they come. cname: an alias in front of them. hang: no answer at
    all.
    """

    addresses: tuple[str, ...] = ()
    cname: str = ""
    hang: bool = False
    rcode: str = "NOERROR"

    def __init__(self, *addresses: str, cname: str = "", hang: bool = False, rcode: str = "NOERROR") -> None:
        object.__setattr__(self, "addresses", addresses)
        object.__setattr__(self, "cname", cname)
        object.__setattr__(self, "hang", hang)
        object.__setattr__(self, "rcode", rcode)


class Dns:
    """The server. Names that no test spoke of do not exist.

    An answer counts for one lookup of A and AAAA together.
    """

    def __init__(self) -> None:
        self._scripts: dict[str, list[Answer]] = {}
        self._asked: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sender = self.request
                reply = outer._reply(data)
                if reply is not None:
                    sender.sendto(reply, self.client_address)

        self._server = socketserver.UDPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=lambda: self._server.serve_forever(poll_interval=0.02), name="dns", daemon=True
        )

    def on(self, name: str, *answers: Answer) -> None:
        with self._lock:
            self._scripts[name] = list(answers)

    def lookups(self, name: str) -> int:
        """How often a name was looked up."""
        with self._lock:
            return self._asked.count((name, "AAAA"))

    def _reply(self, data: bytes) -> bytes | None:
        query = DNSRecord.parse(data)
        name, kind = str(query.q.qname).rstrip("."), QTYPE[query.q.qtype]
        reply = query.reply()
        with self._lock:
            self._asked.append((name, kind))
            script = self._scripts.get(name)
            answer = script[0] if script else None
            # DnsNames asks for AAAA first, and for A unless that has failed.
            if script and len(script) > 1 and (kind == "A" or script[0].rcode != "NOERROR"):
                del script[0]
        if answer is None:
            reply.header.rcode = RCODE.NXDOMAIN
            return bytes(reply.pack())
        if answer.hang:
            return None
        reply.header.rcode = getattr(RCODE, answer.rcode)
        owner = name
        if answer.cname:
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(answer.cname), ttl=0))
            owner = answer.cname
        for address in answer.addresses:
            family = "AAAA" if ":" in address else "A"
            if family == kind:
                rdata = AAAA(ip_address(address).exploded) if family == "AAAA" else A(address)
                reply.add_answer(RR(owner, getattr(QTYPE, kind), rdata=rdata, ttl=0))
        return bytes(reply.pack())

    def __enter__(self) -> "Dns":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Question(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _sender: object) -> None:
        if not self.reply.done():
            self.reply.set_result(data)


class DnsNames(AbstractResolver):
    """Asks a `Dns`, once for each family; waits for ever, so that whoever uses it needs a deadline."""

    def __init__(self, dns: Dns) -> None:
        self._dns = dns

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found: list[ResolveResult] = []
        for kind in ("AAAA", "A"):
            reply = await self._ask(host, kind)
            if reply.header.rcode == RCODE.NXDOMAIN:
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
            if reply.header.rcode != RCODE.NOERROR:
                raise socket.gaierror(socket.EAI_AGAIN, "the name server failed")
            found += [
                ResolveResult(
                    hostname=host,
                    host=str(record.rdata),
                    port=port,
                    family=socket.AF_INET6 if kind == "AAAA" else socket.AF_INET,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
                for record in reply.rr
                if QTYPE[record.rtype] == kind
            ]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return found

    async def _ask(self, host: str, kind: str) -> DNSRecord:
        transport, question = await asyncio.get_running_loop().create_datagram_endpoint(
            _Question, remote_addr=("127.0.0.1", self._dns.port)
        )
        try:
            transport.sendto(DNSRecord.question(host, kind).pack())
            return DNSRecord.parse(await question.reply)
        finally:
            transport.close()

    async def close(self) -> None:
        await asyncio.sleep(0)


@pytest.fixture
def dns() -> Iterator[Dns]:
    """A fresh server; import it into a test module."""
    with Dns() as running:
        yield running
