"""Animations keep their frames, their timing and their loop count."""

import io
from functools import lru_cache

import numpy as np
import pytest
from PIL import Image

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, Limits, Rendered, ThumbnailSpec
from mediasvc.core.pictures.headers.header import Header
from mediasvc.core.pictures.thumbnail import render, render_known
from mediasvc.errors import TooManyPixels, Undecodable
from tests.support import pictures

LIMITS = Limits()
BOX = Size(100, 100)
DURATIONS = [50, 70, 1000, 30]


@lru_cache
def film(format: str, loop: int | None = 0, *, see_through: bool = False) -> bytes:
    if see_through:
        frames = [pictures.see_through(200, 120).rotate(angle) for angle in (0, 30, 60, 90)]
    else:
        frames = [pictures.photograph(200, 120, seed) for seed in (1, 2, 3, 4)]
    options: dict[str, object] = {} if loop is None or format == "AVIF" else {"loop": loop}
    if format == "GIF" and see_through:
        options["disposal"] = 2
    return pictures.saved(
        frames[0], format, save_all=True, append_images=frames[1:], duration=DURATIONS, **options
    )


def told(rendered: Rendered) -> tuple[str | None, tuple[int, int], list[int], int | None]:
    """(format, size, durations, loop) of what was made."""
    assert rendered.data is not None
    image = Image.open(io.BytesIO(rendered.data))
    durations = []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        image.load()
        durations.append(round(image.info.get("duration", 0)))
    assert image.size == (rendered.width, rendered.height)
    return image.format, image.size, durations, image.info.get("loop")


@pytest.mark.parametrize(("loop", "plays"), [(None, 1), (0, 0), (3, 4)])
def test_a_gif_becomes_a_smaller_webp_with_the_same_timing(loop: int | None, plays: int) -> None:
    data = film("GIF", loop)

    made = render(data, ThumbnailSpec(BOX), LIMITS)

    assert told(made) == ("WEBP", (100, 60), DURATIONS, plays)
    assert len(made.data or b"") < len(data)


@pytest.mark.parametrize("loop", [0, 1, 5])
@pytest.mark.parametrize("format", ["WEBP", "PNG"])
def test_animated_webp_and_png_stay_what_they_are(format: str, loop: int) -> None:
    made = render(film(format, loop), ThumbnailSpec(BOX), LIMITS)

    assert told(made) == (format, (100, 60), DURATIONS, loop)


def test_an_avif_sequence_stays_one() -> None:
    assert told(render(film("AVIF"), ThumbnailSpec(BOX), LIMITS))[:3] == ("AVIF", (100, 60), DURATIONS)


@pytest.mark.parametrize("format", ["GIF", "PNG"])
def test_auto_gives_animated_webp_only_to_who_names_it(format: str) -> None:
    def auto(*accepts: Format) -> Rendered:
        spec = ThumbnailSpec(BOX, format=OutputFormat.AUTO, accepts=frozenset(accepts))
        return render(film(format), spec, LIMITS)

    assert told(auto(Format.WEBP, Format.AVIF))[0] == "WEBP"
    assert told(auto())[0] == format
    assert told(auto())[2] == DURATIONS


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("output", [OutputFormat.JPEG, OutputFormat.PNG])
def test_a_still_format_by_name_shows_the_first_frame(format: str, output: OutputFormat) -> None:
    made = render(film(format), ThumbnailSpec(BOX, format=output), LIMITS)

    frames = len(told(made)[2])
    assert made.format.value == output.value
    assert frames == (4 if format == output.name else 1)
    image = Image.open(io.BytesIO(made.data or b"")).convert("RGB")
    expected = pictures.photograph(200, 120, 1).resize((100, 60), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(image, int) - np.asarray(expected, int)).mean() < 12


@pytest.mark.parametrize("output", [OutputFormat.WEBP, OutputFormat.AVIF])
def test_a_film_by_name_has_all_frames(output: OutputFormat) -> None:
    assert told(render(film("GIF"), ThumbnailSpec(BOX, format=output), LIMITS))[2] == DURATIONS


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("output", [OutputFormat.KEEP, OutputFormat.WEBP])
def test_every_frame_shows_what_it_showed(format: str, output: OutputFormat) -> None:
    data = film(format, see_through=True)

    made = render(data, ThumbnailSpec(BOX, format=output), LIMITS)

    ours, source = Image.open(io.BytesIO(made.data or b"")), Image.open(io.BytesIO(data))
    for index in range(4):
        ours.seek(index)
        source.seek(index)
        shown, expected = Image.new("RGB", (100, 60), "white"), Image.new("RGB", (100, 60), "white")
        frame, whole = (
            ours.convert("RGBA"),
            source.convert("RGBA").resize((100, 60), Image.Resampling.LANCZOS),
        )
        shown.paste(frame, mask=frame)
        expected.paste(whole, mask=whole)
        assert np.abs(np.asarray(shown, int) - np.asarray(expected, int)).mean() < 9


def test_a_film_is_cropped_like_a_picture() -> None:
    made = render(film("WEBP"), ThumbnailSpec(Size(50, 50), Fit.COVER), LIMITS)

    assert told(made)[1] == (50, 50)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_film_that_lies_on_its_side_is_turned(orientation: int) -> None:
    frames = [pictures.stored_as(pictures.corners(120, 80), orientation), Image.new("RGB", (120, 80))]
    frames[1] = frames[1].resize(frames[0].size)
    data = pictures.saved(
        frames[0],
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=50,
        exif=pictures.exif(orientation),
    )

    made = render(data, ThumbnailSpec(Size(60, 60)), LIMITS)

    first = Image.open(io.BytesIO(made.data or b"")).convert("RGB")
    assert first.size == (60, 40)
    assert abs(first.getpixel((10, 10))[0] - 200) < 30  # type: ignore[index]


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_a_film_with_hard_edges_stays_see_through_around_them(format: str) -> None:
    frames = [Image.new("RGBA", (120, 80), (0, 0, 0, 0)) for _ in range(3)]
    for place, frame in enumerate(frames):
        frame.paste((200, 20, 40, 255), (20 * place, 10, 20 * place + 30, 60))
    data = pictures.saved(frames[0], format, save_all=True, append_images=frames[1:], duration=100)

    # A WebP that fits would be its own thumbnail.
    box = Size(120, 80) if format == "PNG" else Size(100, 80)
    made = render(data, ThumbnailSpec(box, Fit.COVER, OutputFormat.WEBP), LIMITS)

    assert made.data is not None
    image = Image.open(io.BytesIO(made.data))
    shift = (120 - box.width) // 2
    for index, inside in enumerate([(15 - shift, 30), (35 - shift, 30), (55 - shift, 30)]):
        image.seek(index)
        shown = image.convert("RGBA").getchannel("A")
        assert (shown.getpixel((box.width - 1, 0)), shown.getpixel(inside)) == (0, 255)


def test_a_film_that_fits_is_not_touched() -> None:
    assert render(film("GIF"), ThumbnailSpec(Size(200, 200)), LIMITS).data is None


def test_a_film_that_would_grow_heavier_stays_as_it_is() -> None:
    frames = [Image.new("P", (200, 120), index) for index in range(6)]
    data = pictures.saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0)

    made = render(data, ThumbnailSpec(Size(190, 190)), LIMITS)

    assert made.data is None or len(made.data) < len(data)


@pytest.mark.parametrize("format", ["WEBP", "PNG"])
def test_a_damaged_frame_makes_the_film_undecodable(format: str) -> None:
    data = bytearray(film(format))
    middle = len(data) // 2
    data[middle : middle + 400] = b"\xff" * 400

    with pytest.raises(Undecodable):
        render(bytes(data), ThumbnailSpec(BOX), LIMITS)


def test_the_still_picture_before_an_animated_png_is_not_one_of_its_frames() -> None:
    still, frames = pictures.corners(200, 120), [pictures.photograph(200, 120, seed) for seed in (1, 2)]
    data = pictures.saved(
        still, "PNG", save_all=True, append_images=frames, duration=[50, 70], default_image=True, loop=0
    )

    made = render(data, ThumbnailSpec(BOX, format=OutputFormat.WEBP), LIMITS)

    assert told(made)[2] == [50, 70]
    first = Image.open(io.BytesIO(made.data or b"")).convert("RGB")
    expected = frames[0].resize((100, 60), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(first, int) - np.asarray(expected, int)).mean() < 10


def test_a_film_too_long_for_webp_stays_a_gif_or_is_refused() -> None:
    frames = [Image.new("RGB", (20_000, 10), colour) for colour in ("red", "blue")]
    data = pictures.saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)

    kept = render(data, ThumbnailSpec(Size(8192, 5), Fit.COVER, dpr=2), LIMITS)

    assert (kept.format, kept.width) == (Format.GIF, 16_384)
    with pytest.raises(TooManyPixels):
        render(data, ThumbnailSpec(None, format=OutputFormat.WEBP), LIMITS)


def test_a_film_that_would_fill_the_memory_is_refused() -> None:
    header = Header(Format.GIF, 1000, 1000, frames=200)

    with pytest.raises(TooManyPixels):
        render_known(b"", header, ThumbnailSpec(Size(900, 900)))
