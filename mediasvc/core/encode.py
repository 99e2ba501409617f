"""Writes pictures: the cheapest encoder settings that lose neither quality nor bytes, and no metadata."""

import io
from typing import Any

from PIL import Image

from mediasvc.core import png
from mediasvc.core.picture import Format

DEFAULT_QUALITY = 80
# From here on a progressive JPEG is smaller and shows itself early; below, the second pass is not worth its time.
_PROGRESSIVE_PIXELS = 480_000
MAX_SIDE_PX = {Format.WEBP: 16_383, Format.JPEG: 65_500}


def encode(
    picture: Image.Image, format: Format, quality: int | None = None, *, palette: bool = False
) -> bytes:
    """picture: L, RGB or RGBA in sRGB. quality: on JPEG's scale, None is 80; PNG has none.

    palette: the source was a palette picture, so a PNG may be one again. JPEG puts transparency on white.
    """
    out = io.BytesIO()
    wanted = DEFAULT_QUALITY if quality is None else quality
    options: dict[str, Any]  # Any: Pillow's save options are of many types
    match format:
        case Format.JPEG:
            picture = on_white(picture)
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


def avif_quality(quality: int) -> int:
    """The AVIF setting whose SSIM is that of this JPEG quality (measured on photographs at 600x400)."""
    return max(1, min(100, quality - 10))


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
    if not palette or picture.mode == "L":
        return picture
    method = Image.Quantize.FASTOCTREE if picture.mode == "RGBA" else Image.Quantize.MEDIANCUT
    return picture.quantize(256, method)
