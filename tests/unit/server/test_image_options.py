"""What an image request asks for, by path and by query."""

from itertools import combinations

import pytest

from mediasvc.core.addresses import image_path, signing
from mediasvc.core.addresses.image_path import ImageOptions
from mediasvc.core.formats import FORMATS, NEGOTIABLE, Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit
from mediasvc.errors import BadSignature, InvalidRequest
from mediasvc.server.http.accept import Accepts, parse_accept
from mediasvc.server.routes.image_options import Guard, parse_path, parse_query

BOX = Size(600, 400)
NEITHER, WEBP, AVIF = frozenset[Format](), frozenset({Format.WEBP}), frozenset({Format.AVIF})
BOTH = WEBP | AVIF
OPEN = Guard((), unsigned_allowed=True)


@pytest.mark.parametrize(
    ("pairs", "options", "signed"),
    [
        ({}, ImageOptions(), "original"),
        ({"size": "600,400"}, ImageOptions(BOX), "600x400"),
        ({"size": "600x400"}, ImageOptions(BOX), "600x400"),
        ({"size": "600 × 400"}, ImageOptions(BOX), "600x400"),
        (
            {"dpr": "2", "quality": "70", "format": "avif", "fit": "cover", "size": "600*400"},
            ImageOptions(BOX, Fit.COVER, OutputFormat.AVIF, 70, 2),
            "600x400,cover,avif,q70,dpr2",
        ),
        ({"size": "", "fit": "", "format": "", "quality": "", "dpr": ""}, ImageOptions(), "original"),
        ({"format": "webp"}, ImageOptions(format=OutputFormat.WEBP), "original,webp"),
    ],
)
def test_the_query_form_stands_for_a_path_form(
    pairs: dict[str, str], options: ImageOptions, signed: str
) -> None:
    address = "https://news.example/ä.jpg?a=b"

    source = image_path.encode_source(address)
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
