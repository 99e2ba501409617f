"""The grammar of wrapper rules, for the built-in table and the operator's own alike."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import can_ada

from mediasvc.core.hosts import HostPattern, parse_host_pattern
from mediasvc.errors import InvalidSettings

Place = Literal["query", "parameter", "path", "host", "none"]
Coded = Literal["percent", "base64", "hex"]
OwnerOfQuery = Literal["auto", "carried", "own"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled wrapper rule; docs/wrappers.md says what each key means to who writes one.

    file, line: where it stands. must_carry: a URL that the rule is about but that carries nothing is an
    error; else it is somebody's plain URL. path: anchored at the start, at the end too unless the place
    is the path. decode: (least, most) times. examples: pairs of (wrapped, what it carries).
    """

    name: str
    file: str
    line: int
    place: Place
    path: re.Pattern[str]
    hosts: tuple[HostPattern, ...]
    labels: tuple[re.Pattern[str], ...]
    contains: frozenset[str]
    parameter: re.Pattern[str] | None
    beside: re.Pattern[str] | None
    after: tuple[str, ...]
    last: bool
    coded: Coded
    decode: tuple[int, int]
    scheme: Literal["", "http", "https"]
    ssl_prefix: bool
    ssl_parameter: str
    slashes: Literal["any", "two"]
    query: OwnerOfQuery
    query_parameter: str
    until: str
    format_mark: str
    relative: str
    to: str
    image: bool
    must_carry: bool
    examples: tuple[tuple[str, str], ...]

    def is_for(self, host: str) -> bool:
        """host: normalised."""
        if self.hosts:
            return any(pattern.matches(host) for pattern in self.hosts)
        if self.labels:
            return any(label.fullmatch(part) for part in host.split(".") for label in self.labels)
        return True


# For each key: what its value must be, and whether so. Everything else about an entry is in _compile.
_STRINGS: tuple[str, ...] = (
    "name",
    "place",
    "path",
    "coded",
    "scheme",
    "slashes",
    "query",
    "until",
    "relative",
)
_STRINGS += ("ssl_parameter", "query_parameter", "format_mark", "to")
_LISTS = ("hosts", "labels", "contains", "parameters", "beside", "after")
_FLAGS = ("last", "ssl_prefix", "image", "must_carry")
_KEYS = frozenset((*_STRINGS, *_LISTS, *_FLAGS, "decode", "examples"))
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "place": get_args(Place),
    "coded": get_args(Coded),
    "query": get_args(OwnerOfQuery),
    "scheme": ("http", "https"),
    "slashes": ("any", "two"),
}
_DECODE: Mapping[str, tuple[int, int]] = {"query": (0, 2), "parameter": (1, 2), "path": (0, 1)}
_GROUPS = frozenset({"host", "scheme", "tls", "query"})
# What a path may say in braces, beside the file's own fragments.
_FRAGMENTS: Mapping[str, str] = {
    "url": r"(?=(?i:https?(?::|%3A)(?:/|%2F)))",
    "segments": r"(?:(?!(?i:https?(?::|%3A)(?:/|%2F)))[^/]*/){0,40}+",
    "last": r"(?>.*/(?!/?\Z))(?=[^/]{1,80}/?\Z)",
    "base64": r"(?=aHR0c(?:DovL|HM6Ly)[\w-]+(?:=|%3D){0,2}\Z)",
}
_BRACES = re.compile(r"\{([a-z][a-z0-9_-]*)\}")
_LABEL = re.compile(r"[a-z0-9*_-]+")
_ENTRY = re.compile(r"\s*\[\[\s*wrapper\s*\]\]")


class _Broken(Exception):
    """What is wrong with one entry. key: where to look for the line; "" for the entry's first."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


def read_rules(toml_text: str, name: str) -> tuple[Rule, ...]:
    """Rules in the order of the file. name: the file's, for messages.

    InvalidSettings names every broken entry with its line: `wrappers.toml:12: wrapper 'x': …`.
    Examples are not tried here: that takes the resolver, see `urls.parse_rules`.
    """
    try:
        document = tomllib.loads(toml_text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(f"{name}:{_line_of(error, toml_text)}: {error}") from error
    strangers = [key for key in document if key not in ("wrapper", "fragments")]
    entries = document.get("wrapper", [])
    if strangers or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        key = strangers[0] if strangers else "wrapper"
        line = next((n for n, text in _lines(toml_text) if re.match(rf"[\s\[]*{re.escape(key)}\b", text)), 1)
        raise InvalidSettings(
            f"{name}:{line}: {key!r}: a file of rules holds [[wrapper]] entries and [fragments] only"
        )
    fragments = _fragments(document.get("fragments", {}), toml_text, name)
    problems: list[str] = []
    rules: list[Rule] = []
    starts = _starts(toml_text, len(entries))
    for entry, start in zip(entries, starts, strict=True):
        try:
            rules.append(_compile(entry, name, start, {rule.name for rule in rules}, fragments))
        except _Broken as broken:
            line = _key_line(toml_text, start, broken.key)
            problems.append(f"{name}:{line}: wrapper {entry.get('name', '?')!r}: {broken}")
    if problems:
        raise InvalidSettings("\n".join(problems))
    return tuple(rules)


def _compile(
    entry: Mapping[str, object], file: str, line: int, taken: set[str], fragments: Mapping[str, str]
) -> Rule:
    for key in entry:
        if key not in _KEYS:
            raise _Broken(key, f"unknown key {key!r}")
    texts = {key: _string(entry, key) for key in _STRINGS}
    lists = {key: _strings(entry, key) for key in _LISTS}
    flags = {key: _flag(entry, key) for key in _FLAGS}
    if not texts["name"]:
        raise _Broken("name", "name is missing")
    if texts["name"] in taken:
        raise _Broken("name", "this name is taken by an entry above")
    place = texts["place"]
    if not place:
        raise _Broken("place", f"place is missing: one of {', '.join(_CHOICES['place'])}")
    _check_keys_fit(texts, lists, place)
    is_known_host = bool(lists["hosts"])
    return Rule(
        name=texts["name"],
        file=file,
        line=line,
        place=place,  # type: ignore[arg-type]  # _string has checked it against the very same literals
        path=_path(texts["path"], place, fragments),
        hosts=_hosts(lists["hosts"]),
        labels=_labels(lists["labels"]),
        contains=frozenset(text.lower() for text in lists["contains"]),
        parameter=_parameter(lists["parameters"], "=([^&]*)"),
        beside=_parameter(lists["beside"], "(?:=|&|$)"),
        after=tuple(word.lower() for word in lists["after"]),
        last=flags["last"] or False,
        coded=texts["coded"] or "percent",  # type: ignore[arg-type]  # checked, as above
        decode=_decode(entry, place),
        scheme=texts["scheme"],  # type: ignore[arg-type]  # checked, as above
        ssl_prefix=flags["ssl_prefix"] or False,
        ssl_parameter=texts["ssl_parameter"],
        slashes=texts["slashes"] or "any",  # type: ignore[arg-type]  # checked, as above
        query=texts["query"] or "auto",  # type: ignore[arg-type]  # checked, as above
        query_parameter=texts["query_parameter"],
        until=texts["until"],
        format_mark=texts["format_mark"],
        relative=_relative(texts["relative"]),
        to=_to(texts["to"]),
        image=flags["image"] or False,
        must_carry=is_known_host if flags["must_carry"] is None else flags["must_carry"],
        examples=_examples(entry),
    )


def _check_keys_fit(texts: Mapping[str, str], lists: Mapping[str, tuple[str, ...]], place: str) -> None:
    if lists["hosts"] and lists["labels"]:
        raise _Broken("labels", "hosts and labels cannot stand in one entry")
    if not lists["hosts"] and not lists["contains"] and place != "none":
        raise _Broken("contains", "an entry without hosts needs contains: a text that every such URL has")
    if (place == "parameter") != bool(lists["parameters"]):
        raise _Broken("parameters", "parameters belongs to place = 'parameter', which needs it")
    if (place == "host") != bool(texts["to"]):
        raise _Broken("to", "to belongs to place = 'host', which needs it")
    if place == "path" and not texts["path"]:
        raise _Broken("path", "place = 'path' needs path: what stands before the carried URL")


def _string(entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str) or (key in entry and not value):
        raise _Broken(key, f"{key} is a text that is not empty")
    choices = _CHOICES.get(key)
    if choices and value and value not in choices:
        raise _Broken(key, f"{key} is one of {', '.join(choices)}, not {value!r}")
    return value


def _strings(entry: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or (key in entry and not value):
        raise _Broken(key, f"{key} is a list of texts that is not empty")
    if not all(isinstance(item, str) and item for item in value):
        raise _Broken(key, f"{key} is a list of texts that are not empty")
    return tuple(value)


def _flag(entry: Mapping[str, object], key: str) -> bool | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise _Broken(key, f"{key} is true or false")
    return value


def _decode(entry: Mapping[str, object], place: str) -> tuple[int, int]:
    value = entry.get("decode", list(_DECODE.get(place, (0, 0))))
    match value:
        case [int(least), int(most)] if 0 <= least <= most <= 3 and bool not in (type(least), type(most)):
            return least, most
    raise _Broken("decode", "decode is [least, most] times, from 0 to 3")


def _fragments(table: object, toml_text: str, name: str) -> Mapping[str, str]:
    """The grammar's own, and the file's, which may use the former."""
    fragments = dict(_FRAGMENTS)
    for key, value in table.items() if isinstance(table, dict) else [("fragments", None)]:
        line = next((n for n, text in _lines(toml_text) if re.match(rf"\s*\[?{re.escape(key)}\b", text)), 1)
        if key in _FRAGMENTS or not _BRACES.fullmatch(f"{{{key}}}"):
            raise InvalidSettings(
                f"{name}:{line}: fragment {key!r}: this name is taken or not in small letters"
            )
        try:
            if not isinstance(value, str):
                raise _Broken(key, "not a text")
            fragments[key] = f"(?:{_filled(value, _FRAGMENTS)})"
            re.compile(fragments[key])
        except (_Broken, re.error, KeyError) as error:
            raise InvalidSettings(
                f"{name}:{line}: fragment {key!r} is no regular expression: {error}"
            ) from error
    return fragments


def _filled(text: str, fragments: Mapping[str, str]) -> str:
    """KeyError when text names a fragment that is not there."""
    return _BRACES.sub(lambda braces: fragments[braces[1]], text)


def _path(text: str, place: str, fragments: Mapping[str, str]) -> re.Pattern[str]:
    try:
        filled = _filled(text, fragments)
        pattern = re.compile(filled if place == "path" or not text else rf"(?:{filled})\Z")
    except KeyError as error:
        raise _Broken("path", f"path names an unknown fragment: {error}") from error
    except re.error as error:
        raise _Broken("path", f"path is no regular expression: {error}") from error
    if strange := set(pattern.groupindex) - _GROUPS:
        raise _Broken("path", f"unknown group {sorted(strange)[0]!r}; known: {', '.join(sorted(_GROUPS))}")
    return pattern


def _parameter(names: tuple[str, ...], rest: str) -> re.Pattern[str] | None:
    """A parameter of one of these names, wherever it stands in a query."""
    return re.compile(f"(?:^|&)(?:{'|'.join(map(re.escape, names))}){rest}") if names else None


def _hosts(texts: tuple[str, ...]) -> tuple[HostPattern, ...]:
    try:
        return tuple(parse_host_pattern(text) for text in texts)
    except ValueError as error:
        raise _Broken("hosts", str(error)) from error


def _labels(texts: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    for text in texts:
        if not _LABEL.fullmatch(text):
            raise _Broken("labels", f"not a pattern for one label of a host: {text!r}")
    return tuple(re.compile(re.escape(text).replace(r"\*", ".*")) for text in texts)


def _relative(text: str) -> str:
    if text and text != "self" and not _is_http(text):
        raise _Broken("relative", "relative is 'self' or an http(s) URL")
    return text


def _to(text: str) -> str:
    try:
        pattern = parse_host_pattern(text) if text else None
    except ValueError as error:
        raise _Broken("to", str(error)) from error
    if pattern is not None and pattern.expression is not None:
        raise _Broken("to", "to is one host")
    return "" if pattern is None else pattern.text


def _examples(entry: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    value = entry.get("examples", [])
    for item in value if isinstance(value, list) else [None]:
        match item:
            case [str(wrapped), str(carried)]:
                pairs.append((wrapped, carried))
            case _:
                raise _Broken("examples", "examples is a list of [wrapped, carried] pairs")
    if not pairs:
        raise _Broken("examples", "an entry needs at least one example")
    return tuple(pairs)


def _is_http(text: str) -> bool:
    try:
        return can_ada.parse(text).protocol in ("http:", "https:")
    except ValueError:
        return False


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.split("\n"), 1)


def _starts(text: str, count: int) -> list[int]:
    """Line of each `[[wrapper]]`; were they written another way, the last known one, at least 1."""
    starts = [number for number, line in _lines(text) if _ENTRY.match(line)][:count]
    return starts + [starts[-1] if starts else 1] * (count - len(starts))


def _key_line(text: str, start: int, key: str) -> int:
    lines = text.split("\n")
    for number in range(start, len(lines)):
        if _ENTRY.match(lines[number]):
            break
        if key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", lines[number]):
            return number + 1
    return start


def _line_of(error: tomllib.TOMLDecodeError, text: str) -> int:
    found = re.search(r"line (\d+)", str(error))
    return int(found[1]) if found else text.count("\n") + 1
