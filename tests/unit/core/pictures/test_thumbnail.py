"""Pixels of thumbnails, against references that plain Pillow makes by a full decode and LANCZOS."""

import io
import struct
import zlib
from functools import lru_cache

import numpy as np
import pytest
from PIL import Image

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, Limits, Rendered, ThumbnailSpec
from mediasvc.core.pictures import encode
from mediasvc.core.pictures.thumbnail import render
from mediasvc.errors import MediaError, TooManyPixels, Undecodable
from tests.support import pictures
from tests.support.ssim import ssim

LIMITS = Limits()
BOTH = frozenset({Format.WEBP, Format.AVIF})
BOX = Size(100, 100)


@lru_cache
def photo(format: str) -> bytes:
    options = {"JPEG": {"quality": 95}, "WEBP": {"quality": 95}, "AVIF": {"quality": 90}}.get(format, {})
    return pictures.saved(pictures.photograph(300, 200), format, **options)


def opened(rendered: Rendered) -> Image.Image:
    assert rendered.data is not None
    image = Image.open(io.BytesIO(rendered.data))
    assert image.format == rendered.format.value.upper()
    assert image.size == (rendered.width, rendered.height)
    return image


def reference(width: int, height: int) -> Image.Image:
    return pictures.photograph(300, 200).resize((width, height), Image.Resampling.LANCZOS)


KEPT = {"BMP": Format.JPEG, "TIFF": Format.JPEG, "HEIC": Format.JPEG}


@pytest.mark.parametrize("output", list(OutputFormat))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "HEIC"])
def test_every_format_in_becomes_every_format_out(format: str, output: OutputFormat) -> None:
    made = render(photo(format), ThumbnailSpec(BOX, format=output), LIMITS)

    kept = KEPT.get(format, Format(format.lower()))
    assert made.format is (kept if output in (OutputFormat.KEEP, OutputFormat.AUTO) else Format(output.value))
    assert (made.width, made.height) == (100, 67)
    worst = 0.80 if "GIF" in (format, made.format.name) else 0.93
    assert ssim(opened(made).convert("RGB"), reference(100, 67)) > worst


@pytest.mark.parametrize(
    ("format", "least"), [("JPEG", 0.94), ("PNG", 0.99), ("WEBP", 0.93), ("AVIF", 0.94), ("TIFF", 0.94)]
)
def test_a_large_picture_scaled_while_it_is_decoded_looks_like_one_decoded_whole(
    format: str, least: float
) -> None:
    picture = pictures.photograph(600, 400)
    data = pictures.saved(picture, format, **({"quality": 95} if format != "PNG" else {}))

    made = render(data, ThumbnailSpec(Size(150, 150)), LIMITS)

    expected = picture.resize((150, 100), Image.Resampling.LANCZOS)
    assert ssim(opened(made).convert("RGB"), expected) > least


@pytest.mark.parametrize(
    ("box", "fit", "dpr", "size"),
    [
        (Size(100, 100), Fit.FIT, 1, (100, 67)),
        (Size(100, 100), Fit.FIT, 2, (200, 133)),
        (Size(100, 100), Fit.COVER, 1, (100, 100)),
        (Size(100, 100), Fit.COVER, 4, (200, 200)),
        (Size(50, 150), Fit.COVER, 1, (50, 150)),
        (Size(1, 1), Fit.FIT, 1, (1, 1)),
        (Size(8192, 1), Fit.FIT, 1, (2, 1)),
        (Size(7, 8192), Fit.FIT, 1, (7, 5)),
        (Size(290, 290), Fit.ATTENTION, 1, (200, 200)),
    ],
)
def test_the_size_is_what_geometry_says(box: Size, fit: Fit, dpr: int, size: tuple[int, int]) -> None:
    made = render(photo("JPEG"), ThumbnailSpec(box, fit, dpr=dpr), LIMITS)

    assert opened(made).size == size


@pytest.mark.parametrize(("width", "height"), [(2000, 3), (3, 2000), (1, 400), (400, 1)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_extreme_shapes_keep_at_least_one_pixel(width: int, height: int, format: str) -> None:
    data = pictures.saved(pictures.photograph(width, height), format)

    made = render(data, ThumbnailSpec(Size(60, 60), format=OutputFormat.PNG), LIMITS)

    assert max(made.width, made.height) == 60
    assert min(made.width, made.height) == 1


def test_cover_keeps_the_middle() -> None:
    made = render(
        pictures.saved(pictures.corners(400, 100), "PNG"), ThumbnailSpec(Size(50, 50), Fit.COVER), LIMITS
    )

    image = opened(made).convert("RGB")
    assert image.getpixel((5, 5)) == (200, 20, 20)
    assert image.getpixel((45, 5)) == (20, 180, 20)


@pytest.mark.parametrize(("left", "top"), [(0, 0), (220, 0), (440, 0)])
@pytest.mark.parametrize("upright", [True, False])
def test_attention_keeps_what_there_is_to_see(left: int, top: int, upright: bool) -> None:
    scene = Image.new("RGB", (640, 200), (180, 190, 200))
    scene.paste(pictures.photograph(200, 200), (left, top))
    orientation = 1 if upright else 6
    data = pictures.saved(
        pictures.stored_as(scene, orientation), "JPEG", quality=95, exif=pictures.exif(orientation)
    )

    made = render(data, ThumbnailSpec(Size(100, 100), Fit.ATTENTION, OutputFormat.PNG), LIMITS)

    background = np.abs(np.asarray(opened(made).convert("RGB"), int) - (180, 190, 200)).max(axis=2) < 4
    assert background.mean() < 0.2


def _pixels_at_corners(image: Image.Image) -> list[tuple[int, ...]]:
    image = image.convert("RGB")
    width, height = image.size
    places = ((1, 1), (3, 1), (1, 3), (3, 3))
    return [image.getpixel((width * x // 4, height * y // 4)) for x, y in places]  # type: ignore[misc]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("shape", "spec", "size"),
    [
        ((120, 80), ThumbnailSpec(Size(60, 60), format=OutputFormat.PNG), (60, 40)),
        ((120, 80), ThumbnailSpec(Size(60, 30), Fit.COVER, OutputFormat.PNG), (60, 30)),
        ((100, 100), ThumbnailSpec(Size(60, 30), Fit.COVER, OutputFormat.PNG), (60, 30)),
        ((120, 80), ThumbnailSpec(Size(500, 500), format=OutputFormat.PNG), (120, 80)),
    ],
)
def test_every_orientation_is_baked_in(
    format: str, orientation: int, shape: tuple[int, int], spec: ThumbnailSpec, size: tuple[int, int]
) -> None:
    stored = pictures.stored_as(pictures.corners(*shape), orientation)
    data = pictures.saved(stored, format, exif=pictures.exif(orientation))

    made = render(data, spec, LIMITS)

    image = Image.open(io.BytesIO(made.data or data))
    assert image.size == size
    expected = [(200, 20, 20), (20, 180, 20), (255, 255, 255), (20, 20, 200)]
    found = _pixels_at_corners(image)
    assert np.abs(np.array(found) - np.array(expected)).max() < 30
    assert made.data is None or not image.getexif()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_metadata_is_dropped(format: str) -> None:
    secret = b"a camera that nobody should learn of"
    data = pictures.saved(
        pictures.photograph(300, 200), format, exif=pictures.exif(1), icc_profile=pictures.srgb_profile()
    )
    assert secret in data

    for output in (
        OutputFormat.KEEP,
        OutputFormat.WEBP,
        OutputFormat.AVIF,
        OutputFormat.PNG,
        OutputFormat.JPEG,
    ):
        made = render(data, ThumbnailSpec(BOX, format=output), LIMITS)

        assert secret not in (made.data or b"")
        assert not {"exif", "icc_profile", "comment", "xmp"} & set(opened(made).info)


def test_an_original_that_fits_is_not_touched() -> None:
    made = render(photo("JPEG"), ThumbnailSpec(Size(300, 200)), LIMITS)

    assert made == Rendered(None, Format.JPEG, 300, 200)


def test_a_picture_is_never_enlarged() -> None:
    made = render(photo("BMP"), ThumbnailSpec(Size(4000, 4000)), LIMITS)

    assert (made.width, made.height) == (300, 200)


@pytest.mark.parametrize("output", [OutputFormat.KEEP, OutputFormat.AUTO])
def test_a_thumbnail_that_would_be_heavier_is_replaced_by_its_original(output: OutputFormat) -> None:
    flat = pictures.saved(pictures.corners(64, 64).convert("1"), "PNG")

    made = render(flat, ThumbnailSpec(Size(60, 60), format=output), LIMITS)

    assert made == Rendered(None, Format.PNG, 64, 64)


def test_a_heavier_thumbnail_stands_where_the_original_would_lie_on_its_side_or_was_not_asked_for() -> None:
    small = pictures.saved(pictures.corners(64, 64), "JPEG", quality=1, exif=pictures.exif(6))
    upright = pictures.saved(pictures.corners(64, 64), "JPEG", quality=1)

    turned = render(small, ThumbnailSpec(Size(60, 60), quality=100), LIMITS)
    named = render(upright, ThumbnailSpec(Size(60, 60), format=OutputFormat.PNG), LIMITS)
    kept = render(upright, ThumbnailSpec(Size(60, 60), quality=100), LIMITS)

    assert turned.data is not None
    assert len(turned.data) > len(small)
    assert named.format is Format.PNG
    assert kept.data is None


def test_auto_gives_what_the_client_names_where_that_is_smaller() -> None:
    def auto(*accepts: Format) -> Rendered:
        return render(
            photo("JPEG"), ThumbnailSpec(BOX, format=OutputFormat.AUTO, accepts=frozenset(accepts)), LIMITS
        )

    nothing = auto()
    assert nothing.format is Format.JPEG
    for named in ((Format.WEBP,), (Format.AVIF,), (Format.WEBP, Format.AVIF)):
        made = auto(*named)
        assert made.format in named
        assert made.data is not None
        assert nothing.data is not None
        assert len(made.data) < len(nothing.data)


def test_auto_keeps_the_format_where_another_would_be_larger() -> None:
    tiny = pictures.saved(pictures.corners(40, 40).quantize(4), "PNG")

    made = render(tiny, ThumbnailSpec(Size(4, 4), format=OutputFormat.AUTO, accepts=BOTH), LIMITS)

    assert made.format is Format.PNG


def test_quality_changes_the_weight() -> None:
    for output in (OutputFormat.JPEG, OutputFormat.WEBP, OutputFormat.AVIF):
        sizes = [
            len(render(photo("PNG"), ThumbnailSpec(BOX, format=output, quality=quality), LIMITS).data or b"")
            for quality in (30, 60, 80, 95)
        ]
        assert sizes == sorted(set(sizes))
        assert len(render(photo("PNG"), ThumbnailSpec(BOX, format=output), LIMITS).data or b"") == sizes[2]


def test_avif_is_matched_to_jpeg_by_ssim() -> None:
    picture = pictures.photograph(600, 400)
    data = pictures.saved(picture, "PNG")
    expected = picture.resize((300, 200), Image.Resampling.LANCZOS)

    jpeg, avif = (
        ssim(
            opened(render(data, ThumbnailSpec(Size(300, 300), format=output), LIMITS)).convert("RGB"),
            expected,
        )
        for output in (OutputFormat.JPEG, OutputFormat.AVIF)
    )

    assert abs(jpeg - avif) < 0.006


def test_a_large_jpeg_is_progressive_and_a_small_one_is_not() -> None:
    data = pictures.saved(pictures.photograph(1200, 800), "BMP")

    large = opened(render(data, ThumbnailSpec(Size(1000, 1000)), LIMITS))
    small = opened(render(data, ThumbnailSpec(Size(300, 300)), LIMITS))

    assert large.info.get("progressive")
    assert not small.info.get("progressive")


def test_full_size_in_another_format_is_every_pixel_of_the_picture() -> None:
    made = render(photo("BMP"), ThumbnailSpec(None, format=OutputFormat.PNG), LIMITS)

    assert opened(made).convert("RGB").tobytes() == pictures.photograph(300, 200).tobytes()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "HEIC"])
def test_damage_in_the_middle_is_undecodable_or_at_least_bounded(format: str) -> None:
    whole = photo(format)
    for start in range(len(whole) // 4, len(whole) - 50, len(whole) // 12):
        damaged = whole[:start] + b"\x00" * 40 + whole[start + 40 :]
        try:
            made = render(damaged, ThumbnailSpec(BOX), LIMITS)
        except MediaError:
            continue
        assert (made.width, made.height) == (100, 67)


def _shortened(format: str) -> bytes:
    """A container that is whole, around an image that is not."""
    data = photo(format)
    match format:
        case "PNG":
            start = data.find(b"IDAT")
            length = int.from_bytes(data[start - 4 : start], "big")
            body = data[start + 4 : start + 4 + length // 2]
            return data[: start - 4] + pictures.png_chunk(b"IDAT", body) + data[start + 8 + length :]
        case "WEBP":
            body = data[20 : len(data) // 2 & ~1]
            return b"RIFF" + struct.pack("<I4s4sI", len(body) + 12, b"WEBP", b"VP8 ", len(body)) + body
        case "JPEG":
            return data[: len(data) // 2] + b"\xff\xd9"
        case _:
            return data[: len(data) // 2] + bytes(len(data) - len(data) // 2 - 1) + data[-1:]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_an_image_cut_short_inside_a_whole_container_is_undecodable(format: str) -> None:
    with pytest.raises(Undecodable):
        render(_shortened(format), ThumbnailSpec(BOX, format=OutputFormat.JPEG), LIMITS)


def test_limits_hold_when_rendering_too() -> None:
    with pytest.raises(TooManyPixels):
        render(pictures.bomb_png(50_000, 50_000), ThumbnailSpec(BOX), LIMITS)


def test_text_chunks_that_inflate_into_bombs_are_never_inflated() -> None:
    png = photo("PNG")
    bomb = b"Comment\x00\x00" + zlib.compress(bytes(20_000_000), 6)
    data = png[:33] + pictures.png_chunk(b"zTXt", bomb) * 3 + png[33:]

    made = render(data, ThumbnailSpec(BOX, format=OutputFormat.JPEG), LIMITS)

    assert ssim(opened(made).convert("RGB"), reference(100, 67)) > 0.93


def test_a_palette_picture_stays_one_and_stays_light() -> None:
    picture = pictures.corners(300, 200)
    data = pictures.saved(picture.quantize(8), "PNG")

    made = render(data, ThumbnailSpec(BOX), LIMITS)

    assert made.data is None or opened(made).mode == "P"


def test_png_photographs_and_png_drawings_are_both_deflated_the_way_that_suits_them() -> None:
    photograph = pictures.photograph(400, 300)
    drawing = Image.new("RGB", (400, 300), "white")
    for row in range(0, 300, 10):
        drawing.paste(pictures.corners(40, 6), (row, row))

    for picture in (photograph, drawing):
        made = render(pictures.saved(picture, "TIFF"), ThumbnailSpec(None, format=OutputFormat.PNG), LIMITS)

        plain = min(len(pictures.saved(picture, "PNG", compress_level=level)) for level in (3, 6))
        assert made.data is not None
        assert len(made.data) <= plain * 1.06
        assert opened(made).convert("RGB").tobytes() == picture.tobytes()


def test_a_side_that_a_format_cannot_state_is_said_so_and_never_chosen() -> None:
    long = pictures.saved(Image.new("RGB", (17_000, 20), "white"), "PNG")

    with pytest.raises(TooManyPixels):
        render(long, ThumbnailSpec(None, format=OutputFormat.WEBP), LIMITS)
    auto = ThumbnailSpec(None, format=OutputFormat.AUTO, accepts=frozenset({Format.WEBP}))
    assert render(long, auto, LIMITS).format is Format.PNG


def test_an_mpo_shows_its_first_picture() -> None:
    first, second = pictures.photograph(300, 200), pictures.corners(300, 200)
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[second], quality=95)

    made = render(out.getvalue(), ThumbnailSpec(BOX), LIMITS)

    assert made.format is Format.JPEG
    assert ssim(opened(made).convert("RGB"), reference(100, 67)) > 0.93


def test_avif_quality_rises_with_jpeg_quality_over_the_whole_scale() -> None:
    settings = [encode.avif_quality(quality) for quality in range(1, 101)]

    assert settings == sorted(settings)
    assert (settings[0], settings[79], settings[99]) == (20, 67, 100)
