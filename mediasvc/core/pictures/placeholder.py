"""What stands in a picture's place until it has come: a thumbhash of some 25 bytes, or one colour."""

import base64

from PIL import Image

from mediasvc.core.pictures.thumbhash import encode

SIDE_PX = 32


def thumbhash(picture: Image.Image) -> str:
    """Base64 of the thumbhash. picture: L, RGB or RGBA in sRGB, upright, of any size."""
    small = shrunk(picture)
    return base64.b64encode(encode(small.width, small.height, small.tobytes())).decode("ascii")


def dominant(picture: Image.Image) -> str:
    """`#rrggbb` of the most frequent of 16 colours, see-through pixels on white.

    By an octree: a median cut would give each of the 16 about as many pixels.
    """
    small = shrunk(picture)
    ground = Image.new("RGB", small.size, "white")
    ground.paste(small, mask=small.getchannel("A"))
    reduced = ground.quantize(16, Image.Quantize.FASTOCTREE)
    counts = reduced.histogram()
    index = counts.index(max(counts))
    red, green, blue = (reduced.getpalette() or [])[3 * index : 3 * index + 3]
    return f"#{red:02x}{green:02x}{blue:02x}"


def shrunk(picture: Image.Image) -> Image.Image:
    """RGBA within 32x32: what both are computed from. Who wants both saves time by shrinking once."""
    if max(picture.size) <= SIDE_PX:
        return picture.convert("RGBA")
    small = picture.copy() if picture.mode == "RGB" else picture.convert("RGBA")
    small.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
    return small.convert("RGBA")
