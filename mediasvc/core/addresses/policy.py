"""What may be fetched: schemes, ports, hosts, and only addresses of the public internet."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

import can_ada

from mediasvc.core.addresses.host_patterns import LITERAL, HostPattern, parse_host_pattern
from mediasvc.core.addresses.ip_ranges import Address, embedded_ipv4, is_public
from mediasvc.core.addresses.urls import SourceUrl
from mediasvc.errors import InvalidSettings, SourceRefused

DEFAULT_PORTS = {"http:": 80, "https:": 443}
# RFC 6761 section 6.3: these names are loopback whatever DNS says, so they count as the literal.
_LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
# The origin of a normalised URL without IPv6: what follows cannot change how it is read, nor what is said of
# it.
_ORIGIN = re.compile(r"https?://[a-z0-9_.:-]+/")
_LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))


@dataclass(frozen=True, slots=True)
class ConnectTo:
    """Connections to host:port go to to_host:to_port instead. host "*": any; port None: any."""

    host: str
    port: int | None
    to_host: str
    to_port: int


def parse_connect_to(text: str) -> tuple[ConnectTo, ...]:
    """`host:port=addr:port`, comma separated; `*` as host or port is any; IPv6 in brackets.

    InvalidSettings.
    """
    return tuple(_connect_to(part.strip()) for part in text.split(",") if part.strip())


def _connect_to(text: str) -> ConnectTo:
    try:
        left, right = text.split("=")
        host, port = _host_and_port(left)
        to_host, to_port = _host_and_port(right)
        if to_host == "*":
            raise ValueError("* cannot be connected to")
        return ConnectTo(host, None if port == "*" else _port(port), to_host, _port(to_port))
    except ValueError as error:
        raise InvalidSettings(f"CONNECT_TO: {text!r} is not host:port=addr:port ({error})") from error


def _host_and_port(text: str) -> tuple[str, str]:
    host, _, port = text.strip().rpartition(":")
    pattern = parse_host_pattern(host)
    if pattern.expression is not None and pattern.text != "*":
        raise ValueError("only a whole host, or * alone, can stand there")
    return pattern.text, port


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise ValueError("a port is a number from 1 to 65535")
    return int(text)


class FetchPolicy:
    """What may be fetched. A check raises SourceRefused, whose message names no address, or returns nothing.

    An exact host in connect_to is trusted: neither its port nor its address is checked. A rule for `*` covers
    hosts that the operator did not name: their ports and the connected address are trusted, but a source that
    itself says 127.0.0.1 is refused as ever.
    """

    def __init__(
        self,
        *,
        allowed_ports: frozenset[int] = frozenset({80, 443}),
        allowed_hosts: tuple[str, ...] = (),
        denied_hosts: tuple[str, ...] = (),
        allowed_cidrs: tuple[IPv4Network | IPv6Network, ...] = (),
        connect_to: tuple[ConnectTo, ...] = (),
        own_hosts: frozenset[str] = frozenset(),
        own_prefixes: tuple[str, ...] = (),
    ) -> None:
        """InvalidSettings when a host pattern cannot be read.

        allowed_hosts: empty means all.
        allowed_cidrs: address ranges that may be fetched although they are not public.
        own_hosts: `host` or `host:port` of this service, never fetched.
        own_prefixes: beginnings of normalised URLs of this service, where others share its host.
        """
        self.allowed_ports = allowed_ports
        self.allowed_cidrs = allowed_cidrs
        self.connect_to = connect_to
        self.own_prefixes = own_prefixes
        self._allowed = _patterns("ALLOWED_HOSTS", allowed_hosts)
        self._denied = _patterns("DENIED_HOSTS", denied_hosts)
        self._own = frozenset(host.lower().rstrip(".") for host in own_hosts)
        # A site's images have few origins. Refusals are not kept: lru_cache keeps nothing that raises.
        self._check_origin = lru_cache(maxsize=1024)(self._check)

    def check_url(self, url: SourceUrl) -> None:
        """Every check that needs no DNS. Callers repeat it for every redirect."""
        if url.startswith(self.own_prefixes):
            raise SourceRefused("this address is our own", reason="own_host")
        origin = _ORIGIN.match(url) if url.isascii() else None
        if origin is None:
            self._check(url)
        else:
            self._check_origin(origin[0])

    def _check(self, url: str) -> None:
        host, port = _host_port(url)
        if any(pattern.matches(host) for pattern in self._denied):
            raise SourceRefused("this host is not allowed", reason="host_denied")
        if self._allowed and not any(pattern.matches(host) for pattern in self._allowed):
            raise SourceRefused("this host is not allowed", reason="host_not_allowed")
        bare = host.strip("[]")
        if not self._own.isdisjoint({host, bare, f"{host}:{port}", f"{bare}:{port}"}):
            raise SourceRefused("this address is our own", reason="own_host")
        if port not in self.allowed_ports and self.connect_target(host, port) is None:
            raise SourceRefused("this port is not allowed", reason="port")
        self._check_host(host, port)

    def check_literal(self, url: SourceUrl) -> None:
        """Checks only whether the host is an IP literal, or a loopback name, that may not be fetched."""
        self._check_host(*_host_port(url))

    def check_address(self, address: str) -> None:
        """Checks one address, from DNS or of a socket about to connect; a zone id is ignored."""
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError as error:
            raise SourceRefused("this address cannot be read", reason="address") from error
        if not self._may_connect(parsed):
            raise SourceRefused("this address is not public", reason="address")

    def connect_target(self, host: str, port: int) -> tuple[str, int] | None:
        """Where CONNECT_TO sends this host and port; None: no rule fits. The first match counts."""
        name = host.lower().rstrip(".")
        name = f"[{name}]" if ":" in name and not name.startswith("[") else name
        for rule in self.connect_to:
            if rule.host in ("*", name) and rule.port in (None, port):
                return rule.to_host.strip("[]"), rule.to_port
        return None

    def _check_host(self, host: str, port: int) -> None:
        if any(rule.host == host and rule.port in (None, port) for rule in self.connect_to):
            return
        if LITERAL.fullmatch(host):
            self.check_address(host.strip("[]"))
            return
        is_loopback = host in _LOOPBACK_NAMES or host.endswith(".localhost")
        if is_loopback and not any(self._may_connect(address) for address in _LOOPBACK):
            raise SourceRefused("this address is not public", reason="address")

    def _may_connect(self, address: Address) -> bool:
        if is_public(address):
            return True
        inner = embedded_ipv4(address) if isinstance(address, IPv6Address) else ()
        # Explicit ranges allow an address by its own form, or, when it embeds just one IPv4, by that one.
        return any(address in network for network in self.allowed_cidrs) or (
            len(inner) == 1 and any(inner[0] in network for network in self.allowed_cidrs)
        )


def _patterns(setting: str, texts: tuple[str, ...]) -> tuple[HostPattern, ...]:
    try:
        return tuple(parse_host_pattern(text) for text in texts)
    except ValueError as error:
        raise InvalidSettings(f"{setting}: {error}") from error


def _host_port(url: str) -> tuple[str, int]:
    """Normalised host without the root's dot, and its port; SourceRefused for what is no http(s) URL."""
    try:
        parsed = can_ada.parse(url)
    except (ValueError, TypeError) as error:
        raise SourceRefused("the address cannot be read", reason="unreadable") from error
    if parsed.protocol not in DEFAULT_PORTS:
        raise SourceRefused("only http and https are fetched", reason="scheme")
    if parsed.has_credentials():
        raise SourceRefused("a source may not carry user and password", reason="userinfo")
    return parsed.hostname.rstrip("."), int(parsed.port or DEFAULT_PORTS[parsed.protocol])
