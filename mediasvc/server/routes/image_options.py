"""What an image request asks for, in the path form and in the query form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mediasvc.core import geometry
from mediasvc.core.addresses import signing
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, ThumbnailSpec
from mediasvc.errors import BadSignature, InvalidRequest
from mediasvc.server.http.accept import Accepts

_SIZE = re.compile(r"[1-9][0-9]{0,3}x[1-9][0-9]{0,3}", re.ASCII)
_QUALITY = re.compile(r"q([1-9][0-9]?|100)", re.ASCII)
_DPR = re.compile(r"dpr([1-4])", re.ASCII)
_FITS = {fit.value: fit for fit in Fit}
_FORMATS = {form.value: form for form in OutputFormat}
_QUERY_NAMES = frozenset({"url", "size", "fit", "format", "quality", "dpr", "sig"})
ORIGINAL = "original"
_Choice = TypeVar("_Choice")


@dataclass(frozen=True, slots=True)
class Options:
    """Only what was given; None elsewhere. size None: the original, in another format where one is named."""

    size: Size | None = None
    fit: Fit | None = None
    format: OutputFormat | None = None
    quality: int | None = None
    dpr: int | None = None

    @property
    def negotiates(self) -> bool:
        """Whether another Accept header may get other bytes."""
        return self.format is OutputFormat.AUTO or (self.format is None and self.size is not None)

    def spec(self, accepts: Accepts) -> ThumbnailSpec | None:
        """The thumbnail that is asked for; None: the original as it is.

        With no format given, clients that send Accept get `auto`, the others `keep`.
        """
        form = self.format
        if form is None:
            silent = self.size is None or accepts is None
            form = OutputFormat.KEEP if silent else OutputFormat.AUTO
        if self.size is None and form is OutputFormat.KEEP:
            return None
        negotiated = accepts or frozenset() if form is OutputFormat.AUTO else frozenset()
        if self.size is None:  # nothing that fit and dpr could be about
            return ThumbnailSpec(None, format=form, quality=self.quality, accepts=negotiated)
        return ThumbnailSpec(self.size, self.fit or Fit.FIT, form, self.quality, self.dpr or 1, negotiated)


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """address: as the caller gave it."""

    address: str
    options: Options


@dataclass(frozen=True, slots=True)
class Guard:
    """Which image requests are answered. keys: each verifies."""

    keys: tuple[bytes, ...]
    unsigned_allowed: bool

    def check(self, signed_path: str, signature: str) -> None:
        """BadSignature unless a key signed the path, or nobody did (`unsafe`, or "") and that is allowed."""
        if signature in ("", signing.UNSAFE) and self.unsigned_allowed:
            return
        if not signing.verify(self.keys, signed_path, signature):
            raise BadSignature("the signature is missing or does not fit this request")


def parse_path(guard: Guard, signature: str, options: str, source: str) -> ImageRequest:
    """From the three segments behind /img, percent-decoded. BadSignature before anything is read; InvalidRequest."""
    guard.check(f"/{options}/{source}", signature)
    return ImageRequest(signing.decode_source(source), parse_options(options))


def parse_options(text: str) -> Options:
    """`original` or a size, then further options, each kind at most once. InvalidRequest names the one at fault."""
    first, *words = text.split(",")
    options = Options()
    if first != ORIGINAL:
        size = geometry.parse_size(first) if _SIZE.fullmatch(first) else None
        if size is None:
            raise InvalidRequest(f"options begin with `original` or a size such as 600x400, {_SIDES}")
        options = Options(size=size)
    for word in words:
        further = _option(word)
        options = Options(
            options.size,
            _once("fit", options.fit, further.fit),
            _once("format", options.format, further.format),
            _once("quality", options.quality, further.quality),
            _once("dpr", options.dpr, further.dpr),
        )
    return options


_SIDES = f"each side 1 to {geometry.MAX_SIDE_PX}"


def _option(word: str) -> Options:
    if word in _FITS:
        return Options(fit=_FITS[word])
    if word in _FORMATS:
        return Options(format=_FORMATS[word])
    if match := _QUALITY.fullmatch(word):
        return Options(quality=int(match[1]))
    if match := _DPR.fullmatch(word):
        return Options(dpr=int(match[1]))
    raise InvalidRequest(
        f"options after the size are {', '.join((*_FITS, *_FORMATS))}, q1 to q100, dpr1 to dpr4"
    )


def _once(name: str, before: _Choice | None, now: _Choice | None) -> _Choice | None:
    if before is not None and now is not None:
        raise InvalidRequest(f"{name} is given twice")
    return before if now is None else now


def parse_query(guard: Guard, pairs: Sequence[tuple[str, str]]) -> ImageRequest:
    """From the decoded pairs of a query; an empty value counts as not given. InvalidRequest, BadSignature."""
    given = single_values(pairs, _QUERY_NAMES)
    address = given.get("url")
    if address is None:
        raise InvalidRequest("url is missing")
    options = Options(
        size=_query_size(given),
        fit=_one_of(given, "fit", _FITS),
        format=_one_of(given, "format", _FORMATS),
        quality=_number(given, "quality", 100),
        dpr=_number(given, "dpr", 4),
    )
    signed_path = signing.options_path(
        address,
        size=None if options.size is None else (options.size.width, options.size.height),
        fit=options.fit,
        format=options.format,
        quality=options.quality,
        dpr=options.dpr,
    )
    guard.check(signed_path, given.get("sig", ""))
    return ImageRequest(address, options)


def single_values(pairs: Sequence[tuple[str, str]], names: frozenset[str]) -> dict[str, str]:
    """Query values by name, empty ones left out. InvalidRequest: an unknown name, or one that comes twice."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in names:
            raise InvalidRequest(f"the query knows only {', '.join(sorted(names))}")
        if name in given:
            raise InvalidRequest(f"{name} is given twice")
        given[name] = value
    return {name: value for name, value in given.items() if value}


def _query_size(given: Mapping[str, str]) -> Size | None:
    text = given.get("size")
    if text is None:
        return None
    size = geometry.parse_size(text)
    if size is None:
        raise InvalidRequest(f"size is written like 600,400 or 600x400, {_SIDES}")
    return size


def _one_of(given: Mapping[str, str], name: str, choices: Mapping[str, _Choice]) -> _Choice | None:
    text = given.get(name)
    if text is not None and text not in choices:
        raise InvalidRequest(f"{name} is one of {', '.join(choices)}")
    return None if text is None else choices[text]


def _number(given: Mapping[str, str], name: str, most: int) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= most):
        raise InvalidRequest(f"{name} is a whole number from 1 to {most}")
    return int(text)
