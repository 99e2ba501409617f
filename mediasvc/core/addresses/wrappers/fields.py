"""The fields of one wrapper entry, read from TOML values and checked."""

import re
from collections.abc import Mapping

import can_ada

from mediasvc.core.addresses.host_patterns import HostPattern, parse_host_pattern

_DECODE: Mapping[str, tuple[int, int]] = {
    "query": (0, 2),
    "fragment": (0, 2),
    "parameter": (1, 2),
    "path": (0, 1),
}
_GROUPS = frozenset({"host", "scheme", "tls", "query"})
_TEMPLATE = re.compile(r"https?://(?:[^{}]|\{\??[\w-]+\})+")
_PART = re.compile(r"([^{]*)(?:\{(\??[\w-]+)\})?")
# What a path may say in braces, beside the file's own fragments.
FRAGMENTS: Mapping[str, str] = {
    "url": r"(?=(?i:https?(?::|%3A)(?:/|%2F)))",
    "segments": r"(?:(?!(?i:https?(?::|%3A)(?:/|%2F)))[^/]*/){0,40}+",
    "last": r"(?>.*/(?!/?\Z))(?=[^/]{1,80}/?\Z)",
    "base64": r"(?=aHR0c(?:DovL|HM6Ly)(?:[\w+/-]|%2[BbFf])++(?:=|%3[Dd]){0,2}\Z)",
}
_BRACES = re.compile(r"\{([a-z][a-z0-9_-]*)\}")
_LABEL = re.compile(r"[a-z0-9*_-]+")


class Broken(Exception):
    """What is wrong with one entry. key: where to look for the line; "" for the entry's first."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


def text(entry: Mapping[str, object], key: str, choices: tuple[str, ...] = ()) -> str:
    """A text of the entry; "" when it is not there."""
    value = entry.get(key, "")
    if not isinstance(value, str) or (key in entry and not value):
        raise Broken(key, f"{key} is a text that is not empty")
    if choices and value and value not in choices:
        raise Broken(key, f"{key} is one of {', '.join(choices)}, not {value!r}")
    return value


def texts(entry: Mapping[str, object], key: str) -> tuple[str, ...]:
    """A list of texts; () when it is not there."""
    value = entry.get(key, [])
    if not isinstance(value, list) or (key in entry and not value):
        raise Broken(key, f"{key} is a list of texts that is not empty")
    if not all(isinstance(item, str) and item for item in value):
        raise Broken(key, f"{key} is a list of texts that are not empty")
    return tuple(value)


def flag(entry: Mapping[str, object], key: str) -> bool | None:
    """true or false; None when it is not there."""
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise Broken(key, f"{key} is true or false")
    return value


def decode(entry: Mapping[str, object], place: str) -> tuple[int, int]:
    """How many times to percent-decode: (least, most)."""
    value = entry.get("decode", list(_DECODE.get(place, (0, 0))))
    match value:
        case [int(least), int(most)] if 0 <= least <= most <= 3 and bool not in (type(least), type(most)):
            return least, most
    raise Broken("decode", "decode is [least, most] times, from 0 to 3")


def fragments(table: object) -> Mapping[str, str]:
    """Named parts of paths: the grammar's own, and the file's, which may use the former."""
    filled = dict(FRAGMENTS)
    for key, value in table.items() if isinstance(table, dict) else [("fragments", None)]:
        if key in FRAGMENTS or not _BRACES.fullmatch(f"{{{key}}}"):
            raise Broken(key, f"fragment {key!r}: this name is taken, or not in small letters")
        try:
            filled[key] = f"(?:{_filled(value, FRAGMENTS)})" if isinstance(value, str) else "("
            re.compile(filled[key])
        except (re.error, KeyError) as error:
            raise Broken(key, f"fragment {key!r} is no regular expression: {error}") from error
    return filled


def _filled(text: str, fragments: Mapping[str, str]) -> str:
    """KeyError when text names a fragment that is not there."""
    return _BRACES.sub(lambda braces: fragments[braces[1]], text)


def path(text: str, place: str, fragments: Mapping[str, str]) -> re.Pattern[str]:
    """What the path must match: its start where the URL stands in the path, else the whole of it."""
    try:
        filled = _filled(text, fragments)
        pattern = re.compile(filled if place == "path" or not text else rf"(?:{filled})\Z")
    except KeyError as error:
        raise Broken("path", f"path names an unknown fragment: {error}") from error
    except re.error as error:
        raise Broken("path", f"path is no regular expression: {error}") from error
    if place != "template" and (strange := set(pattern.groupindex) - _GROUPS):
        raise Broken("path", f"unknown group {sorted(strange)[0]!r}; known: {', '.join(sorted(_GROUPS))}")
    return pattern


def parameter(names: tuple[str, ...], rest: str) -> re.Pattern[str] | None:
    """A parameter of one of these names, wherever it stands in a query."""
    return re.compile(f"(?:^|&)(?:{'|'.join(map(re.escape, names))}){rest}") if names else None


def pattern(key: str, text: str) -> re.Pattern[str] | None:
    """A regular expression of the entry; None where there is none."""
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise Broken(key, f"{key} is no regular expression: {error}") from error


def template(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a literal and the name that follows it; () where there is no template."""
    if not text:
        return ()
    if not _TEMPLATE.fullmatch(text):
        raise Broken("template", "template is an http(s) URL with {group}, {path} or {?parameter} in it")
    return tuple((found[1], found[2] or "") for found in _PART.finditer(text) if found[0])


def parameter_names(texts: tuple[str, ...]) -> re.Pattern[str] | None:
    """Names of parameters, in which `*` is any text."""
    return re.compile("|".join(re.escape(text).replace(r"\*", ".*") for text in texts)) if texts else None


def hosts(texts: tuple[str, ...], key: str = "hosts") -> tuple[HostPattern, ...]:
    """Host patterns of the entry."""
    try:
        return tuple(parse_host_pattern(text) for text in texts)
    except ValueError as error:
        raise Broken(key, str(error)) from error


def labels(texts: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Patterns for any one label of a host."""
    for text in texts:
        if not _LABEL.fullmatch(text):
            raise Broken("labels", f"not a pattern for one label of a host: {text!r}")
    return tuple(re.compile(re.escape(text).replace(r"\*", ".*")) for text in texts)


def relative(text: str) -> str:
    """What a relative carried address is relative to: "", "self" or a URL."""
    if text and text != "self" and not _is_http(text):
        raise Broken("relative", "relative is 'self' or an http(s) URL")
    return text


def target(text: str) -> str:
    """The host that takes the place of another."""
    try:
        pattern = parse_host_pattern(text) if text else None
    except ValueError as error:
        raise Broken("to", str(error)) from error
    if pattern is not None and pattern.expression is not None:
        raise Broken("to", "to is one host")
    return "" if pattern is None else pattern.text


def examples(entry: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Pairs of (wrapped, carried), at least one."""
    pairs: list[tuple[str, str]] = []
    value = entry.get("examples", [])
    for item in value if isinstance(value, list) else [None]:
        match item:
            case [str(wrapped), str(carried)]:
                pairs.append((wrapped, carried))
            case _:
                raise Broken("examples", "examples is a list of [wrapped, carried] pairs")
    if not pairs:
        raise Broken("examples", "an entry needs at least one example")
    return tuple(pairs)


def _is_http(text: str) -> bool:
    try:
        return can_ada.parse(text).protocol in ("http:", "https:")
    except ValueError:
        return False
