"""Front matter in JSON, `{` to `}` at the beginning of an article, as Hugo has it."""

import re
from collections.abc import Iterator

from mediasvc.core.text.encoding import Source
from mediasvc.core.text.front_matter.fields import FieldTree, Scalar, follow, is_mentioned
from mediasvc.core.text.front_matter.span import Span
from mediasvc.core.text.json_text import strings, unescape_json
from mediasvc.core.text.reference import Syntax

_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?=\{\s*+(?:\"(?:[^\"\\]|\\[\s\S])*+\"\s*+:|\}))")
_BRACKET = re.compile(rb"\"(?:[^\"\\]|\\[\s\S])*+\"|[{}]")
_LINE_END = re.compile(rb"[ \t]*+(?:\r\n?+|\n|\Z)")
_MAX_BYTES = 1024 * 1024


def find(page: bytes) -> Span | None:
    """The object with which the article begins, where nothing is behind its last brace on that line."""
    opening = _OPENING.match(page)
    if opening is None:
        return None
    depth = 0
    for match in _BRACKET.finditer(page, opening.end(), opening.end() + _MAX_BYTES):
        depth += {b"{": 1, b"}": -1}.get(match[0], 0)
        if depth == 0:
            line_end = _LINE_END.match(page, match.end())
            return Span(opening.end(), match.end(), line_end.end()) if line_end is not None else None
    return None


def scalars(source: Source, span: Span, tree: FieldTree) -> Iterator[Scalar]:
    """The strings of some fields."""
    if not is_mentioned(tree, source.raw[span.start : span.end]):
        return
    for string in strings(source.raw, source.page, span.start, span.end):
        node = follow(tree, string.path)
        if node is not None and node.field:
            yield Scalar(node.field, string.start, string.end, Syntax.JSON_STRING)


def decoded(text: str, syntax: Syntax) -> str:
    """The value of a string as it is written."""
    return unescape_json(text)
