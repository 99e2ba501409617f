"""Front matter in TOML between two lines of `+++`, as Hugo and Zola have it."""

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from mediasvc.core.text.encoding import Source
from mediasvc.core.text.front_matter.fields import ITEM, FieldTree, Scalar, follow, is_mentioned
from mediasvc.core.text.front_matter.span import Span
from mediasvc.core.text.reference import Syntax

_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?(?:[ \t]*+(?:\r\n?+|\n))*+\+\+\+[ \t]*+(?:\r\n?+|\n)")
_CLOSING = re.compile(rb"\+(?<=[\r\n]\+)\+\+[ \t]*+(?:\r\n?+|\n|\Z)")

_KEY = rb"(?:[A-Za-z0-9_-]++|\"(?:[^\"\\\r\n]|\\.)*+\"|'[^'\r\n]*+')"
_KEYS = _KEY + rb"(?:[ \t]*+\.[ \t]*+" + _KEY + rb")*+"
_ONE_KEY = re.compile(rb"\"((?:[^\"\\\r\n]|\\.)*+)\"|'([^'\r\n]*+)'|([A-Za-z0-9_-]++)")
_TABLE = re.compile(rb"\[(\[)?[ \t]*+(" + _KEYS + rb")[ \t]*+\]")
_ASSIGNMENT = re.compile(rb"(" + _KEYS + rb")[ \t]*+=")
_STATEMENT = re.compile(rb"[\s]*+(?:#[^\r\n]*+\s*+)*+")
_REST_OF_LINE = re.compile(rb"[^\r\n]*+")
_BLANK = re.compile(rb"[\s,]*+(?:#[^\r\n]*+[\s,]*+)*+")
_STRING = re.compile(
    rb"\"\"\"(?P<long>(?:[^\"\\]|\\[\s\S]|\"(?!\"\"))*+)\"\"\""
    rb"|'''(?P<long_literal>(?:[^']|'(?!''))*+)'''"
    rb"|\"(?P<basic>(?:[^\"\\\r\n]|\\.)*+)\""
    rb"|'(?P<literal>[^'\r\n]*+)'"
)
_OTHER = re.compile(rb"[^\s,\[\]{}\"'#=]++(?: [0-9:.Z+-]++)?")
_SYNTAX = {
    "long": Syntax.TOML_BASIC,
    "basic": Syntax.TOML_BASIC,
    "long_literal": Syntax.TOML_LITERAL,
    "literal": Syntax.TOML_LITERAL,
}
_MAX_DEPTH = 32

_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(\s*\n\s*)|([\s\S]))")
_NAMED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


class _Open(NamedTuple):
    """An array, or an inline table, whose end has not come yet. node: of its items, or of its keys."""

    is_array: bool
    node: FieldTree | None


def find(page: bytes) -> Span | None:
    """The bytes between two lines of three plus signs, the first of them on the first line that is not blank."""  # noqa: E501
    opening = _OPENING.match(page)
    closing = _CLOSING.search(page, opening.end()) if opening is not None else None
    if opening is None or closing is None:
        return None
    return Span(opening.end(), closing.start(), closing.end())


def scalars(source: Source, span: Span, tree: FieldTree) -> Iterator[Scalar]:
    """The strings of some fields. A statement that cannot be read is passed over with its line."""
    page = source.page[: span.end]
    position = span.start
    if not is_mentioned(tree, page[position:]):
        return
    table: FieldTree | None = tree
    while (position := _after(_STATEMENT, page, position)) < span.end:
        header = _TABLE.match(page, position)
        if header is not None:
            table = follow(tree, _steps(source, *header.span(2)))
            table = follow(table, (ITEM,) if header[1] else ())
            position = header.end()
        elif (assignment := _ASSIGNMENT.match(page, position)) is not None:
            child = follow(table, _steps(source, *assignment.span(1)))
            end, is_whole = yield from _value(source, page, assignment.end(), child)
            line_start = page.rfind(b"\n", assignment.end(), end) + 1
            position = max(end, assignment.end())
            if not is_whole and line_start:
                position = (
                    line_start  # the statement ends where it cannot be read; the next may begin on that line
                )
                continue
        position = _after(_REST_OF_LINE, page, position)


def _steps(source: Source, start: int, end: int) -> list[bytes]:
    """The keys of a dotted key."""
    return [
        source.raw[slice(*match.span(match.lastindex or 0))]
        for match in _ONE_KEY.finditer(source.page, start, end)
    ]


def _value(
    source: Source, page: bytes, position: int, node: FieldTree | None
) -> Generator[Scalar, None, tuple[int, bool]]:
    """The strings of one value; returns how far it was read, and whether that is its end."""
    open_ones: list[_Open] = []
    while True:
        position = _after(_BLANK, page, position)
        mark = page[position : position + 1]
        if mark in (b"]", b"}") and open_ones and open_ones[-1].is_array == (mark == b"]"):
            open_ones.pop()
            position += 1
        elif mark in (b"[", b"{") and len(open_ones) < _MAX_DEPTH:
            below = follow(node, (ITEM,)) if mark == b"[" else node
            open_ones.append(_Open(mark == b"[", below))
            position += 1
        elif (string := _STRING.match(page, position)) is not None:
            kind = string.lastgroup or ""
            if node is not None and node.field:
                yield Scalar(node.field, *string.span(kind), _SYNTAX[kind])
            position = string.end()
        else:
            other = _OTHER.match(page, position)
            if other is None:
                return position, False
            position = other.end()
        if not open_ones:
            return position, True
        node = open_ones[-1].node
        if not open_ones[-1].is_array:
            position = _after(_BLANK, page, position)
            key = _ASSIGNMENT.match(page, position)
            if key is not None:
                node = follow(node, _steps(source, *key.span(1)))
                position = key.end()


def decoded(text: str, syntax: Syntax) -> str:
    """The value of a string as it is written. Source: TOML 1.1, "String"."""
    if syntax is Syntax.TOML_LITERAL or "\\" not in text:
        return text
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is not None:
        return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else "\ufffd"
    return "" if match[4] is not None else _NAMED.get(match[5], match[5])


def _after(pattern: re.Pattern[bytes], page: bytes, position: int) -> int:
    match = pattern.match(page, position)
    return match.end() if match is not None else position
