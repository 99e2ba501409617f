"""What a parser of UTF-8 text is given of an article, and the way back from its offsets to the article's
bytes.
"""

import codecs
import re

from mediasvc.core.text.encoding import Source

_LONE_CR = re.compile(rb"\r(?!\n)")
# Bytes that are not UTF-8 become letters of two UTF-8 bytes each, which no case folding makes equal.
_LETTERS = "".join(chr(byte if byte < 0x80 else 0x600 + byte) for byte in range(256))
_CONTINUATION = bytes(range(0x80, 0xC0))
_BLOCK = 512


class ParserText:
    """An article from byte `start` on, as text and as the UTF-8 that a parser counts in.

    Lone CRs are line feeds in it: pulldown-cmark sees no blank line between two of them.
    """

    __slots__ = ("_before", "_start", "text", "utf8")

    def __init__(self, source: Source, start: int) -> None:
        page = source.page[start:]
        if b"\r" in page and page.count(b"\r") != page.count(b"\r\n"):
            page = _LONE_CR.sub(b"\n", page)
        self._start = start
        self._before: list[int] | None = None
        if source.utf8:
            self.text, self.utf8 = page.decode("utf-8"), page
            return
        self.text = codecs.charmap_decode(page, "strict", _LETTERS)[0]
        self.utf8 = self.text.encode("utf-8")
        self._before = [0]
        for block in range(0, len(self.utf8), _BLOCK):
            self._before.append(self._before[-1] + _characters(self.utf8[block : block + _BLOCK]))

    def at(self, offset: int) -> int:
        """The byte of the article that byte `offset` of the UTF-8 stands for."""
        if self._before is None:
            return self._start + offset
        block = offset // _BLOCK
        return self._start + self._before[block] + _characters(self.utf8[block * _BLOCK : offset])


def _characters(utf8: bytes) -> int:
    return len(utf8.translate(None, _CONTINUATION))
