"""Which addresses look like those of pictures, and which are templates that name none yet."""

import re

from mediasvc.core.formats import URL_ENDINGS

_ABSOLUTE = re.compile(r"(?:https?:)?//[^/?#\s]", re.IGNORECASE)
_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")
_ENDING = re.compile(rf"\.(?:{URL_ENDINGS})(?![A-Za-z0-9-])", re.IGNORECASE)
_FORMAT = re.compile(
    rf"[?&;](?:[a-z_-]*(?:fmt|format)|fm)=(?:image(?:/|%2F))?(?:{URL_ENDINGS})(?![A-Za-z0-9-])", re.IGNORECASE
)
# Blogger and its kin have no ending, but a size in the path: /s1600-h/IMG_1, =w640-h400
_SIZED = re.compile(
    r"/(?:s[0-9]{2,4}(?:-[a-z][a-z0-9]*)+|s[0-9]{3,4}|w[0-9]{2,4}-h[0-9]{2,4}(?:-[a-z0-9]+)*)/[^/?#]"
    r"|=[swh][0-9]{2,4}(?:-[a-z0-9]+)*\Z"
)
_MAY_CARRY = re.compile(
    r".https?(?::|%3A)|%2F|[A-Za-z0-9_-]{32}|[?&][a-z_]{1,16}=", re.IGNORECASE | re.DOTALL
)

_OPEN, _CLOSE = r"(?:\{|%7[Bb])", r"(?:\}|%7[Dd])"
_TEMPLATE = re.compile(
    rf"\${_OPEN}|{_OPEN}{{2}}|\{{%(?![0-9A-Fa-f]{{2}})|%7[Bb]%25|{_OPEN}[a-z][A-Za-z0-9_.]*{_CLOSE}"
)


def is_absolute(address: str) -> bool:
    """Whether an address names a host on the web."""
    return _ABSOLUTE.match(address) is not None


def may_be_picture(address: str) -> bool:
    """Whether an address holds the ending of a picture's name anywhere."""
    return _ENDING.search(address) is not None


def looks_like_picture(address: str) -> bool:
    """Whether the path has a picture's ending or size, or the query names a picture's format."""
    path, _, query = address.partition("#")[0].partition("?")
    host = _HOST.match(path)
    path = path[host.end() :] if host is not None else path
    if _ENDING.search(path) is not None or _SIZED.search(path) is not None:
        return True
    return bool(query) and _FORMAT.search(f"?{query}") is not None


def may_carry_address(address: str) -> bool:
    """Whether an address could be wrapped around another; most page links could not."""
    return _MAY_CARRY.search(address) is not None


def is_template(address: str) -> bool:
    """Whether a program fills in a part of the address: `${…}`, `{{…}}`, `{%…%}`, `{width}`."""
    return ("{" in address or "%7" in address) and _TEMPLATE.search(address) is not None
