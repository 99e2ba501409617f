"""What an image request asks for, in the path form and in the query form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mediasvc.core import geometry
from mediasvc.core.addresses import image_path, signing
from mediasvc.core.addresses.image_path import ImageOptions
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit
from mediasvc.errors import BadSignature, InvalidRequest

_FITS = {fit.value: fit for fit in Fit}
FORMATS = {**{form.value: form for form in OutputFormat}, "jpg": OutputFormat.JPEG}
_QUERY_NAMES = frozenset({"url", "size", "fit", "format", "quality", "dpr", "sig"})
_Choice = TypeVar("_Choice")


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """address: as the caller gave it."""

    address: str
    options: ImageOptions


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
    """From the three segments behind /img, percent-decoded.

    BadSignature before anything is read; InvalidRequest.
    """
    guard.check(f"/{options}/{source}", signature)
    return ImageRequest(image_path.decode_source(source), image_path.parse_options(options))


def parse_query(guard: Guard, pairs: Sequence[tuple[str, str]]) -> ImageRequest:
    """From the decoded pairs of a query; an empty value counts as not given. InvalidRequest, BadSignature."""
    given = single_values(pairs, _QUERY_NAMES)
    address = given.get("url")
    if address is None:
        raise InvalidRequest("url is missing")
    options = ImageOptions(
        size=_query_size(given),
        fit=_one_of(given, "fit", _FITS),
        format=_one_of(given, "format", FORMATS),
        quality=_number(given, "quality", image_path.MAX_QUALITY),
        dpr=_dpr(given.get("dpr")),
    )
    guard.check(options.signed_text(address), given.get("sig", ""))
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
    size = geometry.parse_box(text)
    if size is None:
        raise InvalidRequest(f"size is written like 600,400 or 600x400, {image_path.SIDES}")
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


def _dpr(text: str | None) -> float | None:
    try:
        return None if text is None else image_path.read_dpr(text)
    except ValueError:
        raise InvalidRequest(f"dpr is a number from 1 to {image_path.MAX_DPR}, such as 2 or 1.5") from None
