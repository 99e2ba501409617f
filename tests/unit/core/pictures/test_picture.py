"""What image bytes say about themselves, and what is refused before anything is decoded."""

import io
import struct
import zlib
from functools import lru_cache

import pytest
from PIL import Image

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, Limits, Picture, ThumbnailSpec, is_own_thumbnail, output_size
from mediasvc.core.pictures.headers import sniff
from mediasvc.core.pictures.whole import inspect
from mediasvc.errors import MediaError, TooManyPixels, Undecodable, UnsupportedMedia
from tests.support import pictures

LIMITS = Limits()
WRITTEN = ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "HEIC"]


@lru_cache
def sample(format: str) -> bytes:
    return pictures.saved(pictures.photograph(60, 40), format)


@pytest.mark.parametrize("format", WRITTEN)
def test_a_picture_is_known_by_its_bytes(format: str) -> None:
    found = inspect(sample(format), LIMITS)

    assert found == Picture(Format(format.lower()), 60, 40, len(sample(format)))
    assert inspect(memoryview(sample(format)), LIMITS) == found


@pytest.mark.parametrize("format", WRITTEN)
@pytest.mark.parametrize("kept", [0.5, 0.9, -1])
def test_a_truncated_picture_is_undecodable_by_its_header_already(format: str, kept: float) -> None:
    whole = sample(format)
    # These are whole without their end marker (test_whole.py).
    few = {"JPEG": 24, "PNG": 20, "GIF": 8}.get(format, 1)
    cut = whole[:-few] if kept == -1 else whole[: int(len(whole) * kept)]

    with pytest.raises(Undecodable):
        inspect(cut, LIMITS)


@pytest.mark.parametrize("format", WRITTEN)
def test_no_prefix_of_a_picture_raises_anything_but_our_own_errors(format: str) -> None:
    whole = sample(format)

    for length in range(0, len(whole) - 24, max(1, len(whole) // 300)):
        with pytest.raises(MediaError):
            inspect(whole[:length], LIMITS)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_those_of_the_upright_picture(format: str, orientation: int) -> None:
    stored = pictures.stored_as(pictures.corners(60, 40), orientation)
    data = pictures.saved(stored, format, exif=pictures.exif(orientation))

    found = inspect(data, LIMITS)

    assert (found.width, found.height) == (60, 40)
    assert found.upright == (orientation == 1)


@pytest.mark.parametrize(
    ("format", "mode", "has_alpha"),
    [
        ("PNG", "RGBA", True),
        ("PNG", "LA", True),
        ("PNG", "RGB", False),
        ("WEBP", "RGBA", True),
        ("WEBP", "RGB", False),
        ("AVIF", "RGBA", True),
        ("AVIF", "RGB", False),
        ("TIFF", "RGBA", True),
        ("HEIC", "RGBA", True),
    ],
)
def test_transparency_is_known_from_the_header(format: str, mode: str, has_alpha: bool) -> None:
    data = pictures.saved(pictures.see_through(60, 40).convert(mode), format)

    assert inspect(data, LIMITS).has_alpha is has_alpha


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_frames_are_counted_without_decoding(format: str) -> None:
    frames = [pictures.photograph(60, 40, seed) for seed in (1, 2, 3)]
    data = pictures.saved(frames[0], format, save_all=True, append_images=frames[1:], duration=50)

    found = inspect(data, LIMITS)

    assert found.frames == 3
    assert found.animated


def test_lossless_webp_states_its_size_and_alpha_in_its_bitstream() -> None:
    data = pictures.saved(pictures.see_through(61, 43), "WEBP", lossless=True, exact=True)

    found = inspect(data, LIMITS)

    assert (found.width, found.height, found.has_alpha) == (61, 43, True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF8",
        b"<!doctype html><title>no</title>",
        b"%PDF-1.7\n",
        b"\x00" * 100,
        b"8BPS\x00\x01" + bytes(60),
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(40),
        b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(40),
        b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40),
        b"PK\x03\x04" + bytes(60),
        b"II+\x00\x08\x00\x00\x00" + bytes(40),
        b'{"image": 1}',
    ],
)
def test_what_is_no_image_of_an_allowed_format_is_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        inspect(data, LIMITS)


def _jpeg_that_claims(width: int, height: int) -> bytes:
    data = bytearray(sample("JPEG"))
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _webp_that_claims(width: int, height: int) -> bytes:
    body = b"VP8X\x0a\x00\x00\x00\x00\x00\x00\x00"
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body += sample("WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _gif_that_claims(width: int, height: int) -> bytes:
    return sample("GIF")[:6] + struct.pack("<HH", width, height) + sample("GIF")[10:]


def _bmp_that_claims(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 1, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 100, 0, 0, 54) + head + bytes(100)


@pytest.mark.parametrize(
    "data",
    [
        pictures.bomb_png(50_000, 50_000),
        pictures.bomb_png(2_000_000_000, 1),
        pictures.bomb_png(70_000, 2),
        _jpeg_that_claims(65_500, 65_500),
        _webp_that_claims(16_384, 16_384),
        _gif_that_claims(65_535, 65_535),
        _bmp_that_claims(60_000, -60_000),
    ],
)
def test_more_pixels_than_allowed_are_refused_from_the_header(data: bytes) -> None:
    with pytest.raises(TooManyPixels):
        inspect(data, LIMITS)


@pytest.mark.parametrize(
    "data", [pictures.bomb_png(0, 10), _jpeg_that_claims(0, 40), _jpeg_that_claims(60, 0)]
)
def test_a_picture_without_pixels_is_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable):
        inspect(data, LIMITS)


def _flood(frames: int) -> bytes:
    """A GIF of 1x1 frames."""
    frame = b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    return b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff" + frame * frames + b"\x3b"


def test_a_flood_of_tiny_frames_is_refused_and_an_honest_number_is_not() -> None:
    assert inspect(_flood(2000), LIMITS).frames == 2000

    with pytest.raises(TooManyPixels):
        inspect(_flood(107_000), LIMITS)


def test_frames_times_pixels_has_a_limit_of_its_own() -> None:
    data = pictures.animated_gif(60, 40, 4)

    with pytest.raises(TooManyPixels):
        inspect(data, Limits(max_pixels=60 * 40, max_frames_pixels=60_000))


def test_a_gif_frame_beyond_the_canvas_counts_with_all_of_its_pixels() -> None:
    data = bytearray(_flood(1))
    data[data.find(b"\x2c") + 5 : data.find(b"\x2c") + 9] = struct.pack("<HH", 60_000, 60_000)

    with pytest.raises(TooManyPixels):
        inspect(bytes(data), LIMITS)


def _with_chunk(kind: bytes, payload: bytes) -> bytes:
    png = sample("PNG")
    return png[:33] + pictures.png_chunk(kind, payload) + png[33:]


def test_metadata_beyond_all_reason_is_undecodable() -> None:
    jpeg = sample("JPEG")
    segment = b"\xff\xe2\xff\xff" + bytes(65_533)
    bombs = [
        jpeg[:2] + segment * 300 + jpeg[2:],
        _with_chunk(b"tEXt", bytes(17 << 20)),
        _with_chunk(b"iCCP", b"x\x00\x00" + zlib.compress(bytes(5 << 20))),
    ]

    for bomb in bombs:
        with pytest.raises(Undecodable):
            inspect(bomb, LIMITS)


def test_ordinary_metadata_is_no_obstacle() -> None:
    text = zlib.compress(b"a" * 4_000_000)

    assert inspect(_with_chunk(b"zTXt", b"Comment\x00\x00" + text), LIMITS).width == 60
    assert (
        inspect(_with_chunk(b"iCCP", b"x\x00\x00" + zlib.compress(pictures.srgb_profile())), LIMITS).width
        == 60
    )


@pytest.mark.parametrize("position", [16, 24, 29])
def test_a_wrong_checksum_of_the_png_header_is_undecodable(position: int) -> None:
    data = bytearray(sample("PNG"))
    data[position] ^= 1

    with pytest.raises(Undecodable):
        inspect(bytes(data), LIMITS)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
def test_what_is_appended_to_an_image_is_not_part_of_it(format: str) -> None:
    whole = sample(format)
    smuggled = b"PK\x03\x04<script>alert(1)</script>\xff\xd9;"

    assert inspect(whole, LIMITS).tail == 0
    assert inspect(whole + smuggled, LIMITS).tail == len(smuggled)
    assert inspect(whole + b"\0\0\r\n", LIMITS).tail == 0


def test_what_follows_a_progressive_jpeg_or_an_mpo_begins_behind_its_first_image() -> None:
    progressive = pictures.saved(pictures.photograph(120, 80), "JPEG", progressive=True)
    out = io.BytesIO()
    first, second = pictures.photograph(120, 80, 1), pictures.photograph(120, 80, 2)
    first.save(out, "MPO", save_all=True, append_images=[second])
    several = out.getvalue()

    assert inspect(progressive + b"film", LIMITS).tail == 4
    # An MPO that ends as it should is taken as it is.
    assert inspect(several, LIMITS).tail == 0
    end = len(several) + 4 - inspect(several + b"film", LIMITS).tail
    assert 0 < end < len(several)
    assert Image.open(io.BytesIO(several[:end]), formats=["JPEG"]).size == (120, 80)
    assert inspect(several, LIMITS).format is Format.JPEG


def test_an_exif_block_that_lies_about_its_offsets_says_nothing() -> None:
    block = bytearray(pictures.exif(6).removeprefix(b"Exif\x00\x00"))
    block[4:8] = struct.pack("<I" if block[:2] == b"II" else ">I", 0xFFFFFFF0)
    data = pictures.saved(pictures.photograph(60, 40), "JPEG", exif=b"Exif\x00\x00" + bytes(block))

    assert inspect(data, LIMITS).upright


SQUARE = Size(100, 100)


@pytest.mark.parametrize(
    ("picture", "spec", "own"),
    [
        (Picture(Format.JPEG, 100, 80, 1), ThumbnailSpec(SQUARE), True),
        (Picture(Format.JPEG, 101, 80, 1), ThumbnailSpec(SQUARE), False),
        (Picture(Format.JPEG, 101, 80, 1), ThumbnailSpec(SQUARE, dpr=2), True),
        (Picture(Format.JPEG, 100, 80, 1, upright=False), ThumbnailSpec(SQUARE), False),
        (Picture(Format.BMP, 10, 10, 1), ThumbnailSpec(SQUARE), False),
        (Picture(Format.GIF, 10, 10, 1, frames=3), ThumbnailSpec(SQUARE), True),
        (Picture(Format.PNG, 10, 10, 1), ThumbnailSpec(SQUARE, format=OutputFormat.WEBP), False),
        (Picture(Format.PNG, 10, 10, 1), ThumbnailSpec(SQUARE, format=OutputFormat.PNG), True),
        (Picture(Format.PNG, 10, 10, 1), ThumbnailSpec(SQUARE, format=OutputFormat.AUTO), True),
        (Picture(Format.PNG, 100, 80, 1), ThumbnailSpec(SQUARE, fit=Fit.COVER), False),
        (Picture(Format.PNG, 80, 80, 1), ThumbnailSpec(SQUARE, fit=Fit.COVER), True),
        (Picture(Format.SVG, 0, 0, 1), ThumbnailSpec(SQUARE, format=OutputFormat.PNG), True),
        (Picture(Format.TIFF, 10, 10, 1), ThumbnailSpec(None), True),
        (Picture(Format.TIFF, 10, 10, 1), ThumbnailSpec(None, format=OutputFormat.PNG), False),
        (Picture(Format.JPEG, 10, 10, 1), ThumbnailSpec(None, format=OutputFormat.AUTO), False),
        (Picture(Format.JPEG, 10, 10, 1), ThumbnailSpec(None, format=OutputFormat.JPEG), True),
        (
            Picture(Format.JPEG, 10, 10, 1, upright=False),
            ThumbnailSpec(None, format=OutputFormat.JPEG),
            False,
        ),
    ],
)
def test_an_original_that_fits_stands_upright_and_is_of_the_web_is_its_own_thumbnail(
    picture: Picture, spec: ThumbnailSpec, own: bool
) -> None:
    assert is_own_thumbnail(picture, spec) is own


def test_keys_differ_exactly_where_thumbnails_may_differ() -> None:
    specs = [
        ThumbnailSpec(Size(600, 400)),
        ThumbnailSpec(Size(400, 600)),
        ThumbnailSpec(None),
        ThumbnailSpec(Size(600, 400), fit=Fit.COVER),
        ThumbnailSpec(Size(600, 400), format=OutputFormat.WEBP),
        ThumbnailSpec(Size(600, 400), format=OutputFormat.AUTO),
        ThumbnailSpec(Size(600, 400), format=OutputFormat.AUTO, accepts=frozenset({Format.WEBP})),
        ThumbnailSpec(
            Size(600, 400), format=OutputFormat.AUTO, accepts=frozenset({Format.WEBP, Format.AVIF})
        ),
        ThumbnailSpec(Size(600, 400), quality=70),
        ThumbnailSpec(Size(600, 400), dpr=2),
    ]

    assert len({spec.key() for spec in specs}) == len(specs)
    assert ThumbnailSpec(Size(600, 400), accepts=frozenset({Format.WEBP})).key() == specs[0].key()


def test_the_output_is_never_larger_than_the_picture() -> None:
    picture = Picture(Format.JPEG, 300, 200, 1)

    assert output_size(picture, ThumbnailSpec(Size(600, 600))) == Size(300, 200)
    assert output_size(picture, ThumbnailSpec(Size(600, 600), fit=Fit.COVER)) == Size(200, 200)
    assert output_size(picture, ThumbnailSpec(Size(50, 50), dpr=2)) == Size(100, 67)


def test_inspecting_a_large_photograph_takes_no_decoding() -> None:
    header = sniff.read_header(pictures.saved(pictures.photograph(600, 400), "JPEG"), LIMITS)

    assert (header.width, header.height, header.end) == (600, 400, None)
