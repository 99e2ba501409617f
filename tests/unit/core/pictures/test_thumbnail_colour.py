"""Colours and transparency: profiles, CMYK, 16 bits, palettes; references by an independent path."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Limits, ThumbnailSpec
from mediasvc.core.pictures.thumbnail import render
from tests.support import pictures

LIMITS = Limits()
SPEC = ThumbnailSpec(Size(90, 90), format=OutputFormat.PNG)
SRGB = ImageCms.createProfile("sRGB")


def rendered(data: bytes, spec: ThumbnailSpec = SPEC) -> Image.Image:
    made = render(data, spec, LIMITS)
    assert made.data is not None
    image = Image.open(io.BytesIO(made.data))
    assert "icc_profile" not in image.info
    return image


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of a sample."""
    assert one.size == other.size
    return float(np.abs(np.asarray(one.convert("RGB"), int) - np.asarray(other.convert("RGB"), int)).mean())


def converted(picture: Image.Image, profile: bytes) -> Image.Image:
    """Full size first, then LANCZOS: the other way round than the code under test."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    whole = ImageCms.profileToProfile(picture, source, SRGB, outputMode="RGB")
    assert whole is not None
    return whole.resize((90, 60), Image.Resampling.LANCZOS)


def vivid() -> Image.Image:
    return Image.blend(pictures.photograph(270, 180), pictures.corners(270, 180), 0.6)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("profile", [pictures.wide_gamut_profile(), pictures.adobe_rgb_profile()])
def test_wide_gamut_pictures_become_srgb(format: str, profile: bytes) -> None:
    options: dict[str, dict[str, object]] = {
        "JPEG": {"quality": 97, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 97},
    }
    data = pictures.saved(vivid(), format, icc_profile=profile, **options.get(format, {}))

    image = rendered(data)

    expected = converted(vivid(), profile)
    assert distance(image, expected) < 3
    assert distance(image, expected) * 2 < distance(
        vivid().resize((90, 60), Image.Resampling.LANCZOS), expected
    )


def test_a_wide_gamut_picture_keeps_its_transparency() -> None:
    data = pictures.saved(pictures.see_through(270, 180), "PNG", icc_profile=pictures.wide_gamut_profile())

    image = rendered(data)

    expected = pictures.see_through(270, 180).getchannel("A").resize((90, 60), Image.Resampling.LANCZOS)
    assert image.mode == "RGBA"
    assert np.abs(np.asarray(image.getchannel("A"), int) - np.asarray(expected, int)).mean() < 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_profile_that_only_calls_itself_srgb_is_used(mode: str) -> None:
    picture = Image.new("RGB", (180, 180), (55, 55, 55)).convert(mode)
    data = pictures.saved(picture, "PNG", icc_profile=pictures.linear_srgb_profile())

    image = rendered(data)

    # (1.055 (55 / 255) ** (1 / 2.4) - 0.055) 255, by IEC 61966-2-1
    assert all(abs(sample - 128) <= 2 for sample in image.convert("RGB").getpixel((45, 45)))  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_profile_is_used_with_and_without_transparency(mode: str) -> None:
    picture = Image.new("L", (180, 180), 55).convert(mode)
    data = pictures.saved(picture, "PNG", icc_profile=pictures.linear_grey_profile())

    image = rendered(data)

    assert all(abs(sample - 128) <= 2 for sample in image.convert("RGB").getpixel((45, 45)))  # type: ignore[union-attr]


def test_a_coloured_picture_has_no_use_for_a_grey_profile() -> None:
    plain = rendered(pictures.saved(pictures.see_through(270, 180), "PNG"))
    tagged = rendered(
        pictures.saved(pictures.see_through(270, 180), "PNG", icc_profile=pictures.linear_grey_profile())
    )

    assert plain.tobytes() == tagged.tobytes()


def test_srgb_pictures_are_not_converted_again() -> None:
    plain = rendered(pictures.saved(vivid(), "PNG"))
    tagged = rendered(pictures.saved(vivid(), "PNG", icc_profile=pictures.srgb_profile()))

    assert plain.tobytes() == tagged.tobytes()


@pytest.mark.parametrize("profile", [b"", b"no profile", bytes(5000), pictures.srgb_profile()[:200]])
def test_an_unreadable_profile_counts_as_absent(profile: bytes) -> None:
    data = pictures.saved(vivid(), "PNG", icc_profile=profile)

    assert distance(rendered(data), vivid().resize((90, 60), Image.Resampling.LANCZOS)) < 1.5


def test_a_profile_of_another_colour_space_counts_as_absent() -> None:
    data = pictures.saved(vivid().convert("L"), "JPEG", quality=97, icc_profile=pictures.wide_gamut_profile())

    assert rendered(data).mode == "L"


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_with_a_profile_becomes_srgb_by_it(format: str) -> None:
    cmyk = vivid().convert("CMYK")
    data = pictures.saved(
        cmyk, format, icc_profile=pictures.cmyk_profile(), **({"quality": 97} if format == "JPEG" else {})
    )

    image = rendered(data)

    expected = converted(cmyk, pictures.cmyk_profile())
    assert distance(image, expected) < 4
    assert distance(expected, vivid().resize((90, 60))) > 12


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile_looks_as_it_did(format: str) -> None:
    data = pictures.saved(vivid().convert("CMYK"), format, **({"quality": 97} if format == "JPEG" else {}))

    assert distance(rendered(data), vivid().resize((90, 60), Image.Resampling.LANCZOS)) < 4


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(format: str) -> None:
    grey = np.asarray(vivid().convert("L"), np.uint16)
    data = pictures.saved(Image.fromarray(grey * 257), format)

    image = rendered(data)

    assert distance(image, vivid().convert("L").resize((90, 60), Image.Resampling.LANCZOS)) < 2


def test_sixteen_bit_colour_png_becomes_eight() -> None:
    import zlib

    samples = np.asarray(vivid(), np.uint16) * 257
    rows = b"".join(b"\x00" + samples[row].astype(">u2").tobytes() for row in range(180))
    data = pictures.png_header(270, 180, 16, 2) + pictures.png_chunk(b"IDAT", zlib.compress(rows))
    data += pictures.png_chunk(b"IEND", b"")

    assert distance(rendered(data), vivid().resize((90, 60), Image.Resampling.LANCZOS)) < 2


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA"])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_every_mode_is_understood(mode: str, format: str) -> None:
    if mode == "PA" or (format, mode) == ("TIFF", "LA"):
        picture = vivid().convert("RGBA").quantize(200)
    else:
        picture = vivid().quantize(200) if mode == "P" else vivid().convert(mode)
    data = pictures.saved(picture, format)

    expected = picture.convert("RGBA").convert("RGB").resize((90, 60), Image.Resampling.LANCZOS)
    assert distance(rendered(data), expected) < 8


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF"])
def test_hidden_colours_do_not_bleed_through_at_rims(format: str) -> None:
    options: dict[str, dict[str, object]] = {
        "WEBP": {"lossless": True, "exact": True},
        "AVIF": {"quality": 100},
    }
    data = pictures.saved(pictures.see_through(360, 240), format, **options.get(format, {}))

    image = rendered(data).convert("RGBA")

    pixels = np.asarray(image, int)
    rim = (pixels[..., 3] > 20) & (pixels[..., 3] < 250)
    reddish = (pixels[..., 0] - np.maximum(pixels[..., 1], pixels[..., 2])) > 60
    plain = np.asarray(pictures.photograph(360, 240).resize((90, 60), Image.Resampling.LANCZOS), int)
    red_by_itself = (plain[..., 0] - np.maximum(plain[..., 1], plain[..., 2])) > 60
    assert rim.sum() > 50
    assert (reddish & rim & ~red_by_itself).sum() <= 0.03 * rim.sum()


def test_a_colour_key_is_transparency() -> None:
    picture = pictures.corners(270, 180)
    data = pictures.saved(picture, "PNG", transparency=(255, 255, 255))

    image = rendered(data)

    assert image.mode == "RGBA"
    assert image.getpixel((5, 55))[3] == 0  # type: ignore[index]
    assert image.getpixel((5, 5)) == (200, 20, 20, 255)


@pytest.mark.parametrize(
    ("depth", "colour", "key", "row"),
    [
        (1, 0, (1,), b"\xff" * 5 + b"\x00" * 5),
        (2, 0, (2,), b"\xaa" * 10 + b"\xff" * 10),
        (4, 0, (5,), b"\x55" * 20 + b"\xff" * 20),
        (8, 0, (7,), b"\x07" * 40 + b"\xff" * 40),
        (16, 0, (0x1234,), b"\x12\x34" * 40 + b"\x12\x35" * 40),
        (16, 2, (0x1234, 0x5678, 0), b"\x12\x34\x56\x78\x00\x00" * 40 + bytes(6) * 40),
    ],
)
def test_a_colour_key_of_any_depth_is_transparency(
    depth: int, colour: int, key: tuple[int, ...], row: bytes
) -> None:
    data = (
        pictures.png_header(80, 80, depth, colour)
        + pictures.png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
        + pictures.png_chunk(b"IDAT", zlib.compress((b"\x00" + row) * 80))
        + pictures.png_chunk(b"IEND", b"")
    )

    image = rendered(data, ThumbnailSpec(Size(20, 20), format=OutputFormat.PNG))

    assert image.mode == "RGBA"
    opacity = image.getchannel("A")
    assert (opacity.getpixel((2, 10)), opacity.getpixel((17, 10))) == (0, 255)


def test_jpeg_shows_what_is_see_through_on_white() -> None:
    data = pictures.saved(pictures.see_through(270, 180), "PNG")

    image = rendered(data, ThumbnailSpec(Size(90, 90), format=OutputFormat.JPEG))

    assert np.asarray(image.convert("RGB"))[1, 1].min() > 250


@pytest.mark.parametrize(
    ("format", "opaque", "kept"),
    [
        ("TIFF", True, "jpeg"),
        ("TIFF", False, "png"),
        ("HEIC", True, "jpeg"),
        ("HEIC", False, "png"),
        ("BMP", True, "jpeg"),
    ],
)
def test_formats_that_browsers_lack_become_jpeg_or_png_where_see_through(
    format: str, opaque: bool, kept: str
) -> None:
    picture = vivid().convert("RGBA") if opaque else pictures.see_through(270, 180)

    made = render(pictures.saved(picture, format), ThumbnailSpec(Size(90, 90)), LIMITS)

    assert made.format == kept


def test_grey_stays_grey() -> None:
    data = pictures.saved(vivid().convert("L"), "JPEG")

    assert rendered(data, ThumbnailSpec(Size(90, 90))).mode == "L"
