"""Pictures whose pixels are all there are taken, whatever their end looks like; cut ones are not."""

import io
import struct

import pytest
from PIL import Image

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.picture import Limits, Picture, ThumbnailSpec
from mediasvc.core.pictures.headers import gif
from mediasvc.core.pictures.thumbnail import render
from mediasvc.core.pictures.whole import inspect
from mediasvc.errors import MediaError, TooManyPixels, Undecodable
from tests.support import gifs, pictures

LIMITS = Limits()
AS_PNG = ThumbnailSpec(None, format=OutputFormat.PNG)
PHOTO = pictures.photograph(96, 72)
JPEGS = {
    "baseline": pictures.saved(PHOTO, "JPEG", quality=85),
    "progressive": pictures.saved(PHOTO, "JPEG", quality=85, progressive=True),
    "restarts": pictures.saved(PHOTO, "JPEG", quality=85, restart_marker_rows=1),
    "grey": pictures.saved(PHOTO.convert("L"), "JPEG"),
    "cmyk": pictures.saved(PHOTO.convert("CMYK"), "JPEG"),
    "full colour": pictures.saved(PHOTO, "JPEG", subsampling=0),
}


def pixels(data: bytes) -> Image.Image:
    made = render(data, AS_PNG, LIMITS)
    with Image.open(io.BytesIO(made.data or data)) as picture:
        return picture.convert("RGBA")


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_jpeg_that_is_cut_early_is_cut(progressive: bool, part: float) -> None:
    whole = pictures.saved(pictures.photograph(1200, 800), "JPEG", progressive=progressive)

    with pytest.raises(Undecodable):
        inspect(whole[: int(len(whole) * part)], LIMITS)


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("cut", [1, 2])
def test_a_jpeg_without_an_end_marker_is_whole(kind: str, cut: int) -> None:
    whole = JPEGS[kind]

    assert inspect(whole[:-cut], LIMITS) == Picture(Format.JPEG, 96, 72, len(whole) - cut)
    assert pixels(whole[:-cut]).tobytes() == pixels(whole).tobytes()


def test_a_film_behind_a_jpeg_without_an_end_marker_changes_nothing() -> None:
    whole = JPEGS["baseline"]
    film = b"\0\0\x01\x0aSEFH" + b"\0\0\0\x18ftypmp42" + bytes(range(200)) * 40

    assert pixels(whole[:-2] + film).tobytes() == pixels(whole).tobytes()


@pytest.mark.parametrize("kind", JPEGS)
def test_a_cut_jpeg_is_taken_only_where_no_pixel_is_missing(kind: str) -> None:
    whole = JPEGS[kind]
    shown = pixels(whole).tobytes()

    for length in [*range(len(whole) // 2, len(whole) - 40, 97), *range(len(whole) - 40, len(whole) - 2)]:
        try:
            inspect(whole[:length], LIMITS)
        except Undecodable:
            continue
        assert pixels(whole[:length]).tobytes() == shown
        assert length > len(whole) - 16


@pytest.mark.parametrize(("kind", "marker"), [("progressive", b"\xff\xda"), ("progressive", b"\xff\xc4")])
def test_a_progressive_jpeg_that_lacks_scans_is_cut(kind: str, marker: bytes) -> None:
    whole = JPEGS[kind]

    with pytest.raises(Undecodable):
        inspect(whole[: whole.rfind(marker)], LIMITS)


def test_a_jpeg_that_ends_between_two_restart_intervals_is_cut() -> None:
    whole = JPEGS["restarts"]
    last = max(whole.rfind(bytes((0xFF, 0xD0 + number))) for number in range(8))

    for length in (last, last + 2):
        with pytest.raises(Undecodable):
            inspect(whole[:length], LIMITS)


@pytest.mark.parametrize("options", [{}, {"interlace": 1}])
@pytest.mark.parametrize("behind", [b"", b"\0", b"IEN", b"\0\0\0\0IEND", b"<!-- cached -->", bytes(64)])
def test_a_png_without_iend_is_whole(options: dict[str, int], behind: bytes) -> None:
    whole = pictures.saved(PHOTO, "PNG", **options)

    assert pixels(whole[:-12] + behind).tobytes() == pixels(whole).tobytes()


def test_a_png_whose_data_do_not_end_is_cut() -> None:
    whole = pictures.saved(PHOTO, "PNG")

    for cut in (13, 17, 21, 100, len(whole) // 2):
        with pytest.raises(Undecodable):
            inspect(whole[:-cut], LIMITS)


@pytest.mark.parametrize(
    "behind",
    [
        b"\r\n",
        b"garbage at the end\n" * 3,
        b"0123456789abcdef" * 2,
        b"\x00\x10\x00\x00skip" + bytes(20),
        bytes(64),
    ],
)
@pytest.mark.parametrize("frames", [1, 3])
def test_what_is_behind_the_last_box_of_an_avif_is_passed_over(behind: bytes, frames: int) -> None:
    others = [pictures.photograph(96, 72, seed) for seed in range(2, frames + 1)]
    whole = pictures.saved(PHOTO, "AVIF", save_all=frames > 1, append_images=others)

    assert inspect(whole + behind, LIMITS).frames == frames
    assert pixels(whole + behind).tobytes() == pixels(whole).tobytes()


def test_an_avif_whose_pixels_are_cut_off_is_cut() -> None:
    whole = pictures.saved(PHOTO, "AVIF")

    for cut in (1, 10, len(whole) // 3):
        with pytest.raises(Undecodable):
            inspect(whole[:-cut], LIMITS)


@pytest.mark.parametrize(
    "behind", [b"", b"\0", bytes(300), b"\0\0;", bytes(300) + b";", b";;", b"\r\n;", b"<html>"]
)
def test_a_gif_ends_after_its_last_whole_frame(behind: bytes) -> None:
    whole = pictures.animated_gif(60, 40, 3)

    found = inspect(whole[:-1] + behind, LIMITS)

    assert (found.width, found.height, found.frames) == (60, 40, 3)
    assert pixels(whole[:-1] + behind).tobytes() == pixels(whole).tobytes()


def test_a_gif_that_is_cut_within_a_frame_is_cut() -> None:
    whole = pictures.animated_gif(60, 40, 3)
    frames = list(gif.read_frames(whole))

    for length in (frames[2].stop - 1, frames[2].start + 30, frames[0].start + 30):
        with pytest.raises(Undecodable):
            inspect(whole[:length], LIMITS)


def test_the_canvas_of_a_gif_holds_its_first_frame_and_cuts_later_ones() -> None:
    first = gifs.Part(10, 0, gifs.block(40, 30, 0))
    later = gifs.Part(30, 20, gifs.block(80, 80, 1))

    enlarged = inspect(gifs.gif([first, later], (20, 20)), LIMITS)

    assert (enlarged.width, enlarged.height) == (50, 30)


def test_a_later_frame_that_is_too_large_to_decode_is_refused() -> None:
    small = Limits(max_pixels=1000)
    data = gifs.gif(
        [gifs.Part(0, 0, gifs.block(10, 10, 0)), gifs.Part(0, 0, gifs.block(50, 50, 1))], (10, 10)
    )

    with pytest.raises(TooManyPixels):
        inspect(data, small)


@pytest.mark.parametrize("size", [16, 20, 24, 36, 42, 46, 48, 60, 64])
def test_a_bmp_of_os2_is_read_whatever_the_size_of_its_header(size: int) -> None:
    plain = pictures.saved(PHOTO, "BMP")
    header = struct.pack("<I", size) + plain[18:54].ljust(size, b"\0")[: size - 4]
    data = plain[:10] + struct.pack("<I", 14 + size) + header + plain[54:]

    assert pixels(data).tobytes() == PHOTO.convert("RGBA").tobytes()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "AVIF", "BMP"])
def test_bytes_that_are_damaged_anywhere_raise_our_own_errors_only(format: str) -> None:
    whole = pictures.saved(pictures.photograph(24, 18), format)

    for position in range(0, len(whole), 7):
        damaged = whole[:position] + bytes((whole[position] ^ 0x5A,)) + whole[position + 1 : -2]
        try:
            render(damaged, AS_PNG, LIMITS)
        except MediaError:
            continue
