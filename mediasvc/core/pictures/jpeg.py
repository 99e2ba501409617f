"""Decodes JPEGs in colour with fewer copies than Pillow makes, by the same library, where a checked binding
of it is there.
"""

import io
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any

from PIL import Image, ImageChops, ImageStat

from mediasvc.core.pictures.engine import Engine, choose

_Decode = Callable[..., Any]  # Any: an array of a library that is optional
# In smaller pictures two of libjpeg's scales give the same size, and nothing is to be won.
_MIN_SIDE_PX = 64
# Of 255: what another release of the same library may do otherwise.
_MOST_DIFFERENCE = 4


def decode(data: bytes, size: tuple[int, int]) -> Image.Image | None:
    """RGBX of a JPEG whose samples are YCbCr or RGB; None without the library, and for what it does not like.

    size: what the picture comes to at one of libjpeg's scales. Pillow has the last word on what is damaged.
    """
    fast = engine().work if min(size) >= _MIN_SIDE_PX else None
    return None if fast is None else _decode_with(fast, data, size)


@lru_cache(maxsize=1)
def engine() -> Engine[_Decode | None]:
    """What decodes JPEGs in colour; None for Pillow's usual way."""

    def agrees(found: _Decode | None) -> bool:
        return found is not None and agrees_with_pillow(found)

    pillow: Engine[_Decode | None] = Engine("Pillow", None)
    return choose("simplejpeg", "simplejpeg", attrgetter("decode_jpeg"), agrees, pillow)


def agrees_with_pillow(decode_with: _Decode) -> bool:
    """Whether a decoder gives Pillow's samples at every scale, and refuses what is truncated."""
    side = _MIN_SIDE_PX * 8
    known = Image.linear_gradient("L").resize((side + 3, side + 5))
    waves = known.point([value * 7 % 256 for value in range(256)])
    out = io.BytesIO()
    Image.merge("RGB", (known, known.transpose(Image.Transpose.ROTATE_180), waves)).save(out, "JPEG")
    for scale in (1, 2, 4, 8):
        with Image.open(out, formats=["JPEG"]) as theirs:
            theirs.draft(None, (theirs.width // scale, theirs.height // scale))
            theirs.load()
        ours = _decode_with(decode_with, out.getvalue(), theirs.size)
        if ours is None:
            return False
        difference = ImageChops.difference(ours.convert("RGB"), theirs)
        if max(most for _, most in ImageStat.Stat(difference).extrema) > _MOST_DIFFERENCE:
            return False
    return _decode_with(decode_with, out.getvalue()[:-400], (side + 3, side + 5)) is None


def _decode_with(fast: _Decode, data: bytes, size: tuple[int, int]) -> Image.Image | None:
    width, height = size
    try:
        samples = fast(data, "RGBX", min_width=width, min_height=height, strict=True)
        if samples.shape != (height, width, 4):
            return None
        return Image.frombuffer("RGBX", size, samples, "raw", "RGBX", 0, 1)
    except Exception:  # of no class in particular; what it means is decided by decoding again with Pillow
        return None
