"""Host names and patterns over them, compared label by label."""

import re
from dataclasses import dataclass
from functools import lru_cache

LITERAL = re.compile(r"\[[0-9a-f:.]+\]|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_PATTERN = re.compile(r"(?:[a-z0-9_*-]{1,63}\.)*[a-z0-9_*-]{1,63}")
# RFC 1035 section 2.3.4: 255 octets on the wire, which is 253 characters and perhaps the root's dot.
_LONGEST = 254


def is_host(host: str) -> bool:
    """Whether a normalised host can be asked of DNS, or is an IP literal (IPv6 in brackets)."""
    return (len(host) <= _LONGEST and _is_name(host)) or LITERAL.fullmatch(host) is not None


@lru_cache(maxsize=4096)  # the images of an article, and of a site, have few hosts
def _is_name(host: str) -> bool:
    return _NAME.fullmatch(host) is not None


@dataclass(frozen=True, slots=True)
class HostPattern:
    """An exact host, `*` (any host), `*.example.com` (one label or more before it), or `i*.wp.com` (within a
    label).
    """

    text: str
    expression: re.Pattern[str] | None

    def matches(self, host: str) -> bool:
        """host: normalised; a trailing dot makes no difference."""
        name = host.rstrip(".")
        return name == self.text if self.expression is None else self.expression.fullmatch(name) is not None

    @property
    def literal_suffix(self) -> str:
        """The labels after the last one with a `*`, which every matching host ends with; "" when there are
        none.
        """
        return self.text.rpartition("*")[2].partition(".")[2]


def parse_host_pattern(text: str) -> HostPattern:
    """ValueError when text is neither a host nor a pattern. Unicode names become punycode, as in URLs."""
    pattern = text.strip().lower().rstrip(".")
    if "*" not in pattern:
        return HostPattern(_normal_host(pattern), None)
    if pattern == "*":
        return HostPattern(pattern, re.compile(r"(?s:.)*"))
    # One label at a time, as a `*` is no host; a label of ASCII stays, or `2` would become 0.0.0.2.
    starred = ".".join(label if label.isascii() else _normal_host(label) for label in pattern.split("."))
    if not _PATTERN.fullmatch(starred):
        raise ValueError(f"not a host pattern: {text!r}")
    return HostPattern(starred, re.compile(_expression(starred)))


def _expression(pattern: str) -> str:
    first, _, rest = pattern.partition(".")
    labels = [re.escape(label).replace(r"\*", "[^.]*") for label in rest.split(".")] if rest else []
    head = r"[^.]+(?:\.[^.]+)*" if first == "*" else re.escape(first).replace(r"\*", "[^.]*")
    return r"\.".join([head, *labels])


def _normal_host(text: str) -> str:
    # Here: every command imports this module for its options, and few read a pattern.
    import can_ada

    bracketed = f"[{text}]" if ":" in text and not text.startswith("[") else text
    try:
        host = can_ada.parse(f"http://{bracketed}/").hostname
    except ValueError as error:
        raise ValueError(f"not a host: {text!r}") from error
    if not is_host(host) or any(mark in text for mark in "/?#@\\"):
        raise ValueError(f"not a host: {text!r}")
    return host.rstrip(".")
