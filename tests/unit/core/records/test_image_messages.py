"""What is said to an image process and what it may answer."""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, Limits, Picture, Rendered, ThumbnailSpec
from mediasvc.core.records.image_messages import (
    HEAD,
    PictureRequest,
    PictureResult,
    pack_request,
    pack_result,
    pack_settings,
    unpack_request,
    unpack_result,
    unpack_settings,
)
from mediasvc.errors import TooManyPixels, Undecodable


def parts(frame: bytes) -> tuple[bytes, bytes]:
    text, blobs = HEAD.unpack(frame[: HEAD.size])
    assert len(frame) == HEAD.size + text + blobs
    return frame[HEAD.size : HEAD.size + text], frame[HEAD.size + text :]


@pytest.mark.parametrize(
    "sent",
    [
        PictureRequest("/a/päth with\nbreaks", b"", (), placeholder=False),
        PictureRequest(
            None,
            b"\x00\xffpixels",
            (
                ThumbnailSpec(None),
                ThumbnailSpec(
                    Size(6, 4), Fit.ATTENTION, OutputFormat.AUTO, 70, 2, frozenset({Format.AVIF, Format.WEBP})
                ),
            ),
            placeholder=True,
        ),
    ],
)
def test_a_request_arrives_as_it_was_sent(sent: PictureRequest) -> None:
    assert unpack_request(*parts(pack_request(sent))) == sent


def test_an_outcome_arrives_as_it_was_sent() -> None:
    picture = Picture(Format.GIF, 3, 4, 500, frames=7, upright=False, has_alpha=True)
    made = (
        Rendered(b"one", Format.WEBP, 3, 4),
        Rendered(None, Format.GIF, 3, 4),
        Rendered(b"", Format.PNG, 1, 1),
    )

    back = unpack_result(*parts(pack_result(PictureResult(picture, None, made, "hash", "#aabbcc", 123))))

    assert back == PictureResult(picture, None, made, "hash", "#aabbcc", 123)


def test_errors_keep_their_class_words_and_reason() -> None:
    sent = PictureResult(
        None, TooManyPixels("too many", reason="pixels"), (Undecodable("no", reason="corrupt"),)
    )

    back = unpack_result(*parts(pack_result(sent)))

    assert type(back.error) is TooManyPixels
    assert (str(back.error), back.error.reason) == ("too many", "pixels")
    assert type(back.thumbnails[0]) is Undecodable


def test_settings_arrive_as_they_were_sent() -> None:
    limits = Limits(1, 2, allow_svg=True)

    assert unpack_settings(pack_settings(limits, 2.5, 100)) == (limits, 2.5, 100)


GOOD: dict[str, object] = {
    "picture": None,
    "error": None,
    "thumbnails": [],
    "thumbhash": None,
    "dominant": None,
    "rss_bytes": 1,
}
MADE = {"format": "png", "width": 1, "height": 1, "bytes": 3}


@pytest.mark.parametrize(
    ("message", "blobs"),
    [
        (None, b""),
        ([], b""),
        ({}, b""),
        (GOOD | {"rss_bytes": "many"}, b""),
        (GOOD | {"picture": ["png"]}, b""),
        (GOOD | {"picture": ["exe", 1, 1, 1, 1, True, True]}, b""),
        (GOOD | {"error": ["no_such_code", "", ""]}, b""),
        (GOOD | {"error": "boo"}, b""),
        (GOOD | {"thumbnails": [MADE]}, b""),
        (GOOD | {"thumbnails": [MADE]}, b"four"),
        (GOOD | {"thumbnails": [MADE | {"bytes": "3"}]}, b"abc"),
        (GOOD | {"thumbnails": [MADE | {"format": "html"}]}, b"abc"),
        (GOOD | {"thumbnails": 5}, b""),
        (GOOD, b"something nobody asked for"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(message: object, blobs: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unpack_result(json.dumps(message).encode(), blobs)


@pytest.mark.parametrize("text", [b"", b"\xff", b"{", b"[" * 200_000, b"cos\nsystem\n(S'true'\ntR."])
def test_an_answer_that_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unpack_result(text, b"")


SIDES = st.integers(1, 8192)
SPECS = st.builds(
    ThumbnailSpec,
    box=st.none() | st.builds(Size, SIDES, SIDES),
    fit=st.sampled_from(Fit),
    format=st.sampled_from(OutputFormat),
    quality=st.none() | st.integers(1, 100),
    dpr=st.integers(1, 4) | st.floats(1, 4),
    accepts=st.frozensets(st.sampled_from(Format)),
)
CHANGED = ThumbnailSpec(Size(7, 5), Fit.ATTENTION, OutputFormat.PNG, 33, 3, frozenset({Format.AVIF}))


@given(SPECS)
def test_any_spec_arrives_as_it_was_sent(spec: ThumbnailSpec) -> None:
    back = unpack_request(*parts(pack_request(PictureRequest(None, b"", (spec,), placeholder=False)))).specs[
        0
    ]

    assert back == spec
    # A StrEnum equals its text; the types must come back as well.
    assert [type(getattr(back, field.name)) for field in fields(back)] == [
        type(getattr(spec, field.name)) for field in fields(spec)
    ]


@pytest.mark.parametrize("name", [field.name for field in fields(ThumbnailSpec)])
def test_every_field_of_a_spec_arrives(name: str) -> None:
    spec = replace(ThumbnailSpec(None), **{name: getattr(CHANGED, name)})
    sent = pack_request(PictureRequest(None, b"", (spec,), placeholder=False))

    assert getattr(CHANGED, name) != getattr(ThumbnailSpec(None), name)
    assert unpack_request(*parts(sent)).specs == (spec,)


@given(SPECS, st.sampled_from([field.name for field in fields(ThumbnailSpec)]), SPECS)
def test_changing_any_field_of_a_spec_changes_its_key(
    spec: ThumbnailSpec, name: str, other: ThumbnailSpec
) -> None:
    changed = replace(spec, **{name: getattr(other, name)})

    # What a client accepts counts only where the format is left to it.
    ignored = name == "accepts" and spec.format is not OutputFormat.AUTO
    assert (changed.key() == spec.key()) == (changed == spec or ignored)


@pytest.mark.parametrize("name", [field.name for field in fields(ThumbnailSpec)])
def test_every_field_of_a_spec_is_in_its_key(name: str) -> None:
    plain = ThumbnailSpec(None, format=OutputFormat.AUTO)

    assert replace(plain, **{name: getattr(CHANGED, name)}).key() != plain.key()


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        (ThumbnailSpec(None), "v1:full:fit:keep:q:d1:"),
        (ThumbnailSpec(Size(600, 400), Fit.COVER, OutputFormat.WEBP, 80, 2), "v1:600x400:cover:webp:q80:d2:"),
        (
            ThumbnailSpec(
                Size(6, 4), format=OutputFormat.AUTO, accepts=frozenset({Format.WEBP, Format.AVIF})
            ),
            "v1:6x4:fit:auto:q:d1:avif+webp",
        ),
    ],
)
def test_keys_of_thumbnails_that_are_kept_do_not_change(spec: ThumbnailSpec, key: str) -> None:
    assert spec.key() == key
