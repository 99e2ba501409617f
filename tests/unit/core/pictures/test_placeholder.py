"""Placeholders: a thumbhash and a dominant colour."""

import base64

import pytest
from PIL import Image

from mediasvc.core.picture import Limits
from mediasvc.core.pictures import placeholder
from mediasvc.core.pictures.thumbnail import placeholders
from mediasvc.core.pictures.whole import read_header
from tests.support import pictures

LIMITS = Limits()


def test_a_thumbhash_is_short_text_that_differs_between_pictures() -> None:
    hashes = {placeholder.thumbhash(pictures.photograph(300, 200, seed)) for seed in (1, 2, 3)}

    assert len(hashes) == 3
    assert all(15 <= len(base64.b64decode(found)) <= 30 for found in hashes)


def test_a_thumbhash_is_nearly_the_same_for_every_size_of_a_picture() -> None:
    large, small = (
        base64.b64decode(placeholder.thumbhash(picture))
        for picture in (pictures.photograph(600, 400), pictures.photograph(600, 400).reduce(4))
    )

    assert large[:3] == small[:3]


@pytest.mark.parametrize(
    ("colour", "text"), [((200, 20, 20), "#c81414"), ((0, 0, 0), "#000000"), ((255, 255, 255), "#ffffff")]
)
def test_the_dominant_colour_of_one_colour_is_that_colour(colour: tuple[int, int, int], text: str) -> None:
    assert placeholder.dominant(Image.new("RGB", (50, 40), colour)) == text
    assert placeholder.dominant(Image.new("L", (50, 40), 0)) == "#000000"


def test_the_dominant_colour_is_the_one_with_the_most_pixels() -> None:
    picture = Image.new("RGB", (90, 60), (20, 20, 200))
    picture.paste((200, 20, 20), (0, 0, 30, 60))

    assert placeholder.dominant(picture) == "#1414c8"


def test_many_shades_of_one_colour_are_more_than_each_of_many_others() -> None:
    picture = Image.radial_gradient("L").resize((32, 32)).convert("RGB").rotate(30)
    shades = bytes(part for n in range(32 * 20) for part in (20 + n % 5, 24 + n % 7, 200 + n % 11))
    blues = Image.frombytes("RGB", (32, 20), shades)
    picture.paste(blues, (0, 0))

    red, green, blue = bytes.fromhex(placeholder.dominant(picture)[1:])

    assert red < 30
    assert green < 40
    assert blue > 190


def test_what_is_see_through_counts_as_white() -> None:
    assert placeholder.dominant(Image.new("RGBA", (50, 40), (200, 20, 20, 0))) == "#ffffff"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "HEIC"])
def test_every_format_has_placeholders(format: str) -> None:
    data = pictures.saved(pictures.photograph(120, 80), format)

    found = placeholders(data, read_header(data, LIMITS))

    assert found is not None
    assert found[1].startswith("#")


def test_an_svg_has_none() -> None:
    data = b"<svg xmlns='http://www.w3.org/2000/svg'/>"

    assert placeholders(data, read_header(data, Limits(allow_svg=True))) is None


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3000, 2), (2, 3000)])
def test_the_smallest_and_the_longest_have_placeholders_too(width: int, height: int) -> None:
    picture = pictures.photograph(width, height)

    assert placeholder.thumbhash(picture)
    assert len(placeholder.dominant(picture)) == 7
