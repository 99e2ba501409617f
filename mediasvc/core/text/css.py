"""The images that a style sheet or declarations name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mediasvc.core.text.reference import Syntax

_URL = r"""
    /\*(?:[^*]|\*(?!/))*+(?:\*/)?
    | (?P<url> \b(?<![\w-])url\( [ \t\r\n\f]*+
        (?: "(?P<double>(?:[^"\\\n\r\f]|\\(?:\r\n|[\s\S]))*+)"
          | '(?P<single>(?:[^'\\\n\r\f]|\\(?:\r\n|[\s\S]))*+)'
          | (?P<bare>(?:[^"'()\\\x00-\x20\x7f]|\\(?:[0-9a-f]{1,6}+(?:\r\n|[ \t\r\n\f])?+|[^\n\r\f]))*+)(?=[ \t\r\n\f]*+(?:\)|\Z))
          | (?:[^)\\]|\\[\s\S])*+
        ) )
"""  # noqa: E501
_STRINGS = r"""
    | "(?:[^"\\\n\r\f]|\\[\s\S])*+"?
    | '(?:[^'\\\n\r\f]|\\[\s\S])*+'?
    | @(?P<at>[\w-]+)
    | (?P<mark>[{};])
    | \\[\s\S]
"""
# The strings of an image-set() are images, but for those of a function in it: type("image/avif").
_SETS = r"""
    | (?P<set>(?<![\w-])(?:-webkit-)?image-set\()
    | (?P<parenthesis>[()])
    | "(?P<set_double>(?:[^"\\\n\r\f]|\\(?:\r\n|[\s\S]))*+)"
    | '(?P<set_single>(?:[^'\\\n\r\f]|\\(?:\r\n|[\s\S]))*+)'
"""
_TOKEN = re.compile(_URL + _STRINGS, re.VERBOSE | re.IGNORECASE)
_TOKEN_WITH_SETS = re.compile(_URL + _SETS + _STRINGS, re.VERBOSE | re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})(?:\r\n|[ \t\r\n\f])?|(\r\n|[\n\r\f])|([\s\S]))")
_PROPERTY = re.compile(r"\s*(?:/\*[^*]{0,200}\*/\s*)?([\w-]+)\s*:")
# Their url() names a document, a script or a part of an SVG, never a picture.
_NO_PICTURE = frozenset({"behavior", "-moz-binding", "src", "filter", "clip-path"})
_SYNTAX = {"double": Syntax.CSS_DOUBLE, "single": Syntax.CSS_SINGLE, "bare": Syntax.CSS_BARE}


@dataclass(frozen=True, slots=True)
class CssUrl:
    """An image's address in CSS.

    start, end: span of the value between the quotes or parentheses; blanks excluded where it has no quotes.
    """

    start: int
    end: int
    syntax: Syntax


@dataclass(slots=True)
class _State:
    """Where in a style sheet the reader is.

    takes_picture: of the declaration; None until it is looked at, once however many values the declaration
    has.
    set_depth: open parentheses since the beginning of an image-set(); 0 outside of one.
    """

    text: str
    in_prelude: bool = False
    last_at: str = ""
    depth: int = 0
    font_face_depth: int | None = None
    declaration_start: int = 0
    takes_picture: bool | None = None
    set_depth: int = 0

    def pass_mark(self, mark: str, end: int) -> None:
        """A brace or semicolon: the declaration before it is over."""
        self.declaration_start, self.takes_picture, self.set_depth = end, None, 0
        if mark == "{":
            self.depth += 1
            if self.in_prelude and self.last_at == "font-face" and self.font_face_depth is None:
                self.font_face_depth = self.depth
        elif mark == "}":
            if self.font_face_depth is not None and self.depth <= self.font_face_depth:
                self.font_face_depth = None
            self.depth = max(0, self.depth - 1)
        self.in_prelude = False

    def pass_parenthesis(self, mark: str) -> None:
        """One that belongs to no url()."""
        if self.set_depth:
            self.set_depth += 1 if mark == "(" else -1

    def is_at_picture(self) -> bool:
        """Whether a value at this place names a picture."""
        if self.in_prelude or self.font_face_depth is not None:
            return False
        if self.takes_picture is None:
            stated = _PROPERTY.match(self.text, self.declaration_start)
            self.takes_picture = stated is None or stated[1].lower() not in _NO_PICTURE
        return self.takes_picture


def find_urls(text: str) -> Iterator[CssUrl]:
    """The images in a style sheet, or in the declarations of a style attribute: url() and image-set().

    Left out: what is in comments and other strings, before the block of an at-rule (@import, @namespace,
    @document), in @font-face, and in properties that take no picture. Source: CSS Syntax 3, 4.3; CSS Images
    4, 2.4.
    """
    state = _State(text)
    token = _TOKEN_WITH_SETS if "image-set(" in text.lower() else _TOKEN
    for match in token.finditer(text):
        match match.lastgroup:
            case "at":
                state.in_prelude, state.last_at = True, match["at"].lower()
            case "mark":
                state.pass_mark(match["mark"], match.end())
            case "set":
                state.set_depth += 1
            case "parenthesis":
                state.pass_parenthesis(match["parenthesis"])
            case "url":
                form = next((name for name in _SYNTAX if match[name] is not None), None)
                if form is not None and state.is_at_picture():
                    yield CssUrl(*match.span(form), _SYNTAX[form])
                # The parenthesis that closes url() is not part of the token.
                state.set_depth += bool(state.set_depth)
            case "set_double" | "set_single" as form if state.set_depth == 1 and state.is_at_picture():
                yield CssUrl(*match.span(form), _SYNTAX[form.removeprefix("set_")])


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
