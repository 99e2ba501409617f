"""The grammar of wrapper rules, for the built-in table and the operator's own alike."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from mediasvc.core.addresses.host_patterns import HostPattern
from mediasvc.core.addresses.wrappers import fields
from mediasvc.errors import InvalidSettings

Place = Literal["query", "parameter", "path", "fragment", "host", "template", "none"]
Coded = Literal["percent", "base64", "hex"]
OwnerOfQuery = Literal["auto", "carried", "own"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled wrapper rule; docs/wrappers.md says what each key means to who writes one.

    file, line: where it stands. must_carry: a URL that the rule is about but that carries nothing is an
    error; else it is somebody's plain URL. path: anchored at the start, at the end too unless the place
    is the path. decode: (least, most) times. examples: pairs of (wrapped, what it carries).
    host: what the whole host name must be. template: pairs of a literal and what follows it, `""`, the name
    of a group or `?` and the name of a parameter. drop: names of the wrapper's own parameters. ending: what
    the wrapper writes behind the carried URL. carried_hosts: hosts that the carried URL may have; empty: any.
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
    host: re.Pattern[str] | None
    spelling: Literal["", "hyphens"]
    template: tuple[tuple[str, str], ...]
    scheme_parameter: str
    drop: re.Pattern[str] | None
    ending: re.Pattern[str] | None
    carried_hosts: tuple[HostPattern, ...]
    source: str
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


# Keys by the kind of their values.
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
_STRINGS += ("host", "spelling", "template", "scheme_parameter", "ending", "source")
_LISTS = ("hosts", "labels", "contains", "parameters", "beside", "after", "drop", "carried_hosts")
_FLAGS = ("last", "ssl_prefix", "image", "must_carry")
KEYS = frozenset((*_STRINGS, *_LISTS, *_FLAGS, "decode", "examples"))
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "place": get_args(Place),
    "coded": get_args(Coded),
    "query": get_args(OwnerOfQuery),
    "scheme": ("http", "https"),
    "spelling": ("hyphens",),
    "slashes": ("any", "two"),
}
_ENTRY = re.compile(r"\s*\[\[\s*wrapper\s*\]\]")


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
        line = _first_line(toml_text, key)
        raise InvalidSettings(
            f"{name}:{line}: {key!r}: a file of rules holds [[wrapper]] entries and [fragments] only"
        )
    try:
        fragments = fields.fragments(document.get("fragments", {}))
    except fields.Broken as broken:
        raise InvalidSettings(f"{name}:{_first_line(toml_text, broken.key)}: {broken}") from broken
    problems: list[str] = []
    rules: list[Rule] = []
    starts = _starts(toml_text, len(entries))
    for entry, start in zip(entries, starts, strict=True):
        try:
            rules.append(_compile(entry, name, start, {rule.name for rule in rules}, fragments))
        except fields.Broken as broken:
            line = _key_line(toml_text, start, broken.key)
            problems.append(f"{name}:{line}: wrapper {entry.get('name', '?')!r}: {broken}")
    if problems:
        raise InvalidSettings("\n".join(problems))
    return tuple(rules)


def _compile(
    entry: Mapping[str, object], file: str, line: int, taken: set[str], fragments: Mapping[str, str]
) -> Rule:
    for key in entry:
        if key not in KEYS:
            raise fields.Broken(key, f"unknown key {key!r}")
    texts = {key: fields.text(entry, key, _CHOICES.get(key, ())) for key in _STRINGS}
    lists = {key: fields.texts(entry, key) for key in _LISTS}
    flags = {key: fields.flag(entry, key) for key in _FLAGS}
    if not texts["name"]:
        raise fields.Broken("name", "name is missing")
    if texts["name"] in taken:
        raise fields.Broken("name", "this name is taken by an entry above")
    place = texts["place"]
    if not place:
        raise fields.Broken("place", f"place is missing: one of {', '.join(_CHOICES['place'])}")
    _check_keys_fit(texts, lists, place)
    is_known_host = bool(lists["hosts"])
    return Rule(
        name=texts["name"],
        file=file,
        line=line,
        place=place,  # type: ignore[arg-type]  # fields.text has checked it against the very same literals
        path=fields.path(texts["path"], place, fragments),
        hosts=fields.hosts(lists["hosts"]),
        labels=fields.labels(lists["labels"]),
        contains=frozenset(text.lower() for text in lists["contains"]),
        parameter=fields.parameter(lists["parameters"], "=([^&]*)"),
        beside=fields.parameter(lists["beside"], "(?:=|&|$)"),
        after=tuple(word.lower() for word in lists["after"]),
        last=flags["last"] or False,
        coded=texts["coded"] or "percent",  # type: ignore[arg-type]  # checked, as above
        decode=fields.decode(entry, place),
        scheme=texts["scheme"],  # type: ignore[arg-type]  # checked, as above
        ssl_prefix=flags["ssl_prefix"] or False,
        ssl_parameter=texts["ssl_parameter"],
        slashes=texts["slashes"] or "any",  # type: ignore[arg-type]  # checked, as above
        query=texts["query"] or "auto",  # type: ignore[arg-type]  # checked, as above
        query_parameter=texts["query_parameter"],
        until=texts["until"],
        format_mark=texts["format_mark"],
        relative=fields.relative(texts["relative"]),
        to=fields.target(texts["to"]),
        host=fields.pattern("host", texts["host"]),
        spelling=texts["spelling"],  # type: ignore[arg-type]  # checked, as above
        template=fields.template(texts["template"]),
        scheme_parameter=texts["scheme_parameter"],
        drop=fields.parameter_names(lists["drop"]),
        ending=fields.pattern("ending", rf"(?:{texts['ending']})\Z" if texts["ending"] else ""),
        carried_hosts=fields.hosts(lists["carried_hosts"], "carried_hosts"),
        source=texts["source"],
        image=flags["image"] or False,
        must_carry=is_known_host if flags["must_carry"] is None else flags["must_carry"],
        examples=fields.examples(entry),
    )


def _check_keys_fit(texts: Mapping[str, str], lists: Mapping[str, tuple[str, ...]], place: str) -> None:
    if lists["hosts"] and lists["labels"]:
        raise fields.Broken("labels", "hosts and labels cannot stand in one entry")
    if not lists["hosts"] and not lists["contains"] and place != "none":
        raise fields.Broken(
            "contains", "an entry without hosts needs contains: a text that every such URL has"
        )
    if (place == "parameter") != bool(lists["parameters"]):
        raise fields.Broken("parameters", "parameters belongs to place = 'parameter', which needs it")
    if (place == "host") != bool(texts["to"]):
        raise fields.Broken("to", "to belongs to place = 'host', which needs it")
    if (place == "template") != bool(texts["template"]):
        raise fields.Broken("template", "template belongs to place = 'template', which needs it")
    if texts["host"] and place != "template":
        raise fields.Broken("host", "host belongs to place = 'template'")
    if place == "path" and not texts["path"]:
        raise fields.Broken("path", "place = 'path' needs path: what stands before the carried URL")


def _first_line(text: str, key: str) -> int:
    """The first line that begins with this key, or with a table of this name; 1 when there is none."""
    pattern = re.compile(rf"[\s\[]*{re.escape(key)}\b")
    return next((number for number, line in enumerate(text.split("\n"), 1) if pattern.match(line)), 1)


def _starts(text: str, count: int) -> list[int]:
    """Line of each `[[wrapper]]`; were they written another way, the last known one, at least 1."""
    starts = [number for number, line in enumerate(text.split("\n"), 1) if _ENTRY.match(line)][:count]
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
