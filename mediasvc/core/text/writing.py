"""A new value in the notation that stands in the article, and the edit that puts it there."""

import re
from collections.abc import Callable

from mediasvc.core.text.edits import Edit
from mediasvc.core.text.reference import Reference, Syntax

# Needs no escape in any notation of Syntax.
_SAFE = re.compile(r"[A-Za-z0-9/.][A-Za-z0-9/._~:%+-]*/[A-Za-z0-9._~%+-]*")
# Not allowed in a URL, and an end or a beginning of something in most notations.
_NEVER = re.compile(r"[\x00-\x20\x7f<>\"`]")
_HTML_BARE_UNSAFE = re.compile(r"[\s\"'=<>`]")
_ENTITIES = {" ": "&#32;", '"': "&quot;", "'": "&#39;", "=": "&#61;", "<": "&lt;", ">": "&gt;", "`": "&#96;"}
_REFERENCE_LIKE = re.compile(r"&(?=#|[A-Za-z])")
_YAML_PLAIN = re.compile(r"[A-Za-z0-9/.](?:[^\s,\[\]{}#:]|:(?=[A-Za-z0-9/]))*")


def write(reference: Reference, value: str) -> Edit:
    """The edit that makes a reader of the article see `value` at the reference.

    value: a URL or a relative path. What no URL may hold (blanks, controls, `"`, `<`, `>`, the backtick) is
    percent-encoded, as are characters that the article's encoding lacks.
    """
    if _SAFE.fullmatch(value) is not None:
        return Edit(reference.start, reference.end, value.encode("ascii"))
    text = _NEVER.sub(_percent, value)
    for syntax in reference.form:
        text = _ESCAPES[syntax](text)
    return Edit(reference.start, reference.end, _encoded(text, reference.encoding))


def write_background(reference: Reference, declarations: str) -> Edit | None:
    """The edit that gives the reference's image tag further CSS declarations, before those it has.

    declarations: ASCII, without a semicolon at the end. None where the tag cannot take any.
    """
    spot = reference.background
    if spot is None:
        return None
    if not spot.form:
        return Edit(spot.at, spot.at, f' style="{_html_double(declarations)}"'.encode("ascii"))
    text = declarations + ";"
    for syntax in spot.form:
        text = _ESCAPES[syntax](text)
    return Edit(spot.at, spot.at, text.encode("ascii"))


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace"))


def _encoded(text: str, encoding: str) -> bytes:
    def present(match: re.Match[str]) -> str:
        return match[0] if match[0].encode(encoding, "ignore") else _percent(match)

    return re.sub(r"[^\x00-\x7f]", present, text).encode(encoding)


def _html_double(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;")


def _html_single(text: str) -> str:
    return text.replace("&", "&amp;").replace("'", "&#39;")


def _html_bare(text: str) -> str:
    text = text.replace("&", "&amp;")
    return f'"{text}"' if not text or _HTML_BARE_UNSAFE.search(text) else text


def _html_bare_part(text: str) -> str:
    return _HTML_BARE_UNSAFE.sub(lambda match: _ENTITIES[match[0]], text.replace("&", "&amp;"))


def _srcset(text: str) -> str:
    body = text.strip(",")
    before, after = text[: len(text) - len(text.lstrip(","))], text[len(text.rstrip(",")) :] if body else ""
    return "%2C" * len(before) + body + "%2C" * len(after)


def _css_single(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _css_bare(text: str) -> str:
    return re.sub(r"[\\\"'()]", r"\\\g<0>", text)


def _markdown_bare(text: str) -> str:
    special = r"[\\|]" if _is_balanced(text) else r"[\\|()]"
    return _REFERENCE_LIKE.sub("&amp;", re.sub(special, r"\\\g<0>", text))


def _is_balanced(text: str) -> bool:
    depth = 0
    for parenthesis in re.findall(r"[()]", text):
        depth += 1 if parenthesis == "(" else -1
        if not 0 <= depth <= 16:
            return False
    return depth == 0


def _markdown_angle(text: str) -> str:
    return _REFERENCE_LIKE.sub("&amp;", text.replace("\\", "\\\\").replace("|", "\\|"))


def _yaml_plain(text: str) -> str:
    return text if "/" in text and _YAML_PLAIN.fullmatch(text) else _yaml_quoted(text)


def _yaml_quoted(text: str) -> str:
    return f"'{_yaml_single(text)}'"


def _yaml_single(text: str) -> str:
    return text.replace("'", "''")


def _yaml_plain_part(text: str) -> str:
    """Without what would end a scalar or give it quotes: other values are beside it."""
    text = re.sub(r"[,\[\]{}'\\|]", _percent, text)
    return re.sub(r"\A[#&*!%@?-]|:(?![A-Za-z0-9/])", _percent, text)


def _toml_literal(text: str) -> str:
    return text.replace("'", "%27")


def _backslashed(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _tag(text: str) -> str:
    """Without what any of the languages of tags reads as its own; a URL means the same with it encoded."""
    return re.sub(r"['\\,{}|]", _percent, text)


def _line(text: str) -> str:
    return text.replace("'", "%27")


def _as_it_is(text: str) -> str:
    return text


_ESCAPES: dict[Syntax, Callable[[str], str]] = {
    Syntax.HTML_DOUBLE: _html_double,
    Syntax.HTML_SINGLE: _html_single,
    Syntax.HTML_BARE: _html_bare,
    Syntax.HTML_BARE_PART: _html_bare_part,
    Syntax.SRCSET: _srcset,
    Syntax.CSS_DOUBLE: _backslashed,
    Syntax.CSS_SINGLE: _css_single,
    Syntax.CSS_BARE: _css_bare,
    Syntax.MARKDOWN_BARE: _markdown_bare,
    Syntax.MARKDOWN_ANGLE: _markdown_angle,
    Syntax.YAML_PLAIN: _yaml_plain,
    Syntax.YAML_SINGLE: _yaml_single,
    Syntax.YAML_DOUBLE: _backslashed,
    Syntax.YAML_BLOCK: _as_it_is,
    Syntax.YAML_PLAIN_PART: _yaml_plain_part,
    Syntax.LINE: _line,
    Syntax.TOML_BASIC: _backslashed,
    Syntax.TOML_LITERAL: _toml_literal,
    Syntax.JSON_STRING: _backslashed,
    Syntax.TAG_BARE: _tag,
    Syntax.TAG_DOUBLE: _tag,
    Syntax.TAG_SINGLE: _tag,
    Syntax.TAG_RAW: _tag,
}
