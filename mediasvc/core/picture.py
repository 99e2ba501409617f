"""The words of the service about pictures: their size as shown, their limits, and the thumbnails made of
them.
"""

from dataclasses import dataclass, fields
from enum import StrEnum

from mediasvc.core import geometry
from mediasvc.core.formats import WEB_FORMATS, Format, OutputFormat
from mediasvc.core.geometry import Size


class Fit(StrEnum):
    """How a picture meets its box: whole inside it, or filling it with the overhang cut off.

    COVER keeps the middle; ATTENTION keeps the part of the same size that has the most to see.
    """

    FIT = "fit"
    COVER = "cover"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that are checked from the header of a picture before it is decoded."""

    max_pixels: int = 64_000_000
    max_frames_pixels: int = 256_000_000
    allow_svg: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """The facts that the header of a picture states.

    width, height: as shown, after the EXIF orientation; 0 where an SVG states none.
    bytes: size of the file.
    frames: at least 1.
    upright: whether it is stored as it is shown.
    tail: number of bytes behind the picture's own last one (an archive, a script, a film).
    """

    format: Format
    width: int
    height: int
    bytes: int
    frames: int = 1
    upright: bool = True
    has_alpha: bool = False
    tail: int = 0

    @property
    def animated(self) -> bool:
        return self.frames > 1

    @property
    def size(self) -> Size:
        return Size(self.width, self.height)


@dataclass(frozen=True, slots=True)
class ThumbnailSpec:
    """One thumbnail of a picture, whichever picture it is.

    box: CSS pixels, one side may be open; None keeps the full size. quality: 1 to 100 on JPEG's scale; None
    is the default of 80.
    dpr: 1 to 4, also a decimal, multiplies the box. accepts: for AUTO, which of AVIF and WEBP the client
    names.
    """

    box: Size | None
    fit: Fit = Fit.FIT
    format: OutputFormat = OutputFormat.KEEP
    quality: int | None = None
    dpr: float = 1
    accepts: frozenset[Format] = frozenset()

    def key(self) -> str:
        """Canonical text of all fields: equal for equal thumbnails, different where a field differs.

        The version changes when the same spec gives other bytes. The first six fields have fixed places. A
        field that is added later appears by its name, and only where it is not at its default: thumbnails
        made before stay valid.
        """
        box = "full" if self.box is None else _key_text(self.box)
        accepts = _key_text(self.accepts) if self.format is OutputFormat.AUTO else ""
        places = ("v1", box, self.fit, self.format, f"q{_key_text(self.quality)}", f"d{self.dpr:g}", accepts)
        added = (
            f"{field.name}={_key_text(value)}"
            for field in fields(self)[6:]
            if (value := getattr(self, field.name)) != field.default
        )
        return ":".join((*places, *added))


def _key_text(value: object) -> str:
    match value:
        case None:
            return ""
        case Size(width, height):
            return f"{width}x{height}"
        case frozenset():
            return "+".join(sorted(map(str, value)))
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A thumbnail.

    data: None where the original's bytes serve unchanged; the other fields then describe the original.
    """

    data: bytes | None
    format: Format
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Placeholder:
    """What a page can show before the picture has come. Both are None where the picture cannot be decoded.

    thumbhash: base64.
    dominant: the main colour as `#rrggbb`.
    """

    thumbhash: str | None
    dominant: str | None


def output_size(picture: Picture, spec: ThumbnailSpec) -> Size:
    """Pixels of the thumbnail; never more than the picture has on either side."""
    if spec.box is None:
        return picture.size
    if spec.fit is not Fit.FIT:
        return geometry.cover_size(picture.size, spec.box, spec.dpr).size
    return geometry.fit_size(picture.size, spec.box, spec.dpr)


def is_own_thumbnail(picture: Picture, spec: ThumbnailSpec) -> bool:
    """Whether the original's bytes are the thumbnail, so that nothing is decoded.

    A file with a tail is not: its thumbnail leaves the tail out.
    """
    return not picture.tail and shows_itself(picture, spec)


def shows_itself(picture: Picture, spec: ThumbnailSpec) -> bool:
    """Whether the stored picture already is what the spec asks for.

    An SVG always is: it is never rasterised.
    """
    if picture.format is Format.SVG:
        return True
    if (
        spec.format not in (OutputFormat.KEEP, OutputFormat.AUTO)
        and spec.format.value != picture.format.value
    ):
        return False
    if spec.box is None:
        # At full size only `auto` may still save something; `keep` without a box is the original itself.
        return spec.format is OutputFormat.KEEP or (spec.format is not OutputFormat.AUTO and picture.upright)
    return picture.upright and picture.format in WEB_FORMATS and output_size(picture, spec) == picture.size
