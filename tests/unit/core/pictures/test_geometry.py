"""Declared sizes as articles write them, and the arithmetic of fit and cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.geometry import (
    MAX_SIDE_PX,
    Cover,
    Size,
    box_text,
    cover_size,
    declared_size,
    fit_size,
    parse_box,
    parse_size,
)

sides = st.integers(1, 20_000)
sizes = st.builds(Size, sides, sides)
boxes = st.builds(Size, st.integers(1, MAX_SIDE_PX), st.integers(1, MAX_SIDE_PX))


@pytest.mark.parametrize(
    "text",
    [
        "600,400",
        "600x400",
        "600X400",
        "600×400",
        "600*400",
        " 600 , 400 ",
        "600 x 400",
        "0600,400",
        "600,\n400",
    ],
)
def test_a_size_is_read_in_each_of_its_spellings(text: str) -> None:
    assert parse_size(text) == Size(600, 400)


@pytest.mark.parametrize(
    "text",
    [
        "", "5", "large", "600", "600,", ",400", "600,400,2", "600;400", "600 400", "0,400", "600,0", "-600,400",  # noqa: E501
        "8193,10", "10,8193", "600px,400px", "600.5,400", "1e3,400", "६००,४००", "٦٠٠,٤٠٠", "600,400 !important",  # noqa: E501
        "9" * 5000 + ",1", "600，400", "\x00600,400",
    ],
)  # fmt: skip
def test_what_is_not_a_size_is_not_read_as_one(text: str) -> None:
    assert parse_size(text) is None


def test_the_bounds_of_a_side_are_1_and_8192() -> None:
    assert parse_size("1,8192") == Size(1, 8192)


@pytest.mark.parametrize(
    ("attributes", "expected", "warnings"),
    [
        ({}, None, 0),
        ({"data-size": "600,400"}, Size(600, 400), 0),
        ({"data-size": "600,400", "data-width": "1", "data-height": "2", "width": "3", "height": "4"}, Size(600, 400), 0),  # noqa: E501
        ({"data-width": "30", "data-height": "40", "width": "3", "height": "4"}, Size(30, 40), 0),
        ({"width": "3", "height": "4"}, Size(3, 4), 0),
        ({"width": "300px", "height": " 400 "}, Size(300, 400), 0),
        ({"width": "299.5", "height": "400.4px"}, Size(300, 400), 0),
        ({"data-size": "5", "width": "3", "height": "4"}, Size(3, 4), 1),
        ({"data-size": "large", "data-width": "30", "data-height": "40"}, Size(30, 40), 1),
        ({"data-size": "large"}, None, 1),
        ({"data-size": ""}, None, 1),
        ({"width": "100%", "height": "auto"}, None, 1),
        ({"width": "undefined", "height": "40"}, None, 1),
        ({"width": "600px !important", "height": "40"}, None, 1),
        ({"width": "0", "height": "40"}, None, 1),
        ({"width": "0.4", "height": "40"}, None, 1),
        ({"width": "8192", "height": "8192.5"}, None, 1),
        ({"width": "600"}, Size(600, 0), 0),
        ({"height": "600"}, Size(0, 600), 0),
        ({"width": "600", "height": "auto"}, Size(600, 0), 0),
        ({"width": "100%", "height": "40"}, Size(0, 40), 0),
        ({"width": "100%"}, None, 1),
        ({"data-size": "600x"}, Size(600, 0), 0),
        ({"data-size": "x400"}, Size(0, 400), 0),
        ({"w": "30", "h": "40"}, Size(30, 40), 0),
        ({"style": "color:red; width: 300px; height:200PX !important"}, Size(300, 200), 0),
        ({"style": "max-width:300px;width:300px"}, Size(300, 0), 0),
        ({"style": "width:100%;height:2em"}, None, 0),
        ({"data-width": "30", "width": "3", "height": "4"}, Size(30, 0), 0),
        ({"data-size": "5", "data-width": "x", "data-height": "y", "width": "a", "height": "b"}, None, 3),
    ],
)  # fmt: skip
def test_the_first_readable_kind_declares_the_size(
    attributes: dict[str, str], expected: Size | None, warnings: int
) -> None:
    size, said = declared_size(attributes)

    assert size == expected
    assert len(said) == warnings


def test_a_warning_quotes_the_value_shortly_and_on_one_line() -> None:
    _, (warning,) = declared_size({"data-size": "very\nlarge " * 100})

    assert "\n" not in warning
    assert len(warning) < 80


@pytest.mark.parametrize(
    ("source", "box", "dpr", "expected"),
    [
        (Size(1200, 800), Size(600, 400), 1, Size(600, 400)),
        (Size(1200, 800), Size(600, 400), 2, Size(1200, 800)),
        (Size(1200, 800), Size(600, 400), 3, Size(1200, 800)),
        (Size(300, 200), Size(600, 400), 1, Size(300, 200)),
        (Size(1000, 1000), Size(600, 400), 1, Size(400, 400)),
        (Size(1280, 853), Size(600, 400), 1, Size(600, 400)),
        (Size(853, 1280), Size(600, 400), 1, Size(267, 400)),
        (Size(10_000, 1), Size(600, 400), 1, Size(600, 1)),
        (Size(1, 10_000), Size(600, 400), 1, Size(1, 400)),
        (Size(3, 2), Size(2, 2), 1, Size(2, 1)),
        (Size(4, 3), Size(2, 2), 1, Size(2, 2)),
    ],
)
def test_fit_keeps_the_ratio_inside_the_box(source: Size, box: Size, dpr: int, expected: Size) -> None:
    assert fit_size(source, box, dpr) == expected


@given(source=sizes, box=boxes, dpr=st.integers(1, 4))
def test_fit_never_leaves_the_box_never_upscales_and_is_nearest(source: Size, box: Size, dpr: int) -> None:
    made = fit_size(source, box, dpr)

    assert 1 <= made.width <= min(source.width, box.width * dpr)
    assert 1 <= made.height <= min(source.height, box.height * dpr)
    scale = min(1.0, box.width * dpr / source.width, box.height * dpr / source.height)
    assert abs(made.width - max(1, source.width * scale)) <= 0.5 + 1e-6
    assert abs(made.height - max(1, source.height * scale)) <= 0.5 + 1e-6


@given(source=sizes, box=boxes)
def test_what_fits_already_stays_as_it_is(source: Size, box: Size) -> None:
    made = fit_size(source, box)

    assert fit_size(made, box) == made


@pytest.mark.parametrize(
    ("source", "box", "crop", "size"),
    [
        (Size(1200, 800), Size(600, 400), (0, 0, 1200, 800), Size(600, 400)),
        (Size(1000, 1000), Size(600, 400), (0, 166, 1000, 833), Size(600, 400)),
        (Size(2000, 500), Size(200, 200), (750, 0, 1250, 500), Size(200, 200)),
        (Size(300, 1000), Size(600, 400), (0, 400, 300, 600), Size(300, 200)),
        (Size(1, 1), Size(8192, 1), (0, 0, 1, 1), Size(1, 1)),
    ],
)
def test_cover_takes_the_centred_part_with_the_ratio_of_the_box(
    source: Size, box: Size, crop: tuple[int, int, int, int], size: Size
) -> None:
    cover = cover_size(source, box)

    assert (cover.left, cover.top, cover.right, cover.bottom) == crop
    assert cover.size == size


@given(source=sizes, box=boxes, dpr=st.integers(1, 4))
def test_cover_stays_inside_the_source_and_the_box(source: Size, box: Size, dpr: int) -> None:
    cover = cover_size(source, box, dpr)

    assert 0 <= cover.left < cover.right <= source.width
    assert 0 <= cover.top < cover.bottom <= source.height
    assert 1 <= cover.size.width <= min(cover.right - cover.left, box.width * dpr)
    assert 1 <= cover.size.height <= min(cover.bottom - cover.top, box.height * dpr)


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("600x", Size(600, 0)),
        ("x400", Size(0, 400)),
        ("600,", Size(600, 0)),
        (" ,400 ", Size(0, 400)),
        ("600x400", Size(600, 400)),
        *((text, None) for text in ("", "x", ",", "600", "0x", "x0", "8193x", "600x0", "-6x", "600xauto")),
    ],
)
def test_a_box_may_leave_one_side_open(text: str, box: Size | None) -> None:
    assert parse_box(text) == box
    if box is not None:
        assert parse_box(box_text(box)) == box


@pytest.mark.parametrize(
    ("box", "dpr", "expected"),
    [
        (Size(600, 0), 1, Size(600, 400)),
        (Size(0, 200), 1, Size(300, 200)),
        (Size(400, 0), 1.5, Size(600, 400)),
        (Size(0, 5000), 1, Size(1200, 800)),
        (Size(100, 100), 2.5, Size(250, 167)),
        (Size(1, 1), 1.4, Size(1, 1)),
    ],
)
def test_an_open_side_follows_the_ratio_and_decimal_dprs_round_to_whole_pixels(
    box: Size, dpr: float, expected: Size
) -> None:
    source = Size(1200, 800)

    assert fit_size(source, box, dpr) == expected
    if not (box.width and box.height):
        assert cover_size(source, box, dpr) == Cover(0, 0, 1200, 800, expected)
