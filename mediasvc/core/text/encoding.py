"""The encoding of an article's bytes, and a copy of equal length in which every ASCII byte is an ASCII
character.
"""

import re
from dataclasses import dataclass

import webencodings

from mediasvc.errors import InvalidRequest

_UTF8_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")

# Python's codecs for encodings of the WHATWG Encoding Standard, where webencodings.PYTHON_NAMES names none or
# a narrower one. The standard reads GBK as GB18030, and a page that declares x-user-defined as Windows-1252.
_CODECS = {
    "euc-jp": "euc_jp",
    "gbk": "gb18030",
    "iso-2022-jp": "iso2022_jp",
    "windows-1252": "cp1252",
    "x-user-defined": "cp1252",
}
# Labels that the standard does not have and articles do, to its own.
_OTHER_LABELS = {"cp936": "gbk", "cp949": "euc-kr", "ms936": "gbk"}
# A page in which this declaration can be read as ASCII is in none of these.
_UNTRUE = frozenset({"utf-16be", "utf-16le", "replacement"})
_CHARSET = re.compile(
    rb"<meta[^>]{0,400}?charset[ \t\r\n]*=[ \t\r\n]*[\"']?[ \t\r\n]*([A-Za-z0-9_:.-]{2,40})", re.I
)
_META_REACH = 4096

# Characters of two or more bytes, in runs, for the encodings in which their later bytes may look like ASCII.
_MULTIBYTE = {
    "gb18030": re.compile(rb"(?:[\x81-\xfe](?:[\x40-\x7e\x80-\xfe]|[0-9][\x81-\xfe][0-9]))+"),
    "big5hkscs": re.compile(rb"(?:[\x81-\xfe][\x40-\x7e\xa1-\xfe])+"),
    "cp932": re.compile(rb"(?:[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc])+"),
    "cp949": re.compile(rb"(?:[\x81-\xfe][A-Za-z\x81-\xfe])+"),
    "iso2022_jp": re.compile(rb"\x1b\$[@B][^\x1b]*"),
}
_RAISED = bytes(byte | 0x80 for byte in range(256))
_PAIR = re.compile(rb"[\x81-\xfe](?:([\x40-\x7e])|[\x80-\xfe])|([\x80-\xff])")
_SAMPLED_PAIRS = 4000


@dataclass(frozen=True, slots=True)
class Source:
    """An article's bytes and how to read them.

    raw: as they came. page: of equal length, the bytes of characters beyond ASCII all above 0x7f, so that an
    ASCII byte there is that character; offsets hold for both. utf8: raw is valid UTF-8 (page is raw then).
    """

    raw: bytes
    page: bytes
    encoding: str
    utf8: bool

    def text(self, start: int, end: int) -> str:
        """The characters of a span; what is no character of the encoding becomes U+FFFD."""
        part = self.raw[start:end]
        return part.decode("ascii") if part.isascii() else part.decode(self.encoding, "replace")


def read_source(article: bytes) -> Source:
    """How to read an article; never fails but for InvalidRequest on UTF-16 and UTF-32.

    The encoding is that of a UTF-8 byte-order mark; else UTF-8 where the bytes are valid UTF-8 and not all
    ASCII; else what a `<meta charset>` says; else a guess between UTF-8 with errors, GB18030, Big5 and
    Windows-1252.
    """
    refuse_wide(article)
    ascii_only = article.isascii()
    utf8 = ascii_only or _is_utf8(article)
    if article.startswith(_UTF8_BOM) or (utf8 and not ascii_only):
        return Source(article, article, "utf-8", utf8)
    encoding = _declared(article) or ("utf-8" if utf8 else _guessed(article))
    return Source(article, _masked(article, encoding), encoding, utf8 and encoding != "iso2022_jp")


def refuse_wide(article: bytes) -> None:
    """InvalidRequest for UTF-16 and UTF-32, in which ASCII bytes are not ASCII characters."""
    head = article[:1024]
    if b"\0" not in head and not head.startswith(_WIDE_BOMS):
        return
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if head.startswith(_WIDE_BOMS) or (len(head) >= 8 and max(even, odd) * 5 > len(head) * 2):
        raise InvalidRequest("The article is in UTF-16 or UTF-32; save it as UTF-8 and send it again.")


def _is_utf8(article: bytes) -> bool:
    try:
        article.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _declared(article: bytes) -> str | None:
    match = _CHARSET.search(article, 0, _META_REACH)
    if match is None:
        return None
    label = match[1].decode("ascii").lower()
    found = webencodings.lookup(_OTHER_LABELS.get(label, label))
    if found is None or found.name in _UNTRUE:
        return None
    return _CODECS.get(found.name) or webencodings.PYTHON_NAMES.get(found.name, found.name)


def _guessed(article: bytes) -> str:
    """Of bytes that are not valid UTF-8 and do not say what they are."""
    wrong = article.decode("utf-8", "replace").count("\ufffd")
    high = len(article) - len(article.translate(None, bytes(range(0x80, 0x100))))
    if wrong * 8 <= high:
        return "utf-8"
    pairs = lone = ascii_second = chinese = end = 0
    for match in _PAIR.finditer(article):
        if match[2] is not None:
            lone += 1
            continue
        pairs += 1
        ascii_second += match[1] is not None
        chinese += match[1] is None or match.start() == end
        end = match.end()
        if pairs == _SAMPLED_PAIRS:
            break
    # Chinese characters stand together or have two high bytes; the accented letters of western text stand
    # between others. Common characters have an ASCII second byte never in GB2312, two in five times in Big5.
    if pairs == 0 or lone * 4 > pairs or chinese * 3 < pairs:
        return "cp1252"
    return "big5hkscs" if ascii_second * 100 > pairs * 15 else "gb18030"


def _masked(article: bytes, encoding: str) -> bytes:
    pattern = _MULTIBYTE.get(encoding)
    return article if pattern is None else pattern.sub(lambda run: run[0].translate(_RAISED), article)
