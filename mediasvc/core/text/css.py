"""The url() values of a style sheet or of declarations that may name a picture."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mediasvc.core.text.reference import Syntax

_TOKEN = re.compile(
    r"""
    /\*(?:[^*]|\*(?!/))*+(?:\*/)?
    | (?P<url> \b(?<![\w-])url\( [ \t\r\n\f]*+
        (?: "(?P<double>(?:[^"\\\n\r\f]|\\(?:\r\n|[\s\S]))*+)"
          | '(?P<single>(?:[^'\\\n\r\f]|\\(?:\r\n|[\s\S]))*+)'
          | (?P<bare>(?:[^"'()\\\x00-\x20\x7f]|\\(?:[0-9a-f]{1,6}+(?:\r\n|[ \t\r\n\f])?+|[^\n\r\f]))*+)(?=[ \t\r\n\f]*+(?:\)|\Z))
          | (?:[^)\\]|\\[\s\S])*+
        ) )
    | "(?:[^"\\\n\r\f]|\\[\s\S])*+"?
    | '(?:[^'\\\n\r\f]|\\[\s\S])*+'?
    | @(?P<at>[\w-]+)
    | (?P<mark>[{};])
    | \\[\s\S]
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})(?:\r\n|[ \t\r\n\f])?|(\r\n|[\n\r\f])|([\s\S]))")
_PROPERTY = re.compile(r"\s*(?:/\*[^*]{0,200}\*/\s*)?([\w-]+)\s*:")
# Their url() names a document, a script or a part of an SVG, never a picture.
_NO_PICTURE = frozenset({"behavior", "-moz-binding", "src", "filter", "clip-path"})
_SYNTAX = {"double": Syntax.CSS_DOUBLE, "single": Syntax.CSS_SINGLE, "bare": Syntax.CSS_BARE}


@dataclass(frozen=True, slots=True)
class CssUrl:
    """start, end: span of the value between the quotes or parentheses; blanks excluded where it has no quotes."""

    start: int
    end: int
    syntax: Syntax


def find_urls(text: str) -> Iterator[CssUrl]:
    """The url() values in a style sheet, or in the declarations of a style attribute.

    Left out: what stands in comments and strings, before the block of an at-rule (@import, @namespace, @document),
    in @font-face, and in properties that take no picture. Source: CSS Syntax 3, 4.3.
    """
    in_prelude = False
    last_at = ""
    depth = 0
    font_face_depth: int | None = None
    declaration_start = 0
    takes_picture: bool | None = None  # of the declaration; read once, however many values it has
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "at":
            in_prelude, last_at = True, match["at"].lower()
        elif kind == "mark":
            mark = match["mark"]
            declaration_start, takes_picture = match.end(), None
            if mark == "{":
                depth += 1
                if in_prelude and last_at == "font-face" and font_face_depth is None:
                    font_face_depth = depth
            elif mark == "}":
                if font_face_depth is not None and depth <= font_face_depth:
                    font_face_depth = None
                depth = max(0, depth - 1)
            in_prelude = False
        elif match["url"] is not None and not in_prelude and font_face_depth is None:
            form = next((name for name in _SYNTAX if match[name] is not None), None)
            if form is None:
                continue
            if takes_picture is None:
                stated = _PROPERTY.match(text, declaration_start)
                takes_picture = stated is None or stated[1].lower() not in _NO_PICTURE
            if takes_picture:
                yield CssUrl(*match.span(form), _SYNTAX[form])


def unescape_css(text: str) -> str:
    """The value of a string or url() token. Source: CSS Syntax 3, 4.3.7."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    if match[1] is not None:
        code = int(match[1], 16)
        return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd"
    return "" if match[2] is not None else match[3]
