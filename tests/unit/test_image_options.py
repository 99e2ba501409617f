"""What an image request asks for, by path and by query."""

from itertools import combinations

import pytest

from mediasvc.core.addresses import signing
from mediasvc.core.formats import FORMATS, NEGOTIABLE, Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, ThumbnailSpec
from mediasvc.errors import BadSignature, InvalidRequest
from mediasvc.server.http.accept import Accepts, parse_accept
from mediasvc.server.routes.image_options import Guard, Options, parse_options, parse_path, parse_query

BOX = Size(600, 400)
NEITHER, WEBP, AVIF = frozenset[Format](), frozenset({Format.WEBP}), frozenset({Format.AVIF})
BOTH = WEBP | AVIF
OPEN = Guard((), unsigned_allowed=True)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("original", Options()),
        ("600x400", Options(BOX)),
        ("1x8192", Options(Size(1, 8192))),
        ("600x400,fit", Options(BOX, Fit.FIT)),
        ("600x400,cover,webp,q80,dpr2", Options(BOX, Fit.COVER, OutputFormat.WEBP, 80, 2)),
        ("600x400,dpr4,q1,keep", Options(BOX, None, OutputFormat.KEEP, 1, 4)),
        ("600x400,auto", Options(BOX, None, OutputFormat.AUTO)),
        ("600x400,q100", Options(BOX, quality=100)),
        ("original,webp,q50", Options(None, None, OutputFormat.WEBP, 50)),
        ("original,cover,dpr2", Options(fit=Fit.COVER, dpr=2)),
    ],
)
def test_options_are_read(text: str, options: Options) -> None:
    assert parse_options(text) == options


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "original,", "600x400,", "webp", "fit,600x400", "600", "600x", "x400", "0x400", "600x0", "-1x5",
        "600x400x2", "06x4", "600,400", "8193x1", "1x8193", "600X400", " 600x400", "600x400,fit,cover",
        "600x400,q0", "600x400,q101", "600x400,q", "600x400,q08", "600x400,dpr0", "600x400,dpr5", "600x400,dpr",
        "600x400,webp,webp", "600x400,gif", "600x400,JPEG", "600x400,original", "original,original",
        "٦٠٠x400", "600x400,q٨", "600x400\n",
    ],
)  # fmt: skip
def test_options_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_options(text)


@pytest.mark.parametrize(
    ("pairs", "options", "signed"),
    [
        ({}, Options(), "original"),
        ({"size": "600,400"}, Options(BOX), "600x400"),
        ({"size": "600x400"}, Options(BOX), "600x400"),
        ({"size": "600 × 400"}, Options(BOX), "600x400"),
        (
            {"dpr": "2", "quality": "70", "format": "avif", "fit": "cover", "size": "600*400"},
            Options(BOX, Fit.COVER, OutputFormat.AVIF, 70, 2),
            "600x400,cover,avif,q70,dpr2",
        ),
        ({"size": "", "fit": "", "format": "", "quality": "", "dpr": ""}, Options(), "original"),
        ({"format": "webp"}, Options(format=OutputFormat.WEBP), "original,webp"),
    ],
)
def test_the_query_form_stands_for_a_path_form(pairs: dict[str, str], options: Options, signed: str) -> None:
    address = "https://news.example/ä.jpg?a=b"

    source = signing.encode_source(address)
    signature = signing.sign([b"key"], f"/{signed}/{source}")
    guard = Guard((b"key",), unsigned_allowed=False)

    by_query = parse_query(guard, [("url", address), *pairs.items(), ("sig", signature)])
    by_path = parse_path(guard, signature, signed, source)

    assert by_query == by_path
    assert (by_query.address, by_query.options) == (address, options)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("url", "")],
        [("url", "http://a.example/"), ("url", "http://b.example/")],
        [("url", "http://a.example/"), ("width", "5")],
        [("url", "http://a.example/"), ("size", "600")],
        [("url", "http://a.example/"), ("size", "0,5")],
        [("url", "http://a.example/"), ("size", "5,5"), ("fit", "stretch")],
        [("url", "http://a.example/"), ("size", "5,5"), ("quality", "80.5")],
        [("url", "http://a.example/"), ("size", "5,5"), ("quality", "0")],
        [("url", "http://a.example/"), ("size", "5,5"), ("quality", "٥")],
        [("url", "http://a.example/"), ("size", "5,5"), ("dpr", "5")],
    ],
)
def test_queries_that_cannot_be_read_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidRequest):
        parse_query(OPEN, pairs)


def test_any_key_verifies_and_unsafe_only_where_it_is_allowed() -> None:
    keys = (b"new key", b"old key")
    strict, lenient = Guard(keys, unsigned_allowed=False), Guard(keys, unsigned_allowed=True)
    path = "/600x400/aHR0cDovL2EuZXhhbXBsZS8"
    signature = signing.sign(keys[1:], path)

    strict.check(path, signature)
    lenient.check(path, signature)
    lenient.check(path, "unsafe")
    lenient.check(path, "")
    for guard, other, given in (
        (strict, path, "unsafe"),
        (strict, path, ""),
        (strict, "/601x400/aHR0cDovL2EuZXhhbXBsZS8", signature),
        (lenient, "/601x400/aHR0cDovL2EuZXhhbXBsZS8", signature),
        (lenient, path, "UNSAFE"),
        (Guard((), unsigned_allowed=False), path, signature),
    ):
        with pytest.raises(BadSignature):
            guard.check(other, given)


def test_without_a_signature_not_even_the_source_is_read() -> None:
    with pytest.raises(BadSignature):
        parse_path(Guard((b"key",), unsigned_allowed=False), "unsafe", "banana", "!!")


@pytest.mark.parametrize(
    ("field", "accepts"),
    [
        (None, None),
        ("", NEITHER),
        ("*/*", NEITHER),
        ("image/*,*/*;q=0.8", NEITHER),
        ("image/webp", WEBP),
        ("IMAGE/WEBP ;q=0.5", WEBP),
        ("image/avif,image/webp,image/apng,image/*,*/*;q=0.8", BOTH),
        ("image/avif;q=0, image/webp;q=0.001", WEBP),
        ("image/avif;q=0.000", NEITHER),
        ("image/avif;level=1;q=1", AVIF),
        ("text/html,application/xhtml+xml", NEITHER),
        ("image/webpx", NEITHER),
    ],
)
def test_only_what_is_named_is_accepted(field: str | None, accepts: Accepts) -> None:
    assert parse_accept(field) == accepts


def test_equal_answers_are_one_object() -> None:
    assert parse_accept("image/webp, image/avif") is parse_accept("image/avif,image/webp,*/*")
    assert parse_accept("image/webp") is parse_accept("image/webp;q=0.9")


@pytest.mark.parametrize("count", range(len(NEGOTIABLE) + 1))
def test_any_number_of_negotiable_formats_is_distinguished(count: int) -> None:
    for chosen in combinations(NEGOTIABLE, count):
        field = ", ".join(FORMATS[form].media_type for form in chosen)

        assert parse_accept(field) == frozenset(chosen)


@pytest.mark.parametrize(
    ("options", "accepts", "spec"),
    [
        (Options(), BOTH, None),
        (Options(format=OutputFormat.KEEP, quality=5), BOTH, None),
        (Options(BOX), None, ThumbnailSpec(BOX)),
        (Options(BOX), NEITHER, ThumbnailSpec(BOX, format=OutputFormat.AUTO)),
        (
            Options(BOX),
            WEBP,
            ThumbnailSpec(BOX, format=OutputFormat.AUTO, accepts=frozenset({Format.WEBP})),
        ),
        (Options(BOX, format=OutputFormat.KEEP), BOTH, ThumbnailSpec(BOX)),
        (
            Options(BOX, Fit.COVER, OutputFormat.PNG, 9, 3),
            BOTH,
            ThumbnailSpec(BOX, Fit.COVER, OutputFormat.PNG, 9, 3),
        ),
        (Options(fit=Fit.COVER, dpr=2), BOTH, None),
        (
            Options(fit=Fit.COVER, format=OutputFormat.PNG, dpr=2),
            BOTH,
            ThumbnailSpec(None, format=OutputFormat.PNG),
        ),
        (
            Options(format=OutputFormat.AUTO),
            AVIF,
            ThumbnailSpec(None, format=OutputFormat.AUTO, accepts=frozenset({Format.AVIF})),
        ),
    ],
)
def test_options_and_accept_make_a_spec(
    options: Options, accepts: Accepts, spec: ThumbnailSpec | None
) -> None:
    assert options.spec(accepts) == spec


@pytest.mark.parametrize(
    ("options", "negotiates"),
    [
        (Options(), False),
        (Options(BOX), True),
        (Options(BOX, format=OutputFormat.AUTO), True),
        (Options(BOX, format=OutputFormat.WEBP), False),
        (Options(format=OutputFormat.AUTO), True),
    ],
)
def test_only_a_format_that_is_left_open_varies(options: Options, negotiates: bool) -> None:
    assert options.negotiates is negotiates
