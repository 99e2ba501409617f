"""Writes pictures: the cheapest encoder settings that lose neither quality nor bytes, and no metadata."""

import io
from itertools import pairwise
from typing import Any

from PIL import Image

from mediasvc.core.formats import FORMATS, Format
from mediasvc.core.pictures import png
from mediasvc.errors import TooManyPixels

DEFAULT_QUALITY = 80
# From here on a progressive JPEG is smaller and shows itself early; below, the second pass is not worth its
# time.
_PROGRESSIVE_PIXELS = 480_000
# Beyond some 16 million pixels of one colour Pillow's median cut overflows and gives another colour.
_MAX_QUANTISED_PIXELS = 4_000_000
# JPEG quality: the AVIF setting with the same SSIM at speed 9; medians over seven photographs at 600x400.
_AVIF_QUALITY = ((1, 20), (40, 43), (50, 47), (60, 52), (70, 56), (80, 67), (90, 82), (95, 91), (100, 100))


def encode(
    picture: Image.Image, format: Format, quality: int | None = None, *, palette: bool = False
) -> bytes:
    """picture: L, RGB or RGBA in sRGB. quality: on JPEG's scale, None is 80; PNG has none.

    palette: the source was a palette picture, so a PNG may be one again. JPEG puts transparency on white.
    Raises TooManyPixels where a side is longer than the format can state.
    """
    if not can_hold(format, picture):
        raise TooManyPixels(f"{format.value} cannot hold a side of {max(picture.size)} pixels", reason="side")
    out = io.BytesIO()
    wanted = DEFAULT_QUALITY if quality is None else quality
    if not FORMATS[format].keeps_alpha:
        picture = on_white(picture)
    options: dict[str, Any]  # Any: Pillow's save options are of many types
    match format:
        case Format.JPEG:
            large = picture.width * picture.height >= _PROGRESSIVE_PIXELS
            options = {"quality": wanted, "progressive": large}
        case Format.PNG:
            picture = _for_png(picture, palette=palette)
            picture.info = {}
            return png.encode(picture)
        case Format.WEBP:
            picture = _without_needless_alpha(picture)
            options = {"quality": wanted, "method": 4}
        case Format.AVIF:
            picture = _without_needless_alpha(picture)
            options = {"quality": avif_quality(wanted), "speed": 9, "max_threads": 1, "autotiling": False}
        case Format.GIF:
            options = {}
        case _:
            raise ValueError(f"nothing is written as {format}")
    picture.info = {}
    picture.save(out, format.value, **options)
    return out.getvalue()


def can_hold(format: Format, picture: Image.Image) -> bool:
    """Whether the format has room for sides of this length."""
    return max(picture.size) <= FORMATS[format].max_side_px


def avif_quality(quality: int) -> int:
    """The AVIF setting that looks like this JPEG quality."""
    (low, start), (high, end) = next(pair for pair in pairwise(_AVIF_QUALITY) if quality <= pair[1][0])
    return round(start + (end - start) * (max(quality, low) - low) / (high - low))


def on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


def is_opaque(picture: Image.Image) -> bool:
    """Whether no pixel lets anything through."""
    if picture.mode != "RGBA":
        return True
    lowest, _ = picture.getchannel("A").getextrema()
    return lowest == 255


def _without_needless_alpha(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGBA" and is_opaque(picture):
        return picture.convert("RGB")
    return picture


def _for_png(picture: Image.Image, *, palette: bool) -> Image.Image:
    picture = _without_needless_alpha(picture)
    if not palette or picture.mode == "L" or picture.width * picture.height > _MAX_QUANTISED_PIXELS:
        return picture
    method = Image.Quantize.FASTOCTREE if picture.mode == "RGBA" else Image.Quantize.MEDIANCUT
    return picture.quantize(256, method)
