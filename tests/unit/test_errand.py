"""What is said to an image process and what it may answer."""

import json

import pytest

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, Limits, Picture, Rendered, ThumbnailSpec
from mediasvc.core.records.image_messages import (
    HEAD,
    Errand,
    Outcome,
    pack_errand,
    pack_outcome,
    pack_settings,
    unpack_errand,
    unpack_outcome,
    unpack_settings,
)
from mediasvc.errors import TooManyPixels, Undecodable


def parts(frame: bytes) -> tuple[bytes, bytes]:
    text, blobs = HEAD.unpack(frame[: HEAD.size])
    assert len(frame) == HEAD.size + text + blobs
    return frame[HEAD.size : HEAD.size + text], frame[HEAD.size + text :]


@pytest.mark.parametrize(
    "errand",
    [
        Errand("/a/päth with\nbreaks", b"", (), placeholder=False),
        Errand(
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
def test_an_errand_arrives_as_it_was_sent(errand: Errand) -> None:
    assert unpack_errand(*parts(pack_errand(errand))) == errand


def test_an_outcome_arrives_as_it_was_sent() -> None:
    picture = Picture(Format.GIF, 3, 4, 500, frames=7, upright=False, has_alpha=True)
    made = (
        Rendered(b"one", Format.WEBP, 3, 4),
        Rendered(None, Format.GIF, 3, 4),
        Rendered(b"", Format.PNG, 1, 1),
    )

    back = unpack_outcome(*parts(pack_outcome(Outcome(picture, None, made, "hash", "#aabbcc", 123))))

    assert back == Outcome(picture, None, made, "hash", "#aabbcc", 123)


def test_errors_keep_their_class_words_and_reason() -> None:
    sent = Outcome(None, TooManyPixels("too many", reason="pixels"), (Undecodable("no", reason="corrupt"),))

    back = unpack_outcome(*parts(pack_outcome(sent)))

    assert type(back.error) is TooManyPixels
    assert (str(back.error), back.error.reason) == ("too many", "pixels")
    assert type(back.renditions[0]) is Undecodable


def test_settings_arrive_as_they_were_sent() -> None:
    limits = Limits(1, 2, allow_svg=True)

    assert unpack_settings(pack_settings(limits, 2.5, 100)) == (limits, 2.5, 100)


GOOD: dict[str, object] = {
    "picture": None,
    "error": None,
    "renditions": [],
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
        (GOOD | {"renditions": [MADE]}, b""),
        (GOOD | {"renditions": [MADE]}, b"four"),
        (GOOD | {"renditions": [MADE | {"bytes": "3"}]}, b"abc"),
        (GOOD | {"renditions": [MADE | {"format": "html"}]}, b"abc"),
        (GOOD | {"renditions": 5}, b""),
        (GOOD, b"something nobody asked for"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(message: object, blobs: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unpack_outcome(json.dumps(message).encode(), blobs)


@pytest.mark.parametrize("text", [b"", b"\xff", b"{", b"[" * 200_000, b"cos\nsystem\n(S'true'\ntR."])
def test_an_answer_that_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unpack_outcome(text, b"")
