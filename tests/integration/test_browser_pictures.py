"""Thumbnails show what Chromium shows of the same file: a screenshot of an <img> on a known background."""

import base64
import io
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Page

from mediasvc.core.formats import FORMATS, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Limits, ThumbnailSpec
from mediasvc.core.pictures import animation
from mediasvc.core.pictures.headers import sniff
from mediasvc.core.pictures.thumbnail import cut_for, render
from mediasvc.core.pictures.whole import read_header
from tests.support import pictures
from tests.support.chromium import open_browser
from tests.support.gifs import Part, block, gif

LIMITS = Limits()
GROUND = (255, 0, 255)
SCREEN = (60, 50)
DEADLINE_S = 20
PHOTO = pictures.photograph(60, 50)
_rows, _columns = np.mgrid[0:50, 0:60]
DISC = (_columns - 30) ** 2 + (_rows - 25) ** 2 < 18**2

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 200, "height": 200}, device_scale_factor=1)
        page.set_content(
            "<style>body{margin:0;background:rgb(255,0,255)} img{display:block}</style><img id=shown>"
        )
        yield page


def in_chromium(page: Page, data: bytes) -> Pixels:
    """What is on the screen now, as large as the picture is by itself."""
    form = sniff.kind(data)
    assert form is not None
    address = f"data:{FORMATS[form].media_type};base64,{base64.b64encode(data).decode()}"
    width, height = page.evaluate(
        """async (address) => {
            const shown = document.getElementById("shown");
            if (shown.src !== address) { shown.src = address; await shown.decode(); }
            return [shown.naturalWidth, shown.naturalHeight];
        }""",
        address,
    )
    return on_ground(
        Image.open(io.BytesIO(page.screenshot(clip={"x": 0, "y": 0, "width": width, "height": height})))
    )


def on_ground(picture: Image.Image) -> Pixels:
    ground = Image.new("RGBA", picture.size, GROUND)
    ground.alpha_composite(picture.convert("RGBA"))
    return np.asarray(ground.convert("RGB"))


def still(data: bytes) -> Pixels:
    """Our picture at full size."""
    made = render(data, ThumbnailSpec(None, format=OutputFormat.PNG), LIMITS)
    return on_ground(Image.open(io.BytesIO(made.data or data)))


def last_frame(data: bytes) -> Pixels:
    header = read_header(data, LIMITS)
    film = animation.read_film(data, header, cut_for(header, ThumbnailSpec(None)))
    return on_ground(film.frames[-1])


def check_same(page: Page, data: bytes, ours: Pixels, tolerance: int, rows: int | None = None) -> None:
    """Films are compared once Chromium has come to their end. rows: how many from the top are compared; None:
    all.
    """
    ends_at = time.monotonic() + DEADLINE_S
    while True:
        theirs = in_chromium(page, data)
        assert theirs.shape == ours.shape
        worst = int(np.abs(theirs.astype(int) - ours)[:rows].max())
        if worst <= tolerance or time.monotonic() > ends_at:
            break
    assert worst <= tolerance


def _gif(*parts: Part, background: int = 1) -> bytes:
    return gif(parts, SCREEN, background=background)


STILLS = {
    "small": _gif(Part(20, 10, block(20, 20, 0))),
    "small and see-through": _gif(
        Part(20, 10, np.where(np.arange(20) < 10, 0, 3) * np.ones((20, 1), int), 0, 3)
    ),
    "larger than the screen": _gif(Part(30, 20, block(50, 60, 0))),
    "background index": _gif(Part(0, 0, block(60, 25, 0)), background=2),
    "without a trailer": _gif(Part(0, 0, np.where(DISC, 1, 3), 0, 3))[:-1],
    "padded": _gif(Part(0, 0, np.where(DISC, 1, 3), 0, 3))[:-1] + bytes(40) + b";",
}
FILMS = {
    "small first": [Part(20, 20, block(20, 20, 0), 1), Part(0, 0, block(15, 15, 2), 1)],
    "to background": [Part(0, 0, block(60, 50, 0), 1), Part(10, 10, block(30, 30, 2), 2), Part(45, 30, block(9, 9, 3))],  # noqa: E501
    "to previous": [Part(0, 0, block(60, 50, 0), 1), Part(10, 10, block(30, 30, 2), 3), Part(45, 30, block(9, 9, 3))],  # noqa: E501
    "first to previous": [Part(0, 0, block(60, 50, 0), 3), Part(10, 10, block(30, 30, 2))],
    "all to background": [Part(0, 0, np.where(DISC, 1, 3), 2, 3), Part(5, 5, np.where(DISC, 0, 3), 2, 3), Part(9, 0, block(20, 9, 2), 2)],  # noqa: E501
    "black edges": [Part(0, 0, np.where(DISC, 1, 3), 2, 3), Part(0, 0, np.where(DISC, 0, 2), 2, 3)],
    "beyond the screen": [Part(0, 0, block(60, 50, 0), 1), Part(40, 30, block(60, 50, 1), 2), Part(5, 5, block(80, 4, 3))],  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("name", STILLS)
def test_a_gif_of_one_frame_looks_as_in_a_browser(page: Page, name: str) -> None:
    check_same(page, STILLS[name], still(STILLS[name]), tolerance=0)


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("background", [0, 2])
def test_every_frame_of_a_gif_looks_as_in_a_browser(page: Page, name: str, background: int) -> None:
    for count in range(2, len(FILMS[name]) + 1):
        data = _gif(*FILMS[name][:count], background=background)

        check_same(page, data, last_frame(data), tolerance=0)


@pytest.mark.parametrize("name", FILMS)
def test_the_still_of_a_film_is_its_first_frame_as_in_a_browser(page: Page, name: str) -> None:
    data = _gif(*FILMS[name])

    check_same(page, _gif(FILMS[name][0]), still(data), tolerance=0)


ICON = pictures.see_through(48, 48)
JPEG = pictures.saved(PHOTO, "JPEG", quality=90)
PNG = pictures.saved(pictures.see_through(60, 50), "PNG")
AVIF = pictures.saved(PHOTO, "AVIF", quality=80)
BMP = pictures.saved(PHOTO, "BMP")
ENDS = {
    "jpeg": (JPEG[:-2], 3),
    "progressive jpeg": (pictures.saved(PHOTO, "JPEG", progressive=True)[:-2], 3),
    "jpeg with a film": (JPEG[:-2] + b"\0\0\x01\x0aSEFH" + bytes(range(200)) * 20, 3),
    "png": (PNG[:-12], 0),
    "png with a line": (PNG[:-12] + b"<!-- cached -->", 0),
    "avif": (AVIF + b"\x00\x10\x00\x00skip" + bytes(20), 3),
    "avif with a line": (AVIF + b"\r\n", 3),
    "bmp": (BMP, 0),
    "icon of bitmaps": (pictures.saved(ICON, "ICO", sizes=[(16, 16), (48, 48)], bitmap_format="bmp"), 0),
    "icon of png": (pictures.saved(ICON, "ICO", sizes=[(16, 16), (48, 48)], bitmap_format="png"), 0),
    "bmp of os2": (BMP[:10] + b"\x1e\0\0\0\x10\0\0\0" + BMP[18:30] + BMP[54:], 0),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_picture_with_an_end_of_its_own_looks_as_in_a_browser(page: Page, name: str) -> None:
    data, tolerance = ENDS[name]
    # Chromium waits for bytes behind the last row of blocks and does not paint it where there are none.
    rows = 46 if name == "jpeg" else None

    check_same(page, data, still(data), tolerance, rows)


def test_thumbnails_of_a_film_show_the_scaled_frames(page: Page) -> None:
    data = _gif(*FILMS["to background"])
    spec = ThumbnailSpec(Size(30, 25))
    header = read_header(data, LIMITS)

    small = animation.read_film(data, header, cut_for(header, spec)).frames

    assert [frame.size for frame in small] == [(30, 25)] * 3
    assert small[2].getpixel((10, 10)) == (0, 0, 0, 0)
