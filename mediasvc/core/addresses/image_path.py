"""The grammar of image paths, `/img/{signature}/{options}/{source}`: every path is read and written by this
module.

Options are `original` or a size, then further options, each kind at most once and in any order:

>>> options = parse_options("600x400,webp,cover,dpr2,q80")
>>> options.size, options.format.value, options.fit.value, options.quality, options.dpr
(Size(width=600, height=400), 'webp', 'cover', 80, 2)
>>> options.text()
'600x400,cover,webp,q80,dpr2'
>>> parse_options("original") == ImageOptions()
True
>>> parse_options("webp")
Traceback (most recent call last):
    ...
mediasvc.errors.InvalidRequest: options begin with `original` or a size such as 600x400, 600x or x400, each side 1 to 8192
>>> parse_options("x400,jpg,dpr1.50,exp1767225600").text()
'x400,jpeg,dpr1.5,exp1767225600'

The source is the address of the original in base64url without padding, and the signature covers both:

>>> options.signed_text("http://a.example/b.png")
'/600x400,cover,webp,q80,dpr2/aHR0cDovL2EuZXhhbXBsZS9iLnBuZw'
>>> decode_source("aHR0cDovL2EuZXhhbXBsZS9iLnBuZw")
'http://a.example/b.png'
>>> image_path(ImageOptions(), "http://a.example/b.png", keys=())
'/img/unsafe/original/aHR0cDovL2EuZXhhbXBsZS9iLnBuZw'
>>> image_path(ImageOptions(), "http://a.example/b.png", keys=(b"key",))
'/img/edBkx1qGsGAFgWzJbftTU4xO3WGW3rXjA-ji5xCxFl8/original/aHR0cDovL2EuZXhhbXBsZS9iLnBuZw'
>>> is_image_path("/img/unsafe/original/aHR0cDovL2EuZXhhbXBsZS9iLnBuZw"), is_image_path("/img/logo.png")
(True, False)
"""  # noqa: E501  # a message of one line, as it is raised

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mediasvc.core import geometry
from mediasvc.core.addresses import signing
from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, ThumbnailSpec
from mediasvc.errors import InvalidRequest

ORIGINAL = "original"
SIDES = f"600x or x400, each side 1 to {geometry.MAX_SIDE_PX}"
MAX_QUALITY = 100
MAX_DPR = 4
_SIZE = re.compile(r"(?:[1-9][0-9]{0,3}x(?:[1-9][0-9]{0,3})?|x[1-9][0-9]{0,3})", re.ASCII)
_JPG = "jpg"
_BASE64URL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
# Sites have folders named /img as well, so all segments must look like ours.
_IMAGE_PATH = re.compile(
    rf"/img/(?:{signing.UNSAFE}|[A-Za-z0-9_-]{{43}})"
    rf"/(?:{ORIGINAL}|[0-9]+x[0-9]*|x[0-9]+)(?:,[a-z0-9.]+)*/[A-Za-z0-9_-]+=*(?:[?#]|\Z)"
)


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What a request states about the image that it wants; None where it states nothing.

    size: the box of a thumbnail, of which one side may be open; None is the original, in another format where
    one is named.
    expires: the moment in Unix seconds from which on the path is no longer answered.
    """

    size: Size | None = None
    fit: Fit | None = None
    format: OutputFormat | None = None
    quality: int | None = None
    dpr: float | None = None
    expires: int | None = None

    def text(self) -> str:
        """The options segment of a path, in the one order that is signed for queries."""
        words = [ORIGINAL if self.size is None else geometry.box_text(self.size)]
        for kind in _KINDS:
            value = getattr(self, kind.field)
            if value is not None:
                words.append(f"{kind.prefix}{value:g}" if kind.field == "dpr" else f"{kind.prefix}{value}")
        return ",".join(words)

    def signed_text(self, source: str) -> str:
        """The part of the path that the signature covers: `/{options}/{source}`.

        InvalidRequest as encode_source.
        """
        return f"/{self.text()}/{encode_source(source)}"

    @property
    def negotiates(self) -> bool:
        """Whether another Accept header may get other bytes."""
        return self.format is OutputFormat.AUTO or (self.format is None and self.size is not None)

    def spec(self, accepts: frozenset[Format] | None) -> ThumbnailSpec | None:
        """The thumbnail that is asked for; None: the original as it is.

        accepts: the negotiable formats that the client names; None: it sends no Accept header.
        With no format given, clients that send Accept get `auto`, the others `keep`.
        """
        form = self.format
        if form is None:
            form = OutputFormat.KEEP if self.size is None or accepts is None else OutputFormat.AUTO
        if self.size is None and form is OutputFormat.KEEP:
            return None
        negotiated = accepts or frozenset() if form is OutputFormat.AUTO else frozenset()
        if self.size is None:  # without a box, fit and dpr have no meaning
            return ThumbnailSpec(None, format=form, quality=self.quality, accepts=negotiated)
        return ThumbnailSpec(self.size, self.fit or Fit.FIT, form, self.quality, self.dpr or 1, negotiated)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of option after the size.

    field: its field in ImageOptions.
    prefix: the letters before the value.
    values: regular expression of the value.
    described: the words for it in messages.
    read: makes the field's value of the text.
    """

    field: str
    prefix: str
    values: str
    described: str
    read: Callable[[str], Any]  # Any: each field has a type of its own


def read_format(text: str) -> OutputFormat:
    """A format by its name; `jpg` is JPEG. ValueError for other words."""
    return OutputFormat.JPEG if text == _JPG else OutputFormat(text)


def read_dpr(text: str) -> float:
    """A number of device pixels, as an int where it is whole.

    ValueError unless it is 1 to 4, with up to three decimals.
    """
    if not _DPR.fullmatch(text):
        raise ValueError(text)
    number = float(text)
    return int(number) if number.is_integer() else number


_DPR = re.compile(r"[1-3](?:\.[0-9]{1,3})?|4(?:\.0{1,3})?", re.ASCII)
# In the order in which options are written.
_KINDS = (
    _Kind("fit", "", "|".join(Fit), ", ".join(Fit), Fit),
    _Kind("format", "", "|".join((*OutputFormat, _JPG)), ", ".join((*OutputFormat, _JPG)), read_format),
    _Kind("quality", "q", "[1-9][0-9]?|100", f"q1 to q{MAX_QUALITY}", int),
    _Kind("dpr", "dpr", _DPR.pattern, f"dpr1 to dpr{MAX_DPR}", read_dpr),
    _Kind("expires", "exp", "[1-9][0-9]{0,11}", "exp and Unix seconds", int),
)
_WORD = re.compile("|".join(f"{kind.prefix}(?P<{kind.field}>{kind.values})" for kind in _KINDS))


def parse_options(text: str) -> ImageOptions:
    """The options segment of a path. InvalidRequest names the option at fault."""
    first, *words = text.split(",")
    given: dict[str, Any] = {}  # Any: as in _Kind
    if first != ORIGINAL:
        given["size"] = geometry.parse_box(first) if _SIZE.fullmatch(first) else None
        if given["size"] is None:
            raise InvalidRequest(f"options begin with `{ORIGINAL}` or a size such as 600x400, {SIDES}")
    for word in words:
        match = _WORD.fullmatch(word)
        if match is None:
            raise InvalidRequest(f"options after the size are {', '.join(kind.described for kind in _KINDS)}")
        kind = next(kind for kind in _KINDS if kind.field == match.lastgroup)
        if kind.field in given:
            raise InvalidRequest(f"{kind.field} is given twice")
        given[kind.field] = kind.read(match[kind.field])
    return ImageOptions(**given)


def image_path(options: ImageOptions, source: str, *, keys: Sequence[bytes]) -> str:
    """The whole path of an image, signed by the first key, or `unsafe` without one.

    InvalidRequest as encode_source.
    """
    signed = options.signed_text(source)
    signature = signing.sign(keys, signed) if keys else signing.UNSAFE
    return f"/img/{signature}{signed}"


def is_image_path(address: str) -> bool:
    """Whether a relative address is one of our image paths, whoever signed it; a query may follow."""
    return _IMAGE_PATH.match(address) is not None


def encode_source(url: str) -> str:
    """The address as a path segment: base64url of UTF-8 without padding.

    InvalidRequest for what is not Unicode.
    """
    try:
        return urlsafe_b64encode(url.encode("utf-8")).rstrip(b"=").decode("ascii")
    except UnicodeEncodeError as error:
        raise InvalidRequest("the address is not valid Unicode", reason="unreadable") from error


def decode_source(text: str) -> str:
    """The address in a path segment; padding is tolerated.

    InvalidRequest for what is not base64url of UTF-8.
    """
    bare = text.rstrip("=")
    if not bare or len(text) - len(bare) > 2 or not _BASE64URL.issuperset(bare):
        raise InvalidRequest("the source is not base64url", reason="unreadable")
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidRequest("the source is not base64url of UTF-8", reason="unreadable") from error
