"""Which Host headers are answered: on loopback only the service's own names, so that no web page can pose as
it.

A web page of another site can have its own name resolve to 127.0.0.1 after it has loaded (DNS rebinding). To
the browser the service then belongs to that site, whose scripts may read and send everything. The Host header
tells the two apart.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address

_MOST_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class OwnHosts:
    """names: own host names in lower case; None: every host is answered, as beyond loopback, where keys
    protect.
    """

    names: frozenset[str] | None = None
    _known: dict[bytes, bool] = field(default_factory=dict, compare=False)

    def has(self, host: bytes) -> bool:
        """Whether a request with this value of Host is answered."""
        if self.names is None:
            return True
        answer = self._known.get(host)
        if answer is None:
            answer = self._is_own(host.decode("latin-1"))
            if len(self._known) < _MOST_REMEMBERED:
                self._known[host] = answer
        return answer

    def _is_own(self, host: str) -> bool:
        """Addresses and names without a dot are own ones: no site can register either."""
        name = _without_port(host.strip().lower())
        if name in (self.names or ()) or "." not in name or name.endswith(".localhost"):
            return True
        return _is_address(name)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
