"""Decodes and encodes PNG faster than Pillow does by itself, where a checked library and a look at the
picture allow.
"""

import io
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any

from PIL import Image

from mediasvc.core.pictures.engine import Engine, choose

_Decode = Callable[[bytes, tuple[int, int], str], Any]  # Any: an array of a library that is optional
# Colour type in the header: what the fast decoder calls it, and what Pillow calls the same samples.
_MODES = {0: ("mono", "L"), 2: ("rgb", "RGB"), 6: ("rgba", "RGBA")}
# Deflate strategies of zlib, as Pillow's compress_type, each with the level at which it earns its time.
# Measured: photographs are smaller by run lengths alone (2 % below level 9 at a sixth of level 6's time),
# drawings by level 3, and what comes to less than _FLAT_BITS a pixel is done so soon that level 6 costs
# little.
_PHOTOGRAPH: dict[str, int] = {"compress_type": 3, "compress_level": 6}
_DRAWING: dict[str, int] = {"compress_level": 3}
_FLAT: dict[str, int] = {"compress_level": 6}
_FLAT_BITS = 2
_TRIED_ROWS, _TRIED_BANDS = 12, 4


def decode(data: bytes, *, has_alpha: bool) -> Image.Image | None:
    """L, RGB or RGBA of a PNG with 8-bit samples; None for all others, without the library, and for damaged
    ones.

    has_alpha: by its header. Pillow has the last word on what is damaged.
    """
    depth, colour, interlace = data[24], data[25], data[28]
    if depth != 8 or colour not in _MODES or interlace or has_alpha != (colour == 6):
        return None  # palettes, 16 bits, colour keys: Pillow knows them
    fast = engine().work
    return None if fast is None else _decode_with(fast, data)


def scale_colour_key(image: Image.Image, data: bytes) -> None:
    """Makes the one see-through colour of an opened PNG one of Pillow's samples, which have 8 bits.

    Pillow gives it as it stands in the file, in samples of the file's depth; it keeps those of 16-bit greys.
    """
    depth, key = data[24], image.info.get("transparency")
    if depth == 16 and isinstance(key, tuple):
        image.info["transparency"] = tuple(sample >> 8 for sample in key)
    elif depth < 8 and isinstance(key, int) and data[25] == 0:
        most = (1 << depth) - 1
        image.info["transparency"] = (key & most) * 255 // most


def encode(picture: Image.Image) -> bytes:
    """picture: L, P, RGB or RGBA.

    Some bands of it are tried first to see which way of deflating is the smaller.
    """
    step = picture.height // _TRIED_BANDS
    chosen = _DRAWING
    if picture.mode in ("RGB", "RGBA", "L") and step >= 2 * _TRIED_ROWS:
        tried = Image.new(picture.mode, (picture.width, _TRIED_ROWS * _TRIED_BANDS))
        for band in range(_TRIED_BANDS):
            top = band * step + (step - _TRIED_ROWS) // 2
            tried.paste(picture.crop((0, top, picture.width, top + _TRIED_ROWS)), (0, band * _TRIED_ROWS))
        weights = [(len(_saved(tried, way)), way) for way in (_PHOTOGRAPH, _DRAWING)]
        least, chosen = min(weights, key=lambda weight: weight[0])
        if least * 8 < tried.width * tried.height * _FLAT_BITS:
            chosen = _FLAT
    return _saved(picture, chosen)


@lru_cache(maxsize=1)
def engine() -> Engine[_Decode | None]:
    """What decodes plain PNG; None for Pillow's usual way."""

    def agrees(found: _Decode | None) -> bool:
        return found is not None and agrees_with_pillow(found)

    pillow: Engine[_Decode | None] = Engine("Pillow", None)
    return choose("kornia-rs", "kornia_rs", attrgetter("io.decode_image_png_u8"), agrees, pillow)


def agrees_with_pillow(decode_with: _Decode) -> bool:
    """Whether a decoder gives Pillow's samples for every mode, and refuses what is truncated."""
    for mode in ("L", "RGB", "RGBA"):
        bands = len(Image.new(mode, (1, 1)).getbands())
        known = Image.frombytes(mode, (37, 29), bytes(x * x // 5 % 256 for x in range(37 * 29 * bands)))
        data = _saved(known, _DRAWING)
        decoded = _decode_with(decode_with, data)
        if decoded is None or decoded.mode != mode or decoded.tobytes() != known.tobytes():
            return False
        if _decode_with(decode_with, data[:-40]) is not None:
            return False
    return True


def _decode_with(fast: _Decode, data: bytes) -> Image.Image | None:
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    theirs, mode = _MODES[data[25]]
    try:
        samples = fast(data, (height, width), theirs)
        return Image.frombuffer(mode, (width, height), samples, "raw", mode, 0, 1)
    except Exception:  # of no class in particular; what it means is decided by decoding again with Pillow
        return None


def _saved(picture: Image.Image, options: dict[str, int]) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", **options)
    return out.getvalue()
