"""The strings of a JSON text, as byte spans with the keys that lead to them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(rb"[\s,:]*+(?:\"((?:[^\"\\]|\\[\s\S])*+)\"|([{}\[\]])|([^\s,:\"{}\[\]]++))")
_COLON = re.compile(rb"\s*+:")
_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9A-Fa-f]{2})\\u([dD][c-fC-F][0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|([\s\S]))"
)
_NAMED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_MAX_DEPTH = 64

ITEM = b"[]"


class JsonString(NamedTuple):
    """A string that is a value.

    path: the keys that lead to it, as they are written; ITEM for a list.
    start, end: byte span between its quotes.
    owner: a number of its own for the object or list that holds it.
    """

    path: tuple[bytes, ...]
    start: int
    end: int
    owner: int


def strings(raw: bytes, page: bytes, start: int, end: int) -> Iterator[JsonString]:
    """Every string value between two offsets; broken JSON is read as far as it goes, and 64 levels deep.

    page: raw, in which every ASCII byte is a character (see encoding.Source).
    """
    # Of each open object or list: the path of its values, whether it is a list, its number.
    open_ones: list[tuple[tuple[bytes, ...], bool, int]] = []
    path: tuple[bytes, ...] = ()
    number = 0
    position = start
    while (match := _TOKEN.match(page, position, end)) is not None:
        position = match.end()
        mark = match[2]
        if mark in (b"{", b"["):
            if len(open_ones) >= _MAX_DEPTH:
                return
            number += 1
            path = (*path, ITEM) if mark == b"[" else path
            open_ones.append((path, mark == b"[", number))
        elif mark is not None:
            if not open_ones:
                return
            open_ones.pop()
            path = open_ones[-1][0] if open_ones else ()
        elif match[1] is not None and open_ones:
            parent, is_list, owner = open_ones[-1]
            colon = None if is_list else _COLON.match(page, position, end)
            if colon is not None:
                path, position = (*parent, raw[match.start(1) : match.end(1)]), colon.end()
                continue
            yield JsonString(path, match.start(1), match.end(1), owner)
            path = parent
        elif open_ones:
            path = open_ones[-1][0]


def unescape_json(text: str) -> str:
    """The value of a string as it is written. Source: RFC 8259 section 7."""
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    if match[1] is not None:
        return chr(0x10000 + ((int(match[1], 16) & 0x3FF) << 10) + (int(match[2], 16) & 0x3FF))
    if match[3] is not None:
        code = int(match[3], 16)
        return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)
    return _NAMED.get(match[4], match[4])
