"""Icons: the largest picture is the one that is shown."""

import io
import struct

import pytest
from PIL import Image

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Limits, ThumbnailSpec
from mediasvc.core.pictures.thumbnail import render
from mediasvc.core.pictures.whole import inspect
from mediasvc.errors import MediaError, TooManyPixels, Undecodable
from tests.support import pictures

LIMITS = Limits()
ICON = pictures.see_through(64, 64)


def icon(kind: str, picture: Image.Image = ICON) -> bytes:
    return pictures.saved(picture, "ICO", sizes=[(16, 16), picture.size, (32, 32)], bitmap_format=kind)


@pytest.mark.parametrize("kind", ["bmp", "png"])
def test_the_largest_picture_of_an_icon_is_shown(kind: str) -> None:
    found = inspect(icon(kind), LIMITS)
    made = render(icon(kind), ThumbnailSpec(None, format=OutputFormat.PNG), LIMITS)

    assert (found.format, found.width, found.height, found.has_alpha) == (Format.ICO, 64, 64, True)
    assert made.data is not None
    with Image.open(io.BytesIO(made.data)) as shown:
        ours, theirs = Image.new("RGBA", (64, 64)), Image.new("RGBA", (64, 64))
        ours.alpha_composite(shown.convert("RGBA"))
        theirs.alpha_composite(ICON.convert("RGBA"))
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("kind", ["bmp", "png"])
def test_the_thumbnail_of_an_icon_keeps_what_is_see_through(kind: str) -> None:
    made = render(icon(kind), ThumbnailSpec(Size(20, 20)), LIMITS)

    assert (made.format, made.width, made.height) == (Format.PNG, 20, 20)


@pytest.mark.parametrize("kind", ["bmp", "png"])
def test_an_icon_that_is_cut_or_damaged_raises_our_own_errors_only(kind: str) -> None:
    whole = icon(kind)

    for length in range(12, len(whole), len(whole) // 50):
        with pytest.raises(MediaError):
            render(whole[:length], ThumbnailSpec(Size(20, 20)), LIMITS)
    for position in [*range(110), *range(110, len(whole), len(whole) // 50)]:
        damaged = whole[:position] + bytes((whole[position] ^ 0x41,)) + whole[position + 1 :]
        try:
            render(damaged, ThumbnailSpec(Size(20, 20)), LIMITS)
        except MediaError:
            continue


def test_a_png_that_is_larger_than_the_directory_says_counts_with_all_of_its_pixels() -> None:
    bomb = pictures.bomb_png(30_000, 30_000)
    data = struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(bomb), 22) + bomb

    with pytest.raises(TooManyPixels):
        inspect(data, LIMITS)


def test_an_icon_without_pictures_is_undecodable() -> None:
    data = struct.pack("<HHH", 0, 1, 3) + bytes(48)

    with pytest.raises(Undecodable):
        inspect(data, LIMITS)
