"""Front matter in YAML, valid or not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import yaml

from mediasvc.core.text.encoding import Source
from mediasvc.core.text.front_matter import loose_lines
from mediasvc.core.text.front_matter.fields import ITEM, FieldTree, Scalar, is_mentioned
from mediasvc.core.text.front_matter.span import Span
from mediasvc.core.text.reference import Syntax, trimmed

# Blank lines may come first; a line that is no "key:" right after the dashes means a thematic break, not a
# fence.
_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?(?:[ \t]*+(?:\r\n?+|\n))*+---[ \t]*+(?:\r\n?+|\n)")
_FIRST_KEY = re.compile(
    rb"(?:[ \t]*+(?:#[^\r\n]*+)?+(?:\r\n?+|\n))*+"
    rb"(?:---|[ \t]*+\{|\? | *+[^\s#:<>!\[|*][^\r\n:]{0,200}+:(?=[ \t\r\n])|[A-Za-z_][A-Za-z0-9_-]*+:(?!//))"
)
# (The dash first: text is searched for a letter much faster than for what stands before it.)
_CLOSING = re.compile(rb"-(?<=[\r\n]-)--[ \t]*+(?:\r\n?+|\n|\Z)")

_DOTS = re.compile(rb"\.(?<=[\r\n]\.)\.\.[ \t]*+(?:\r\n?+|\n|\Z)")

_MAX_YAML_BYTES = 64 * 1024
_MAX_DEPTH = 32
# libyaml counts characters; one per byte, none of them a control or a line break that is not ASCII.
_YAML_VIEW = bytes(byte if byte in b"\t\n\r" or 0x20 <= byte < 0x7F else ord("x") for byte in range(256))

# The front matter of nearly every article: lines that mean the same with and without a YAML parser. (No
# capturing group within a possessive quantifier: that is a SystemError in Python 3.11.)
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
_SIMPLE_ITEM = re.compile(
    rb" *- ++(?:'(" + _SINGLE + rb")'|\"(" + _DOUBLE + rb")\"|(" + _PLAIN + rb"))[ \t]*+\r?\n"
)
_SIMPLE_FORMS = (Syntax.YAML_PLAIN, Syntax.YAML_SINGLE, Syntax.YAML_DOUBLE, Syntax.YAML_PLAIN)

_PROPERTIES = re.compile(rb"(?:[&!][^\s]*[ \t\r\n]+)+")
_FOLD = re.compile(r"[ \t]*(?:\r\n?|\n)((?:[ \t]*(?:\r\n?|\n))*)[ \t]*")
_DOUBLE_PART = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(\r\n?|\n)[ \t]*|(.))"
    r"|[ \t]*(?:\r\n?|\n)((?:[ \t]*(?:\r\n?|\n))*)[ \t]*"
)
_DOUBLE_NAMES = {"0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",  # noqa: E501
                 "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029"}  # fmt: skip
_HEADER = re.compile(rb"[|>][^\r\n]*+(?:\r\n?+|\n)")


def find(page: bytes) -> Span | None:
    """The bytes between a line of three dashes, the first that is not blank, and one of three dashes or dots."""  # noqa: E501
    opening = _OPENING.match(page)
    if opening is None or _FIRST_KEY.match(page, opening.end()) is None:
        return None
    start = opening.end()
    closing = _CLOSING.search(page, start)
    dots = _DOTS.search(page, start, closing.start() if closing is not None else len(page))
    closing = dots or closing
    return Span(start, closing.start(), closing.end()) if closing is not None else None


def scalars(source: Source, span: Span, tree: FieldTree) -> Iterator[Scalar]:
    """The values of some fields; where it is not YAML, as far as its lines can be read."""
    start, end = span.start, span.end
    is_short = end - start <= _MAX_YAML_BYTES
    view = source.page[start:end].translate(_YAML_VIEW) if is_short else b""
    if is_short and _SIMPLE.fullmatch(view):
        return _simple_scalars(source, view, start, tree)
    if not is_mentioned(tree, source.raw[start:end]):
        return iter(())
    if is_short:
        try:
            return iter(list(_yaml_scalars(source, view.decode("ascii"), start, tree)))
        except (yaml.YAMLError, _TooDeep):
            pass
    return loose_lines.scalars(source, start, end, tree)


class _TooDeep(Exception):
    pass


class Mark(Protocol):
    """Of a YAML event: index counts characters."""

    index: int


def _simple_scalars(source: Source, view: bytes, start: int, tree: FieldTree) -> Iterator[Scalar]:
    lines = b"\n" + source.raw[start : start + len(view)]
    for key in _keys(tuple(tree.steps)).finditer(lines):
        node = tree.steps[key[1]]
        match = _SIMPLE_VALUE.match(view, key.end() - 1)
        if match is not None:
            if node.field:
                yield _simple(node.field, match, start)
        elif ITEM in node.steps and (field := node.steps[ITEM].field):
            position = view.index(b"\n", key.end() - 1) + 1
            while (match := _SIMPLE_ITEM.match(view, position)) is not None:
                yield _simple(field, match, start)
                position = match.end()


def _simple(field: str, match: re.Match[bytes], start: int) -> Scalar:
    group = match.lastindex or 0
    return Scalar(field, start + match.start(group), start + match.end(group), _SIMPLE_FORMS[group])


@lru_cache(maxsize=64)
def _keys(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """A line break and one of the names, before its colon."""
    return re.compile(rb"\n(" + b"|".join(map(re.escape, names)) + rb")(?=:)")


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet.

    child: where the next value leads; None where no field is below it.
    """

    is_list: bool
    node: FieldTree | None
    child: FieldTree | None = None
    at_value: bool = False


def _yaml_scalars(source: Source, view: str, start: int, tree: FieldTree) -> Iterator[Scalar]:
    """By events, never by nodes: composing a deep document overflows the C stack."""
    open_ones: list[_Open] = []
    for event in yaml.parse(view, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            open_ones.pop()
        elif isinstance(event, yaml.CollectionStartEvent):
            child = _child(open_ones, None) if open_ones else tree
            is_list = isinstance(event, yaml.SequenceStartEvent)
            open_ones.append(_Open(is_list, child, child.steps.get(ITEM) if is_list and child else None))
            if len(open_ones) > _MAX_DEPTH:
                raise _TooDeep
        elif isinstance(event, yaml.NodeEvent) and open_ones:
            if not isinstance(event, yaml.ScalarEvent):
                _child(open_ones, None)
                continue
            first, last = start + _index(event.start_mark), start + _index(event.end_mark)
            properties = _PROPERTIES.match(source.page, first, last)
            first = properties.end() if properties is not None else first
            raw = source.raw[first:last]
            child = _child(open_ones, raw[1:-1] if raw[:1] in (b"'", b'"') else raw)
            if child is not None and child.field:
                yield from _spot(source, child.field, first, last, event.style or "")


def _child(open_ones: list[_Open], key: bytes | None) -> FieldTree | None:
    """Where the value that comes now leads; in a mapping, keys and values take turns.

    key: the text of a scalar; None for any other node.
    """
    parent = open_ones[-1]
    if parent.is_list:
        return parent.child
    if parent.at_value:
        parent.at_value = False
        return parent.child
    parent.child = parent.node.steps.get(key) if parent.node is not None and key is not None else None
    parent.at_value = True
    return None


def _index(mark: Mark | None) -> int:
    return 0 if mark is None else mark.index


def _spot(source: Source, field: str, first: int, last: int, style: str) -> Iterator[Scalar]:
    if style in ("'", '"'):
        yield Scalar(field, first + 1, last - 1, Syntax.YAML_SINGLE if style == "'" else Syntax.YAML_DOUBLE)
    elif style == "":
        yield Scalar(field, first, last, Syntax.YAML_PLAIN)
    else:
        header = _HEADER.match(source.page, first, last)  # the indicator's line; the text is behind it
        if header is not None:
            start, end = trimmed(source.page, header.end(), last)
            if start < end:
                yield Scalar(field, start, end, Syntax.YAML_BLOCK)


def decoded(text: str, syntax: Syntax) -> str:
    """The value of a scalar as it is written."""
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
