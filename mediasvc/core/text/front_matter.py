"""Image fields in the YAML front matter of an article, valid or not."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import yaml

from mediasvc.core.text.encoding import Source
from mediasvc.core.text.reference import Form, Reference, Syntax, Wants, is_fetchable, trimmed

# Blank lines may come first; a line that is no "key:" right after the dashes means a thematic break, not a fence.
_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?(?:[ \t]*+(?:\r\n?+|\n))*+---[ \t]*+(?:\r\n?+|\n)")
_FIRST_KEY = re.compile(
    rb"(?:[ \t]*+(?:#[^\r\n]*+)?+(?:\r\n?+|\n))*+"
    rb"(?:---|[ \t]*+\{|\? | *+[^\s#:<>!\[|*][^\r\n:]{0,200}+:(?=[ \t\r\n])|[A-Za-z_][A-Za-z0-9_-]*+:(?!//))"
)
# (The dash first: text is searched for a letter much faster than for what stands before it.)
_CLOSING = re.compile(rb"-(?<=[\r\n]-)--[ \t]*+(?:\r\n?+|\n|\Z)")

_MAX_YAML_BYTES = 64 * 1024
_MAX_DEPTH = 32
# libyaml counts characters; one per byte, none of them a control or a line break that is not ASCII.
_YAML_VIEW = bytes(byte if byte in b"\t\n\r" or 0x20 <= byte < 0x7F else ord("x") for byte in range(256))

# The front matter of nearly every article: lines that mean the same with and without a YAML parser. (No capturing
# group within a possessive quantifier: that is a SystemError in Python 3.11.)
_KEY = rb"[A-Za-z_][A-Za-z0-9_-]{0,60}"
_PLAIN = rb"[A-Za-z0-9/][^\s:#]*+(?:(?::(?=\S)|(?<=\S)#|[ \t]++(?=[^\s#:]))[^\s:#]*+)*+"
_SINGLE = rb"[^'\r\n]*+(?:''[^'\r\n]*+)*+"
_DOUBLE = rb"[^\"\\\r\n]*+"
_VALUE = rb"(?:'" + _SINGLE + rb"'|\"" + _DOUBLE + rb"\"|" + _PLAIN + rb")[ \t]*+\r?\n"
_ITEMS = b"|".join(rb"(?:" + b" " * indent + rb"- ++" + _VALUE + rb")++" for indent in (0, 1, 2, 4))
_SIMPLE = re.compile(
    rb"(?:"
    + _KEY
    + rb":(?:[ \t]++"
    + _VALUE
    + rb"|[ \t]*+\r?\n(?:"
    + _ITEMS
    + rb")?)|#[^\r\n]*+\r?\n|[ ]*+\r?\n)*"
)
_SIMPLE_VALUE = re.compile(
    rb":[ \t]++(?:'(" + _SINGLE + rb")'|\"(" + _DOUBLE + rb")\"|(" + _PLAIN + rb"))[ \t]*+\r?\n"
)
_SIMPLE_FORMS: tuple[Form, ...] = ((), (Syntax.YAML_SINGLE,), (Syntax.YAML_DOUBLE,), (Syntax.YAML_PLAIN,))

_PROPERTIES = re.compile(rb"(?:[&!][^\s]*[ \t\r\n]+)+")
_NO_ADDRESS = re.compile(r"~|null|true|false|yes|no|on|off|none|[-+]?[0-9.]+", re.IGNORECASE)
_FOLD = re.compile(r"[ \t]*(?:\r\n?|\n)((?:[ \t]*(?:\r\n?|\n))*)[ \t]*")
_DOUBLE_PART = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(\r\n?|\n)[ \t]*|(.))"
    r"|[ \t]*(?:\r\n?|\n)((?:[ \t]*(?:\r\n?|\n))*)[ \t]*"
)
_DOUBLE_NAMES = {"0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
                 "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029"}  # fmt: skip
_WITH_REMARK = re.compile(rb"(?:'" + _SINGLE + rb"'|\"" + _DOUBLE + rb"\")(?=[ \t]++#)")
_HEADER = re.compile(rb"[|>][^\r\n]*+(?:\r\n?+|\n)")
_BREAK = re.compile(rb"[\r\n]")
_REFERENCE = re.compile("&#123;|&#125;|&amp;")
_IN_FRONT_MATTER = {"&#123;": "{", "&#125;": "}", "&amp;": "&"}

_Field = tuple[str, int, int, Form]  # name, start, end, form


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """start, end: the bytes between the two lines of dashes. body: where the text behind them begins."""

    start: int
    end: int
    body: int


def find_front_matter(page: bytes) -> FrontMatter | None:
    """What stands between two lines of three dashes, the first of them on the first line that is not blank."""
    opening = _OPENING.match(page)
    if opening is None or _FIRST_KEY.match(page, opening.end()) is None:
        return None
    start = opening.end()
    closing = _CLOSING.search(page, start)
    return FrontMatter(start, closing.start(), closing.end()) if closing is not None else None


def find_in_front_matter(
    source: Source, front: FrontMatter, fields: Mapping[str, Wants]
) -> Iterator[Reference]:
    """The fields (top level, scalar) that may name an image.

    fields: what each name gets. A THUMBNAIL has no declared size here: see Reference.
    """
    names = {name.encode(source.encoding, "replace"): name for name in fields}
    if not names:
        return
    for name, first, last, form in _scalars(source, front.start, front.end, names):
        address = _decoded(source.text(first, last), form[0]).strip(" \t\r\n")
        if "&" in address:
            address = _REFERENCE.sub(lambda match: _IN_FRONT_MATTER[match[0]], address)
        if form[0] is Syntax.YAML_PLAIN and _NO_ADDRESS.fullmatch(address):
            continue
        if is_fetchable(address):
            yield Reference(
                first, last, address, f"front-matter:{name}", fields[name], None, form, source.encoding
            )


def _scalars(source: Source, start: int, end: int, names: Mapping[bytes, str]) -> list[_Field]:
    is_short = end - start <= _MAX_YAML_BYTES
    view = source.page[start:end].translate(_YAML_VIEW) if is_short else b""
    if is_short and _SIMPLE.fullmatch(view):
        return list(_simple_scalars(source, view, start, names))
    raw = source.raw[start:end]
    if not any(name in raw for name in names):
        return []
    if is_short:
        try:
            return list(_yaml_scalars(source, view.decode("ascii"), start, names))
        except (yaml.YAMLError, _TooDeep):
            pass
    return list(_lines(source, start, end, names))


class _TooDeep(Exception):
    pass


class Mark(Protocol):
    """Of a YAML event: index counts characters."""

    index: int


def _simple_scalars(source: Source, view: bytes, start: int, names: Mapping[bytes, str]) -> Iterator[_Field]:
    lines = b"\n" + source.raw[start : start + len(view)]
    for key in _keys(tuple(names)).finditer(lines):
        match = _SIMPLE_VALUE.match(view, key.end() - 1)
        if match is not None:
            group = match.lastindex or 0
            yield names[key[1]], start + match.start(group), start + match.end(group), _SIMPLE_FORMS[group]


@lru_cache(maxsize=64)
def _keys(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """A line break and one of the names, before its colon."""
    return re.compile(rb"\n(" + b"|".join(map(re.escape, names)) + rb")(?=:)")


def _yaml_scalars(source: Source, view: str, start: int, names: Mapping[bytes, str]) -> Iterator[_Field]:
    """By events, never by nodes: composing a deep document overflows the C stack."""
    depth = 0
    key: str | None = None
    at_value = False
    for event in yaml.parse(view, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            continue
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise _TooDeep
            if depth == 1 and isinstance(event, yaml.SequenceStartEvent):
                return
            if depth != 2:
                continue
        elif depth != 1 or not isinstance(event, yaml.NodeEvent):
            continue
        # A node right in the top mapping: its keys and values take turns.
        name = None
        if isinstance(event, yaml.ScalarEvent):
            first, last = start + _index(event.start_mark), start + _index(event.end_mark)
            properties = _PROPERTIES.match(source.page, first, last)
            first = properties.end() if properties is not None else first
            if at_value and key is not None:
                yield from _spot(source, key, first, last, event.style or "")
            raw = source.raw[first:last]
            name = names.get(raw[1:-1] if raw[:1] in (b"'", b'"') else raw)
        key = None if at_value else name
        at_value = not at_value


def _index(mark: Mark | None) -> int:
    return 0 if mark is None else mark.index


def _spot(source: Source, name: str, first: int, last: int, style: str) -> Iterator[_Field]:
    if style in ("'", '"'):
        yield name, first + 1, last - 1, (Syntax.YAML_SINGLE if style == "'" else Syntax.YAML_DOUBLE,)
    elif style == "":
        yield name, first, last, (Syntax.YAML_PLAIN,)
    else:
        # The indicator's line, then the text: taken where it is one line.
        header = _HEADER.match(source.page, first, last)
        if header is not None:
            start, end = trimmed(source.page, header.end(), last)
            if start < end and not _BREAK.search(source.page, start, end):
                yield name, start, end, (Syntax.YAML_BLOCK,)


def _lines(source: Source, start: int, end: int, names: Mapping[bytes, str]) -> Iterator[_Field]:
    """`name: value` at the beginning of a line, the value as it stands: quotes inside quotes are text."""
    wanted = b"|".join(re.escape(name) for name in names)
    pattern = re.compile(rb"(?:\A|(?<=[\r\n]))[\"']?(" + wanted + rb")[\"']?[ \t]*:[ \t]+([^\r\n]*)")
    for match in pattern.finditer(source.raw[start:end]):
        value = match[2].rstrip(b" \t")
        first = start + match.start(2)
        quote = value[:1]
        if quote in (b"'", b'"'):
            remarked = _WITH_REMARK.match(value)
            close = remarked.end() - 1 if remarked is not None else value.rfind(quote, 1)
            first, last = first + 1, first + (close if close > 0 else len(value))
        elif quote in b"[{|>&*!#":
            continue
        else:
            last = first + len(value.split(b" #", 1)[0].rstrip(b" \t"))
        yield names[match[1]], first, last, (Syntax.LINE,)


def _decoded(text: str, syntax: Syntax) -> str:
    if syntax is Syntax.YAML_DOUBLE:
        return _DOUBLE_PART.sub(_double_part, text)
    # (Block scalars and lines that are not YAML have no line breaks: they pass as they are.)
    if "\n" in text or "\r" in text:
        text = _FOLD.sub(lambda match: _folded(match[1]), text)
    return text.replace("''", "'") if syntax is Syntax.YAML_SINGLE else text


def _folded(blank_lines: str) -> str:
    return "\n" * len(re.findall(r"\r\n?|\n", blank_lines)) or " "


def _double_part(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is not None:
        return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else "\ufffd"
    if match[5] is not None:
        return _DOUBLE_NAMES.get(match[5], match[5])
    return "" if match[6] is None else _folded(match[6])
