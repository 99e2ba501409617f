"""Request headers per host, and the replies that are stand-ins for the picture."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from mediasvc.errors import InvalidSettings

AGENT: Final = "{agent}"
"""Replaced by our own User-Agent inside a header value of the table."""

# Formats by name would make hosts that negotiate send something else than the original.
_ACCEPT: Final = "image/*,*/*;q=0.5"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[\x20-\x7e]*\Z")
_PATTERN = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
# This service sets framing and conditions itself; replies to credentials must not be shared (RFC 9111 section
# 3.5).
_OURS = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
# Spelled as in our own requests, so that a rule replaces our field whatever letters it uses.
_SPELLED: Mapping[str, str] = {"accept": "Accept", "user-agent": "User-Agent"}
# Values of other fields may be secrets (X-Api-Key, X-Auth-Token, …), so they are never sent where all can
# read them.
_NEVER_SECRET = frozenset({"accept", "accept-language", "origin", "referer", "user-agent"})
_KEYS = frozenset({"hosts", "headers", "placeholder_paths", "placeholder_digests"})


@dataclass(frozen=True, slots=True)
class HostRule:
    """One entry of a table.

    hosts: names or "*.example.com" (that and every name below it), lower case.
    headers: added to our own fields, or replacing them; an empty value removes one.
    stand_in_paths: paths on these hosts that show a stand-in; a `*` at the end matches any rest.
    stand_in_digests: SHA-256 of stand-ins, hex.
    """

    hosts: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    stand_in_paths: tuple[str, ...] = ()
    stand_in_digests: frozenset[str] = frozenset()

    def without_secrets(self) -> "HostRule":
        """The rule for a request in the clear that an https origin redirects to."""
        headers = {name: value for name, value in self.headers.items() if name.lower() in _NEVER_SECRET}
        return replace(self, headers=headers)

    def is_stand_in(self, path: str) -> bool:
        """Whether this path of these hosts shows a stand-in."""
        return any(
            path.startswith(known[:-1]) if known.endswith("*") else path == known
            for known in self.stand_in_paths
        )


NO_RULE: Final = HostRule(())


def parse_rules(toml_text: str, name: str) -> tuple[HostRule, ...]:
    """The rules of one table, in order.

    name: of the file, for messages.
    InvalidSettings: names the file, the entry (counted from 1) and what is wrong with it.
    """
    try:
        document = tomllib.loads(toml_text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(f"{name}: {error}") from error
    entries = document.pop("host", [])
    if document:
        raise InvalidSettings(f"{name}: unknown key {sorted(document)[0]!r}; only [[host]] entries are known")
    if not isinstance(entries, list):
        raise InvalidSettings(f"{name}: write [[host]], not [host]")
    return tuple(_rule(entry, f"{name}: [[host]] entry {number}") for number, entry in enumerate(entries, 1))


def _rule(entry: object, where: str) -> HostRule:
    if not isinstance(entry, dict):
        raise InvalidSettings(f"{where}: not a table")
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise InvalidSettings(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    hosts = _texts(entry.get("hosts", []), f"{where}: hosts")
    if not hosts:
        raise InvalidSettings(f"{where}: hosts is missing")
    for host in hosts:
        if not _PATTERN.match(host):
            raise InvalidSettings(f'{where}: {host!r} is no host name (lower case, "*." only in front)')
    headers = entry.get("headers", {})
    if not isinstance(headers, dict):
        raise InvalidSettings(f"{where}: headers is not a table")
    for header, value in headers.items():
        if not _TOKEN.match(header) or header.lower() in _OURS:
            raise InvalidSettings(f"{where}: header {header!r} may not be set here")
        if not isinstance(value, str) or not _VALUE.match(value):
            raise InvalidSettings(f"{where}: the value of {header} must be text in printable ASCII")
    if len({header.lower() for header in headers}) < len(headers):
        raise InvalidSettings(f"{where}: a header is named twice, in different letters")
    spelt = {_SPELLED.get(str(header).lower(), str(header)): value for header, value in headers.items()}
    paths = _texts(entry.get("placeholder_paths", []), f"{where}: placeholder_paths")
    for path in paths:
        if not path.startswith("/") or path == "/*" or "*" in path[:-1] or "?" in path:
            raise InvalidSettings(f'{where}: {path!r} is no path with "*" at most at its end')
    digests = _texts(entry.get("placeholder_digests", []), f"{where}: placeholder_digests")
    for digest in digests:
        if not _DIGEST.match(digest):
            raise InvalidSettings(f"{where}: {digest!r} is no SHA-256 in lower-case hex")
    return HostRule(hosts, spelt, paths, frozenset(digests))


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidSettings(f"{where} is not a list")
    texts = tuple(item for item in value if isinstance(item, str))
    if len(texts) != len(value):
        raise InvalidSettings(f"{where}: every item must be text")
    return texts


class HostHeaders:
    """Rules of several tables joined.

    The first rule that names a host decides, so the operator's come first.
    """

    def __init__(self, rules: Iterable[HostRule] = ()) -> None:
        self._exact: dict[str, HostRule] = {}
        self._below: dict[str, HostRule] = {}
        self._order: dict[int, int] = {}
        for position, rule in enumerate(rules):
            self._order[id(rule)] = position
            for host in rule.hosts:
                table = self._below if host.startswith("*.") else self._exact
                table.setdefault(host.removeprefix("*."), rule)

    def rule_for(self, host: str) -> HostRule:
        """The rule of a host; of several that name it, the one that was given first; NO_RULE where none does."""  # noqa: E501
        name = host.lower().rstrip(".")
        found = [self._exact[name]] if name in self._exact else []
        labels = name.split(".")
        for start in range(len(labels)):
            rule = self._below.get(".".join(labels[start:]))
            if rule is not None:
                found.append(rule)
        return min(found, key=lambda rule: self._order[id(rule)], default=NO_RULE)


def request_fields(rule: HostRule, agent: str, via: str, conditions: Mapping[str, str]) -> dict[str, str]:
    """Every field of a request except Host.

    agent: our own User-Agent.
    via: our name in Via.
    conditions: validators.
    There is no Referer unless the rule has one, and no field of the client's request.
    """
    fields = {"User-Agent": agent, "Accept": _ACCEPT}
    for name, value in rule.headers.items():
        fields[name] = value.replace(AGENT, agent)
    fields |= {"Accept-Encoding": "identity", "Via": f"1.1 {via}", **conditions}
    return {name: value for name, value in fields.items() if value}


def request_head(target: str, *parts: Mapping[str, str]) -> bytes:
    """The head of a GET.

    target: path and query, or the whole URL for a proxy.
    parts: fields, in order.
    ValueError: a line break or NUL, which could make two requests of it. Source: RFC 9112 sections 2.2 and 3.
    """
    lines = [f"GET {target} HTTP/1.1"]
    for part in parts:
        lines += [f"{name}: {value}" for name, value in part.items()]
    text = "\r\n".join((*lines, "", ""))
    breaks = len(lines) + 1
    if text.count("\r") != breaks or text.count("\n") != breaks or "\0" in text:
        raise ValueError("a line break in a request")
    return text.encode("utf-8")


def has_passed(via: str | None, pseudonym: str) -> bool:
    """Whether this service itself sent a request with this Via field, so that answering it would make a loop.

    Source: RFC 9110 section 7.6.3; comments after the name do not count.
    """
    for hop in (via or "").split(","):
        parts = hop.split()
        if len(parts) >= 2 and parts[1].lower() == pseudonym.lower():
            return True
    return False
