"""Front matter that is not valid YAML, read line by line."""

import re
from collections.abc import Iterator

from mediasvc.core.text.encoding import Source
from mediasvc.core.text.front_matter.fields import ITEM, FieldTree, Scalar, follow
from mediasvc.core.text.reference import Syntax

_SINGLE = rb"'[^'\r\n]*+(?:''[^'\r\n]*+)*+'"
_WITH_REMARK = re.compile(rb"(?:" + _SINGLE + rb"|\"[^\"\\\r\n]*+\")(?=[ \t]++#)")
_DASHES = re.compile(rb"(?:[ \t]*+-(?=[ \t]|\Z))+[ \t]*|[ \t]*")
_KEY = re.compile(rb"(\"[^\"\r\n]{1,200}\"|'[^'\r\n]{1,200}'|[^\s:\"'#][^:\r\n]{0,200})[ \t]*+:(?:[ \t]+|\Z)")
_LINE = re.compile(rb"[^\r\n]+")
_MAX_DEPTH = 32


def scalars(source: Source, start: int, end: int, tree: FieldTree) -> Iterator[Scalar]:
    """Each `key: value` and `- value` of a line, the value as it is written: quotes inside quotes are text.

    A line belongs to the last line before it that ends with a colon and is indented less.
    """
    open_at: list[tuple[int, FieldTree | None]] = [(-1, tree)]
    for match in _LINE.finditer(source.raw, start, end):
        line = match[0].rstrip(b" \t")
        dashes = _DASHES.match(line)
        column = begin = dashes.end() if dashes is not None else 0
        if begin >= len(line) or line[begin : begin + 1] == b"#":
            continue
        indent = len(line) - len(line.lstrip(b" \t"))
        items = line[:begin].count(b"-")
        while len(open_at) > 1 and open_at[-1][0] >= indent + bool(items):
            open_at.pop()
        owner = open_at[-1][1] if len(open_at) > 1 or not indent else None
        node = follow(owner, (ITEM,) * items)
        key = _KEY.match(line, begin)
        if key is not None:
            if items:
                open_at.append((column - 1, node))
            node, begin = follow(node, (key[1].strip(b"\"' \t"),)), key.end()
        if begin >= len(line):
            open_at.append((column, node))
            if len(open_at) > _MAX_DEPTH:
                return
        elif node is not None and node.field:
            span = _value(line, begin)
            if span is not None:
                yield Scalar(node.field, match.start() + span[0], match.start() + span[1], Syntax.LINE)


def _value(line: bytes, begin: int) -> tuple[int, int] | None:
    value = line[begin:]
    quote = value[:1]
    if quote in (b"'", b'"'):
        remarked = _WITH_REMARK.match(value)
        close = remarked.end() - 1 if remarked is not None else value.rfind(quote, 1)
        return begin + 1, begin + (close if close > 0 else len(value))
    if quote in b"[{|>&*!#":
        return None
    return begin, begin + len(value.split(b" #", 1)[0].rstrip(b" \t"))
