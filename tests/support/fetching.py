"""A fetcher for tests: real sockets to loopback origins, every bound as the test says."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from aiohttp.abc import AbstractResolver

from mediasvc.core.addresses.policy import FetchPolicy, parse_connect_to
from mediasvc.core.http.breaker import BreakerRules
from mediasvc.core.http.host_headers import HostHeaders
from mediasvc.core.http.origin_reply import FetchRules
from mediasvc.effects.fetch.fetcher import Fetcher
from mediasvc.effects.fetch.names import SystemNames
from mediasvc.effects.fetch.sockets import Connections
from tests.support.origin import Origin


@dataclass(slots=True)
class Kept:
    """A sink in memory."""

    pieces: list[bytes] = field(default_factory=list)
    restarts: int = 0

    async def write(self, chunk: bytes) -> None:
        self.pieces.append(chunk)

    async def restart(self) -> None:
        self.pieces.clear()
        self.restarts += 1

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


def sends_here(origin: Origin) -> FetchPolicy:
    """Every public name's usual port leads to this origin."""
    return FetchPolicy(connect_to=parse_connect_to(origin.connect_to))


def allows(port: int, *networks: str) -> FetchPolicy:
    """Loopback addresses that stand for public ones here, and one more port."""
    return FetchPolicy(
        allowed_ports=frozenset({80, 443, port}),
        allowed_cidrs=tuple(ip_network(network) for network in networks or ("127.0.0.1/32",)),
    )


@contextlib.asynccontextmanager
async def fetcher(
    policy: FetchPolicy,
    rules: FetchRules | None = None,
    *,
    headers: HostHeaders | None = None,
    names: AbstractResolver | None = None,
    ca_file: Path | None = None,
    proxy: str | None = None,
    breaker: BreakerRules | None = None,
    chance: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[Fetcher]:
    """Two retries without jitter unless the rules say otherwise."""
    rules = rules or FetchRules(timeout_s=5.0)
    async with Connections(
        policy, rules, names or SystemNames(), ca_file=ca_file, proxy=proxy
    ) as connections:
        yield Fetcher(policy, rules, headers or HostHeaders(), connections, breaker=breaker, chance=chance)
