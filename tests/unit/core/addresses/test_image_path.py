"""The grammar of image paths: read, written and recognised by one module."""

import doctest
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.addresses import image_path
from mediasvc.core.addresses.image_path import (
    ImageOptions,
    decode_source,
    encode_source,
    is_image_path,
    parse_options,
)
from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, ThumbnailSpec
from mediasvc.errors import InvalidRequest

BOX = Size(600, 400)
NEITHER, WEBP, AVIF = frozenset[Format](), frozenset({Format.WEBP}), frozenset({Format.AVIF})
BOTH = WEBP | AVIF
SIDES = st.integers(1, 8192)
OPTIONS = st.builds(
    ImageOptions,
    size=st.none()
    | st.builds(Size, SIDES, SIDES)
    | st.builds(Size, SIDES, st.just(0))
    | st.builds(Size, st.just(0), SIDES),
    fit=st.none() | st.sampled_from(Fit),
    format=st.none() | st.sampled_from(OutputFormat),
    quality=st.none() | st.integers(1, 100),
    dpr=st.none() | st.integers(1000, 4000).map(lambda number: image_path.read_dpr(f"{number / 1000:g}")),
    expires=st.none() | st.integers(1, 10**12 - 1),
)
CHANGED = ImageOptions(Size(7, 5), Fit.ATTENTION, OutputFormat.PNG, 33, 2.5, 1767225600)
# Decides when a path is answered, but not what is answered.
NOT_OF_THE_SPEC = {"expires"}


def test_the_examples_in_the_module_are_true() -> None:
    tried = doctest.testmod(image_path)

    assert tried.attempted >= 10
    assert tried.failed == 0


@given(OPTIONS)
def test_any_options_survive_their_text(options: ImageOptions) -> None:
    assert parse_options(options.text()) == options


@given(OPTIONS, st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.booleans())
def test_every_path_that_is_written_is_recognised(options: ImageOptions, source: str, signed: bool) -> None:
    path = image_path.image_path(options, source, keys=(b"key",) if signed else ())

    assert is_image_path(path)
    assert is_image_path(path + "?v=1")
    assert decode_source(path.rpartition("/")[2]) == source


@pytest.mark.parametrize("name", [field.name for field in fields(ImageOptions)])
def test_every_option_is_part_of_the_path_and_of_the_spec(name: str) -> None:
    plain = ImageOptions(Size(6, 4))
    changed = replace(plain, **{name: getattr(CHANGED, name)})

    assert changed.text() != plain.text()
    assert parse_options(changed.text()) == changed
    assert (changed.spec(None) == plain.spec(None)) is (name in NOT_OF_THE_SPEC)


@pytest.mark.parametrize(
    "address",
    [
        "/img/logo.png", "/img/unsafe/logo.png", "/img/unsafe/original/a.b", "/img/unsafe/wide/aHR0cDov",
        "/img/short/original/aHR0cDov", "/image/unsafe/original/aHR0cDov", "img/unsafe/original/aHR0cDov",
        "/img/unsafe/600x400,COVER/aHR0cDov", "/img/unsafe/original/aHR0cDov/more",
    ],
)  # fmt: skip
def test_other_addresses_are_not_taken_for_image_paths(address: str) -> None:
    assert not is_image_path(address)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("original", ImageOptions()),
        ("600x400", ImageOptions(BOX)),
        ("1x8192", ImageOptions(Size(1, 8192))),
        ("600x400,fit", ImageOptions(BOX, Fit.FIT)),
        ("600x400,cover,webp,q80,dpr2", ImageOptions(BOX, Fit.COVER, OutputFormat.WEBP, 80, 2)),
        ("600x400,dpr4,q1,keep", ImageOptions(BOX, None, OutputFormat.KEEP, 1, 4)),
        ("600x400,auto", ImageOptions(BOX, None, OutputFormat.AUTO)),
        ("600x400,q100", ImageOptions(BOX, quality=100)),
        ("original,webp,q50", ImageOptions(None, None, OutputFormat.WEBP, 50)),
        ("original,cover,dpr2", ImageOptions(fit=Fit.COVER, dpr=2)),
        ("600x", ImageOptions(Size(600, 0))),
        ("x400,cover", ImageOptions(Size(0, 400), Fit.COVER)),
        ("600x400,jpg", ImageOptions(BOX, None, OutputFormat.JPEG)),
        ("600x400,dpr1.5", ImageOptions(BOX, dpr=1.5)),
        ("600x400,dpr2.0", ImageOptions(BOX, dpr=2)),
        ("original,exp1767225600", ImageOptions(expires=1767225600)),
    ],
)
def test_options_are_read(text: str, options: ImageOptions) -> None:
    assert parse_options(text) == options


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "original,", "600x400,", "webp", "fit,600x400", "600", "x", "0x", "x0", "x8193", "0x400", "600x0", "-1x5",  # noqa: E501
        "600x400x2", "06x4", "600,400", "8193x1", "1x8193", "600X400", " 600x400", "600x400,fit,cover",
        "600x400,q0", "600x400,q101", "600x400,q", "600x400,q08", "600x400,dpr0", "600x400,dpr5", "600x400,dpr", "600x400,dpr4.1", "600x400,dpr0.5", "600x400,dpr1.", "600x400,dpr1.2345",  # noqa: E501
        "600x400,exp", "600x400,exp0", "600x400,exp-1", "600x400,exp1.5", "600x400,exp1,exp2", "600x400,jpg,jpeg",  # noqa: E501
        "600x400,webp,webp", "600x400,gif", "600x400,JPEG", "600x400,original", "original,original",
        "٦٠٠x400", "600x400,q٨", "600x400\n",
    ],
)  # fmt: skip
def test_options_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_options(text)


@pytest.mark.parametrize(
    ("options", "accepts", "spec"),
    [
        (ImageOptions(), BOTH, None),
        (ImageOptions(format=OutputFormat.KEEP, quality=5), BOTH, None),
        (ImageOptions(BOX), None, ThumbnailSpec(BOX)),
        (ImageOptions(BOX), NEITHER, ThumbnailSpec(BOX, format=OutputFormat.AUTO)),
        (
            ImageOptions(BOX),
            WEBP,
            ThumbnailSpec(BOX, format=OutputFormat.AUTO, accepts=frozenset({Format.WEBP})),
        ),
        (ImageOptions(BOX, format=OutputFormat.KEEP), BOTH, ThumbnailSpec(BOX)),
        (
            ImageOptions(BOX, Fit.COVER, OutputFormat.PNG, 9, 3),
            BOTH,
            ThumbnailSpec(BOX, Fit.COVER, OutputFormat.PNG, 9, 3),
        ),
        (ImageOptions(fit=Fit.COVER, dpr=2), BOTH, None),
        (
            ImageOptions(fit=Fit.COVER, format=OutputFormat.PNG, dpr=2),
            BOTH,
            ThumbnailSpec(None, format=OutputFormat.PNG),
        ),
        (
            ImageOptions(format=OutputFormat.AUTO),
            AVIF,
            ThumbnailSpec(None, format=OutputFormat.AUTO, accepts=frozenset({Format.AVIF})),
        ),
    ],
)
def test_options_and_accept_make_a_spec(
    options: ImageOptions, accepts: frozenset[Format] | None, spec: ThumbnailSpec | None
) -> None:
    assert options.spec(accepts) == spec


@pytest.mark.parametrize(
    ("options", "negotiates"),
    [
        (ImageOptions(), False),
        (ImageOptions(BOX), True),
        (ImageOptions(BOX, format=OutputFormat.AUTO), True),
        (ImageOptions(BOX, format=OutputFormat.WEBP), False),
        (ImageOptions(format=OutputFormat.AUTO), True),
    ],
)
def test_only_a_format_that_is_left_open_varies(options: ImageOptions, negotiates: bool) -> None:
    assert options.negotiates is negotiates


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "original"),
        ({"size": Size(600, 400)}, "600x400"),
        ({"size": Size(600, 400), "fit": Fit.COVER}, "600x400,cover"),
        ({"size": Size(600, 400), "format": OutputFormat.WEBP}, "600x400,webp"),
        (
            {"size": Size(6, 4), "fit": Fit.FIT, "format": OutputFormat.AUTO, "quality": 80, "dpr": 2},
            "6x4,fit,auto,q80,dpr2",
        ),
        ({"size": Size(6, 4), "quality": 1}, "6x4,q1"),
        ({"size": Size(6, 4), "dpr": 1}, "6x4,dpr1"),
        ({"format": OutputFormat.PNG}, "original,png"),
    ],
)
def test_a_query_stands_for_one_path(options: dict[str, Any], expected: str) -> None:
    path = ImageOptions(**options).signed_text("http://ex.com/a.jpg")

    assert path == f"/{expected}/aHR0cDovL2V4LmNvbS9hLmpwZw"


@given(st.text(min_size=1))
def test_an_address_survives_its_encoding(address: str) -> None:
    encoded = encode_source(address)

    assert decode_source(encoded) == address
    assert "=" not in encoded


def test_padding_is_tolerated() -> None:
    assert decode_source("YQ==") == "a"


@pytest.mark.parametrize("text", ["", "=", "Y", "YQ===", "Y Q", "YQ+", "YQ/a", "Yé", "_w", "YQ=a", "a\n"])
def test_what_is_no_base64url_of_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_source(text)


def test_an_address_that_is_no_unicode_cannot_be_encoded() -> None:
    with pytest.raises(InvalidRequest):
        encode_source("http://ex.com/\udc80")
