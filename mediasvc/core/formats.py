"""The image formats that mediasvc knows: one row for each, from which every other list of formats follows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """Formats that mediasvc recognises by their bytes."""

    JPEG = "jpeg"
    PNG = "png"
    GIF = "gif"
    WEBP = "webp"
    AVIF = "avif"
    BMP = "bmp"
    TIFF = "tiff"
    HEIC = "heic"
    ICO = "ico"
    SVG = "svg"


class OutputFormat(StrEnum):
    """The format that a caller asks for: a format by name, or one of two rules.

    KEEP: the format of the original, or a web format in its place.
    AUTO: the smallest of KEEP and the formats that the client names in its Accept header.
    """

    KEEP = "keep"
    AUTO = "auto"
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"


@dataclass(frozen=True, slots=True)
class FormatInfo:
    """All facts about one format that more than one module needs.

    format: its name in options, reports and metrics.
    extension: the ending of asset names, without the dot.
    media_type: the Content-Type of its bytes.
    url_endings: endings of file names in URLs, without the dot, in lower case.
    signature: how its files begin; None where the beginning alone does not identify the format.
    brands: names in the file type box of ISO media files that identify the format.
    decoder: Pillow image class as `module:class`; None where mediasvc never decodes the format.
    decodes_upright: the decoder applies the orientation, so the picture must not be turned again.
    is_web: every browser shows it in <img>, so an original may serve as its own thumbnail.
    is_output: callers may ask for it by name (a member of OutputFormat has the same value).
    is_negotiable: `auto` may choose it for a client whose Accept header names its media type.
    keeps_alpha: its pictures may be transparent.
    animates: callers who ask for it by name get an animation where the original is one.
    max_side_px: the longest side that its encoder writes.
    """

    format: Format
    extension: str
    media_type: str
    url_endings: tuple[str, ...]
    signature: re.Pattern[bytes] | None = None
    brands: frozenset[bytes] = frozenset()
    decoder: str | None = None
    decodes_upright: bool = False
    is_web: bool = False
    is_output: bool = False
    is_negotiable: bool = False
    keeps_alpha: bool = False
    animates: bool = False
    max_side_px: int = 65_535


# `auto` tries negotiable formats in the order of these rows: AVIF is smaller than WebP nearly always.
_ROWS = (
    FormatInfo(
        Format.JPEG,
        extension="jpg",
        media_type="image/jpeg",
        url_endings=("jpg", "jpeg", "jfif"),
        signature=re.compile(rb"\xff\xd8\xff"),
        decoder="PIL.JpegImagePlugin:JpegImageFile",
        is_web=True,
        is_output=True,
        max_side_px=65_500,
    ),
    FormatInfo(
        Format.PNG,
        extension="png",
        media_type="image/png",
        url_endings=("png",),
        signature=re.compile(rb"\x89PNG\r\n\x1a\n"),
        decoder="PIL.PngImagePlugin:PngImageFile",
        is_web=True,
        is_output=True,
        keeps_alpha=True,
    ),
    FormatInfo(
        Format.GIF,
        extension="gif",
        media_type="image/gif",
        url_endings=("gif",),
        signature=re.compile(rb"GIF8[79]a"),
        decoder="PIL.GifImagePlugin:GifImageFile",
        is_web=True,
        keeps_alpha=True,
    ),
    FormatInfo(
        Format.AVIF,
        extension="avif",
        media_type="image/avif",
        url_endings=("avif",),
        brands=frozenset({b"avif", b"avis"}),
        decoder="PIL.AvifImagePlugin:AvifImageFile",
        is_web=True,
        is_output=True,
        is_negotiable=True,
        keeps_alpha=True,
        animates=True,
    ),
    FormatInfo(
        Format.WEBP,
        extension="webp",
        media_type="image/webp",
        url_endings=("webp", "awebp"),
        signature=re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
        decoder="PIL.WebPImagePlugin:WebPImageFile",
        is_web=True,
        is_output=True,
        is_negotiable=True,
        keeps_alpha=True,
        animates=True,
        max_side_px=16_383,
    ),
    FormatInfo(
        Format.BMP,
        extension="bmp",
        media_type="image/bmp",
        url_endings=("bmp",),
        signature=re.compile(rb"BM"),
        decoder="PIL.BmpImagePlugin:BmpImageFile",
        keeps_alpha=True,
    ),
    FormatInfo(
        Format.TIFF,
        extension="tiff",
        media_type="image/tiff",
        url_endings=("tif", "tiff"),
        signature=re.compile(rb"II\*\x00|MM\x00\*"),
        decoder="PIL.TiffImagePlugin:TiffImageFile",
        decodes_upright=True,
        keeps_alpha=True,
    ),
    FormatInfo(
        Format.HEIC,
        extension="heic",
        media_type="image/heic",
        url_endings=("heic", "heif"),
        brands=frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}),
        decoder="pillow_heif:HeifImageFile",
        decodes_upright=True,
        keeps_alpha=True,
    ),
    FormatInfo(
        Format.ICO,
        extension="ico",
        media_type="image/x-icon",
        url_endings=("ico",),
        # The type and a count, and the byte of the first entry that is always 0.
        signature=re.compile(rb"\x00\x00\x01\x00[^\x00]\x00.{3}\x00", re.DOTALL),
        decoder="PIL.IcoImagePlugin:IcoImageFile",
        keeps_alpha=True,
    ),
    FormatInfo(
        Format.SVG,
        extension="svg",
        media_type="image/svg+xml",
        url_endings=("svg",),
        keeps_alpha=True,
    ),
)

FORMATS: Mapping[Format, FormatInfo] = {row.format: row for row in _ROWS}
WEB_FORMATS = frozenset(row.format for row in _ROWS if row.is_web)
NEGOTIABLE = tuple(row.format for row in _ROWS if row.is_negotiable)
# The endings as alternatives of a regular expression.
URL_ENDINGS = "|".join(ending for row in _ROWS for ending in row.url_endings)
BY_EXTENSION: Mapping[str, Format] = {row.extension: row.format for row in _ROWS}
