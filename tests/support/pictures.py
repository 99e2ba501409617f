"""Makes the test pictures: deterministic, photograph-like, in every format and oddity that tests and
benchmarks need.
"""

import io
import random
import struct
import zlib
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, ImageDraw, ImageFilter

_OCTAVES = (2, 5, 11, 23, 53, 127, 307)


@lru_cache(maxsize=16)
def photograph(width: int, height: int, seed: int = 1) -> Image.Image:
    """An RGB picture with the statistics of a photograph: broad light, falling spectrum, edges, sensor noise."""  # noqa: E501
    rng = np.random.default_rng(seed)
    canvas = np.zeros((height, width, 3), np.float32)
    for octave in _OCTAVES:
        cells = (max(2, octave * 2 // 3), max(2, octave))
        if cells[1] > width or cells[0] > height:
            break
        patch = rng.uniform(-1, 1, (*cells, 3)).astype(np.float32)
        # Mostly the same light in all three channels, as in nature.
        patch = 0.75 * patch.mean(axis=2, keepdims=True) + 0.25 * patch
        layers = [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(patch[:, :, channel])).resize(
                    (width, height), Image.Resampling.BICUBIC
                )
            )
            for channel in range(3)
        ]
        canvas += np.stack(layers, axis=2) * (90.0 / octave**0.55)
    canvas += 118 + np.linspace(40, -40, height, dtype=np.float32)[:, None, None]
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    _draw_things(picture, random.Random(seed))
    picture = picture.filter(ImageFilter.GaussianBlur(0.6))
    noisy = np.asarray(picture).astype(np.float32) + rng.normal(0, 2.0, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _draw_things(picture: Image.Image, chance: random.Random) -> None:
    """Things with edges in front of the landscape: roofs, poles, discs, lettering."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(28):
        x, y = chance.randrange(width), chance.randrange(height)
        w, h = chance.randrange(2, max(3, width // 6)), chance.randrange(2, max(3, height // 5))
        colour = tuple(chance.randrange(20, 236) for _ in range(3))
        match chance.randrange(4):
            case 0:
                draw.rectangle((x, y, x + w, y + h), fill=colour)
            case 1:
                draw.ellipse((x, y, x + w, y + h), fill=colour)
            case 2:
                draw.polygon(((x, y + h), (x + w // 2, y), (x + w, y + h)), fill=colour)
            case _:
                draw.line((x, y, x + w, y + h), fill=colour, width=max(1, width // 300))
    for line in range(4):
        draw.text(
            (width * 0.05, height * (0.1 + 0.2 * line)),
            "mediasvc 0123456789 the quick brown fox",
            fill=(245, 245, 240),
            font_size=max(8, height // 24),
        )


def animated_gif(width: int, height: int, frames: int, seed: int = 1) -> bytes:
    """A film: the camera moves over a landscape, 70 ms a frame, for ever."""
    wide = photograph(width + 4 * frames, height + 2 * frames, seed)
    pictures = [
        wide.crop((4 * index, 2 * index, 4 * index + width, 2 * index + height)).quantize(128)
        for index in range(frames)
    ]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=70, loop=0)
    return out.getvalue()


def saved(picture: Image.Image, format: str, **options: object) -> bytes:
    """The picture as bytes of a format that Pillow writes, or HEIC."""
    out = io.BytesIO()
    if format == "HEIC":
        import pillow_heif

        pillow_heif.from_pillow(picture).save(out, quality=90)
    else:
        fast = {"speed": 10} if format == "AVIF" else {}
        picture.save(out, format, **(fast | options))
    return out.getvalue()


@lru_cache(maxsize=8)
def see_through(width: int, height: int) -> Image.Image:
    """RGBA: a disc of photograph whose rim fades, on nothing; what is hidden is bright red."""
    picture = photograph(width, height).convert("RGBA")
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).ellipse((width // 8, height // 8, width * 7 // 8, height * 7 // 8), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(min(width, height) / 40))
    hidden = Image.new("RGBA", (width, height), (255, 0, 0, 0))
    hidden.paste(picture, mask=mask.point([255 if value else 0 for value in range(256)]))
    hidden.putalpha(mask)
    return hidden


def corners(width: int, height: int) -> Image.Image:
    """Red, green, blue and white quarters, clockwise from the top left: shows how it was turned or cut."""
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    half_width, half_height = width // 2, height // 2
    draw.rectangle((0, 0, half_width - 1, half_height - 1), fill=(200, 20, 20))
    draw.rectangle((half_width, 0, width, half_height - 1), fill=(20, 180, 20))
    draw.rectangle((half_width, half_height, width, height), fill=(20, 20, 200))
    return picture


def exif(orientation: int) -> bytes:
    """An EXIF block that states an orientation and a camera."""
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010F] = "a camera that nobody should learn of"
    return block.tobytes()


def stored_as(upright: Image.Image, orientation: int) -> Image.Image:
    """How a camera with this orientation stores the picture, so that turning it gives the upright one."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return upright if orientation == 1 else upright.transpose(undo[orientation])


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    body = kind + payload
    return struct.pack(">I", len(payload)) + body + struct.pack(">I", zlib.crc32(body))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG up to and with its IHDR."""
    return b"\x89PNG\r\n\x1a\n" + png_chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    )


def bomb_png(width: int, height: int) -> bytes:
    """A small file that says that it is huge."""
    return (
        png_header(width, height) + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    )


def wide_gamut_profile() -> bytes:
    """A small valid ICC profile whose primaries are those of Display P3: matrix and a curve near to sRGB's."""  # noqa: E501
    return _matrix_profile(
        b"Display P3",
        ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
        2.2,
    )


def adobe_rgb_profile() -> bytes:
    """The same with the primaries of Adobe RGB (1998)."""
    return _matrix_profile(
        b"Adobe RGB (1998)",
        ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
        2.19921875,
    )


def linear_srgb_profile() -> bytes:
    """sRGB's primaries with linear samples, as image editors write it."""
    return _matrix_profile(
        b"Linear sRGB",
        ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
        1.0,
    )


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _matrix_profile(name: bytes, columns: tuple[tuple[float, float, float], ...], gamma: float) -> bytes:
    """ICC.1:2001 version 2.4 display profile: description, white point, three columns, three curves."""

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ \x00\x00\x00\x00" + struct.pack(">iii", *(round(value * 65536) for value in values))

    description = b"desc\x00\x00\x00\x00" + struct.pack(">I", len(name) + 1) + name + b"\x00" + bytes(12 + 67)
    curve = b"curv\x00\x00\x00\x00" + struct.pack(">IH", 1, round(gamma * 256)) + b"\x00\x00"
    parts = [(b"desc", description), (b"cprt", b"text\x00\x00\x00\x00none\x00")]
    parts += [(b"wtpt", xyz((0.9642, 1.0, 0.8249)))]
    parts += [(tag, xyz(column)) for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)]
    parts += [(tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile(b"mntrRGB XYZ ", parts)


def linear_grey_profile() -> bytes:
    """One curve, of linear samples."""
    description = b"desc\x00\x00\x00\x00" + struct.pack(">I", 5) + b"grey\x00" + bytes(12 + 67)
    white = b"XYZ \x00\x00\x00\x00" + struct.pack(">iii", 63190, 65536, 54061)
    curve = b"curv\x00\x00\x00\x00" + struct.pack(">IH", 1, 256) + b"\x00\x00"
    parts = [
        (b"desc", description),
        (b"cprt", b"text\x00\x00\x00\x00none\x00"),
        (b"wtpt", white),
        (b"kTRC", curve),
    ]
    return _profile(b"mntrGRAYXYZ ", parts)


def _profile(kind: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    """kind: device class, colour space and connection space. parts: the tags with their values."""
    table, body, offset = struct.pack(">I", len(parts)), b"", 128 + 4 + 12 * len(parts)
    for tag, payload in parts:
        padded = payload + bytes(-len(payload) % 4)
        table += tag + struct.pack(">II", offset + len(body), len(payload))
        body += padded
    size = 128 + len(table) + len(body)
    head = struct.pack(">I", size) + b"none\x02\x40\x00\x00" + kind + bytes(12) + b"acsp" + bytes(28)
    head += struct.pack(">iii", 63190, 65536, 54061)  # D50, the white of the connection space
    return head + bytes(128 - len(head)) + table + body


def cmyk_profile() -> bytes:
    """A small valid CMYK output profile: a table of the 16 corners, in which full cyan is a deep blue-green."""  # noqa: E501
    table = bytearray()
    for corner in range(16):
        cyan, magenta, yellow, black = (corner >> shift & 1 for shift in (3, 2, 1, 0))
        light = (1 - 0.45 * cyan) * (1 - 0.5 * magenta) * (1 - 0.1 * yellow) * (1 - 0.9 * black)
        a = (1 - black) * (-35 * cyan + 70 * magenta - 5 * yellow)
        b = (1 - black) * (-45 * cyan - 5 * magenta + 90 * yellow)
        table += bytes(max(0, min(255, round(value))) for value in (light * 255, a + 128, b + 128))
    ramp = bytes(range(256))
    lut = b"mft1\x00\x00\x00\x00" + bytes((4, 3, 2, 0))
    lut += b"".join(struct.pack(">i", 65536 if index in (0, 4, 8) else 0) for index in range(9))
    lut += ramp * 4 + bytes(table) + ramp * 3
    name = b"Test press"
    description = b"desc\x00\x00\x00\x00" + struct.pack(">I", len(name) + 1) + name + b"\x00" + bytes(12 + 67)
    white = b"XYZ \x00\x00\x00\x00" + struct.pack(">iii", 63190, 65536, 54061)
    parts = [
        (b"desc", description),
        (b"cprt", b"text\x00\x00\x00\x00none\x00"),
        (b"wtpt", white),
        (b"A2B0", lut),
    ]
    return _profile(b"prtrCMYKLab ", parts)
