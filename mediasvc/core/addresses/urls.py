"""Addresses: read, normalise, and take off every wrapper until the origin URL is left."""

import re
from collections.abc import Sequence
from typing import NamedTuple, NewType

import can_ada

from mediasvc.core.addresses.host_patterns import is_host
from mediasvc.core.addresses.wrappers.rulebook import Rulebook
from mediasvc.core.addresses.wrappers.rules import Rule, read_rules
from mediasvc.core.addresses.wrappers.unwrap import Outer, carried_by
from mediasvc.errors import InvalidRequest, InvalidSettings, MediaError, SourceRefused

SourceUrl = NewType("SourceUrl", str)

MAX_LAYERS = 5

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
# The standard wants no slashes after a scheme of the web; only with two it surely ignores the base.
_AUTHORITY = re.compile(r"(?:[A-Za-z]+:[/\\]*|[/\\]{2,})([^/\\?#]*)")
_IS_ABSOLUTE = re.compile(r"(?:[A-Za-z]+:)?[/\\]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_BREAKS = str.maketrans("", "", "\t\n\r")
_BLANKS = " \t\n\r\f"
_WEB = ("http://", "https://")
_BEFORE_PATH = len("http://h")  # at least so much stands before the path of a normalised URL
# Punycode takes quadratic time; 253 characters of host never need more than this, percent-encoded.
_LONGEST_AUTHORITY = 4096


class Layer(NamedTuple):
    """One wrapper that was taken off. wrapper: the rule's name; url: what it carried, normalised."""

    wrapper: str
    url: str


class Resolution(NamedTuple):
    """source: as it was given. layers: from source to origin, empty for a plain URL."""

    source: str
    origin: SourceUrl
    layers: tuple[Layer, ...]


def normalise(address: str, base: str | None = None) -> SourceUrl:
    """Absolute http(s) URL as the WHATWG URL standard writes it, without its fragment.

    A protocol-relative address takes the base's scheme, https without a base. (Inside a wrapper it is
    http, as the wrappers themselves read it; that is the resolver's matter.)
    InvalidRequest: unreadable, relative with no base, no host, a host that DNS cannot hold, control
    characters. SourceRefused: another scheme, userinfo.
    """
    return SourceUrl(_href(_parse(_clean(address), base)))


class Resolver:
    """Takes wrappers off by its rules, tried in their order; built once, safe to share."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """rules: the operator's own first, then the built-in ones."""
        self._book = Rulebook(rules)
        self._read_fragments = frozenset(rule.name for rule in rules if rule.place == "fragment")

    def resolve(self, address: str, base: str | None = None) -> Resolution:
        """The origin URL behind an address. InvalidRequest and SourceRefused as `normalise` raises them.

        InvalidRequest also for a wrapper around nothing, around itself, or more than five deep.
        """
        text = _clean(address)
        parsed = _parse(text, base)
        url = _href(parsed)
        found = None
        # What a wrapper carries is taken as it was written, `'` and all, not as its own URL is normalised.
        if text != url and _IS_ABSOLUTE.match(text):
            found = self._unwrap(parsed, _rest_as_written(text))
        if found is None:
            found = self._unwrap(parsed, split_origin(url)[1])
        layers: list[Layer] = []
        while found is not None:
            wrapper, parsed, inner = found
            if inner == url:
                raise InvalidRequest("the address is wrapped around itself", reason="loop")
            if len(layers) == MAX_LAYERS:
                raise InvalidRequest("the address is wrapped too many times", reason="depth")
            url = inner
            found = self._unwrap(parsed, split_origin(url)[1])
            # A fragment belongs to no URL that is fetched; it stays where it is what the next layer reads.
            is_read = found is not None and found[0] in self._read_fragments
            layers.append(Layer(wrapper, url + parsed.hash if is_read else url))
        return Resolution(address, SourceUrl(url), tuple(layers))

    def _unwrap(self, parsed: can_ada.URL, rest: str) -> tuple[str, can_ada.URL, str] | None:
        """(rule's name, what it carries, the same as text); None: a plain URL.

        rest: path and query of parsed, as they are to be read.
        """
        hits: list[str] | None = None
        outer: Outer | None = None
        for rules in self._book.stages_for(parsed.hostname):
            refusal: InvalidRequest | SourceRefused | None = None
            for gate, rule in rules:
                if refusal is not None and not rule.must_carry:
                    continue
                if gate:
                    if hits is None:
                        hits = self._book.hits(rest.lower())
                    if not hits:
                        break
                    if gate.isdisjoint(hits):
                        continue
                try:
                    if outer is None:
                        path, question, query = rest.partition("?")
                        outer = Outer(parsed, path, query if question else None)
                    carried = carried_by(rule, outer)
                    if carried is None:
                        continue
                    if rule.place == "none":
                        return None
                    inner = _parse(_clean(carried), None)
                    return rule.name, inner, _href(inner)
                except (InvalidRequest, SourceRefused) as error:
                    if rule.must_carry or error.reason in ("ambiguous", "userinfo"):
                        refusal = refusal or error
            # A known wrapper that carries nothing is not read again by the shape of its URL.
            if refusal is not None:
                raise refusal
        return None


def parse_rules(toml_text: str, name: str) -> tuple[Rule, ...]:
    """The rules of one file, each example of each tried. name: the file's, for messages.

    InvalidSettings names every broken entry with file and line. Grammar: docs/wrappers.md.
    """
    rules = read_rules(toml_text, name)
    problems = [problem for rule in rules for problem in _failing_examples(rule)]
    if problems:
        raise InvalidSettings("\n".join(problems))
    return rules


def _failing_examples(rule: Rule) -> list[str]:
    """What this rule alone makes of its examples, where that is not what they say."""
    resolver = Resolver((rule,))
    problems = []
    for wrapped, carried in rule.examples:
        try:
            resolution = resolver.resolve(wrapped)
            found = resolution.layers[0].url if resolution.layers else resolution.origin
            expected = normalise(carried)
        except MediaError as error:
            found, expected = f"an error: {error}", SourceUrl(carried)
        if found != expected:
            problems.append(
                f"{rule.file}:{rule.line}: wrapper {rule.name!r}: the example {wrapped} gives {found}, not {expected}"  # noqa: E501
            )
    return problems


def split_origin(url: str) -> tuple[str, str]:
    """Scheme, host and port of a normalised URL; its path and query.

    (The parser does not tell `?` from no query.)
    """
    path = url.index("/", _BEFORE_PATH)
    return url[:path], url[path:]


def _rest_as_written(text: str) -> str:
    """Path and query as they stand in an absolute address; an empty path is `/`."""
    authority = _AUTHORITY.match(text)
    rest = text[authority.end() if authority else 0 :].partition("#")[0]
    return f"/{rest}" if not rest or rest[0] == "?" else rest


def _clean(address: str) -> str:
    text = address.strip(_BLANKS)
    if not text.isprintable():
        text = text.translate(_LINE_BREAKS)
        if _CONTROL.search(text):
            raise InvalidRequest("the address holds control characters", reason="control")
    return text


def _parse(text: str, base: str | None) -> can_ada.URL:
    has_scheme = text.startswith(_WEB) or _has_scheme(text)
    if len(text) > _LONGEST_AUTHORITY or "@" in text:
        _check_authority(text)
    try:
        parsed = can_ada.parse(text) if has_scheme and base is None else _joined(text, base)
    except ValueError as error:
        raise InvalidRequest("the address cannot be read", reason="unreadable") from error
    if not is_host(parsed.hostname):
        raise InvalidRequest("the address has no usable host", reason="host")
    return parsed


def _has_scheme(text: str) -> bool:
    if not text or text[0] == "#":
        raise InvalidRequest("there is no address", reason="empty")
    scheme = _SCHEME.match(text)
    if scheme is None:
        return False
    if scheme[1].lower() not in ("http", "https"):
        raise SourceRefused("only http and https are fetched", reason="scheme")
    return True


def _joined(text: str, base: str | None) -> can_ada.URL:
    if base is not None:
        start = _parse(_clean(base), None)
        return start + text
    if text[:1] in "/\\" and text[1:2] in ("/", "\\"):
        return can_ada.parse("https:" + text)
    raise InvalidRequest("a relative address needs a base", reason="relative")


def _check_authority(text: str) -> None:
    found = _AUTHORITY.match(text)
    authority = found[1] if found is not None else ""
    if "@" in authority:
        raise SourceRefused("a source may not carry user and password", reason="userinfo")
    if len(authority) > _LONGEST_AUTHORITY:
        raise InvalidRequest("the address has no usable host", reason="host")


def _href(parsed: can_ada.URL) -> str:
    href = parsed.href
    if "#" in href:
        href = href.partition("#")[0]
    if "^" in href:
        # The standard has encoded ^ in paths since 2024; the parser's Ada is older.
        path, question, query = href.partition("?")
        href = path.replace("^", "%5E") + question + query
    return href
