"""Character references in HTML attribute values, decoded once, with a way back from decoded to written
offsets.
"""

import re
from bisect import bisect_right
from html.entities import html5

_REFERENCE = re.compile(r"&(?:#[xX]([0-9A-Fa-f]+);?|#([0-9]+);?|([A-Za-z][A-Za-z0-9]*;?))")
_LONGEST = max(map(len, html5))
_WINDOWS_1252 = {
    code: bytes([code]).decode("cp1252")
    for code in range(0x80, 0xA0)
    if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


def unescape_attribute(text: str) -> str:
    """What an HTML parser makes of an attribute value. Source: WHATWG HTML, 13.2.5.72 and following."""
    if "&" not in text:
        return text
    return _REFERENCE.sub(lambda match: _decoded(match)[0] + match[0][_decoded(match)[1] :], text)


class Unescaped:
    """A decoded attribute value in which every character beyond ASCII that was a reference is U+FFFC.

    text: what to look for syntax in. written(i): the offset in the value as written that i stands for.
    """

    __slots__ = ("_at", "_written", "text")

    def __init__(self, value: str) -> None:
        self._at: list[int] = [0]
        self._written: list[int] = [0]
        if "&" not in value:
            self.text = value
            return
        pieces: list[str] = []
        done = length = 0
        for match in _REFERENCE.finditer(value):
            decoded, taken = _decoded(match)
            if taken == 1:
                continue
            pieces.append(value[done : match.start()])
            length += match.start() - done
            self._at.append(length)
            self._written.append(match.start())
            pieces.append("".join(char if char < "\x80" else "\ufffc" for char in decoded))
            length += len(decoded)
            done = match.start() + taken
            self._at.append(length)
            self._written.append(done)
        pieces.append(value[done:])
        self.text = "".join(pieces)

    def written(self, index: int) -> int:
        """Inside a reference: its start. At its end: its end."""
        segment = bisect_right(self._at, index) - 1
        offset = self._written[segment] + index - self._at[segment]
        if segment + 1 < len(self._written):
            return min(offset, self._written[segment + 1])
        return offset


def _decoded(match: re.Match[str]) -> tuple[str, int]:
    """The characters and how much of the match they stand for; ("&", 1) where it is no reference."""
    if match[3] is None:
        return _character(match[1], match[2]), match.end() - match.start()
    name = match[3]
    if name.endswith(";") and name in html5:
        return html5[name], len(name) + 1
    for length in range(min(len(name), _LONGEST), 1, -1):
        known = html5.get(name[:length])
        if known is not None:
            following = (name[length:] or match.string[match.end() : match.end() + 1])[:1]
            # "&copy=1" and "&copyright" in a URL are text (an attribute, no semicolon).
            if following == "=" or (following.isascii() and following.isalnum()):
                break
            return known, length + 1
    return "&", 1


def _character(hexadecimal: str | None, decimal: str | None) -> str:
    digits, base = (hexadecimal, 16) if hexadecimal is not None else (decimal or "", 10)
    significant = digits.lstrip("0") or "0"
    code = int(significant, base) if len(significant) <= 8 else 0x110000
    if code in _WINDOWS_1252:
        return _WINDOWS_1252[code]
    if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return chr(code)
