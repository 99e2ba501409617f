"""Images made to harm: each is refused in bounded time and memory, and the service goes on."""

import asyncio
import random
import struct
import time
import zlib

import pytest
from PIL import Image

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Limits, Rendered, ThumbnailSpec
from mediasvc.effects.imaging.pool import ImageProcesses, ProcessedPicture
from mediasvc.errors import MediaError, Poisonous, TooManyPixels, Undecodable, UnsupportedMedia
from tests.support import pictures
from tests.support.picture_mutations import mutated, rss_bytes, seeds

LIMITS = Limits()
SMALL = ThumbnailSpec(Size(48, 48))
MUTATIONS = 2000
RSS_LIMIT_BYTES = 400 << 20


def pool(**options: object) -> ImageProcesses:
    chosen: dict[str, object] = {"processes": 2, "queue_depth": 4000, "timeout_s": 10, "limits": LIMITS}
    return ImageProcesses(**(chosen | options))  # type: ignore[arg-type]


async def test_two_thousand_mutated_pictures_harm_nothing() -> None:
    chance = random.Random(20261125)
    sources = seeds()
    hostile = [mutated(sources[index % len(sources)], chance) for index in range(MUTATIONS)]
    specs = [SMALL, ThumbnailSpec(Size(30, 30), format=OutputFormat.WEBP)]

    async with pool() as image_processes:
        answers = await asyncio.gather(
            *(image_processes.process(data, specs, placeholder=True) for data in hostile),
            return_exceptions=True,
        )

        bugs = [
            answer
            for answer in answers
            if isinstance(answer, BaseException) and not isinstance(answer, MediaError)
        ]
        assert bugs == []
        assert sum(isinstance(answer, Poisonous) for answer in answers) <= 5
        assert sum(isinstance(answer, ProcessedPicture) for answer in answers) > MUTATIONS // 20
        assert sum(isinstance(answer, MediaError) for answer in answers) > MUTATIONS // 4
        assert rss_bytes(image_processes.pids()) < RSS_LIMIT_BYTES
        assert (await image_processes.process(sources[0], [SMALL])).thumbnails


def _gif_flood() -> bytes:
    frame = b"\x2c\x00\x00\x00\x00\x94\x00\x94\x00\x00\x02\x02\x44\x01\x00"
    return b"GIF89a\x94\x00\x94\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff" + frame * 107_000 + b"\x3b"


def _many_scans() -> bytes:
    """A progressive JPEG that repeats its last scan two hundred thousand times."""
    data = pictures.saved(pictures.photograph(2000, 1500), "JPEG", progressive=True)
    start = data.rfind(b"\xff\xda")
    scan = data[start:-2]
    return data[:start] + scan * min(20_000, (24 << 20) // len(scan)) + data[-2:]


def _deep_filters() -> bytes:
    """50 megapixels in a few hundred kilobytes: within the limit, so it must be decoded within the time."""
    rows = zlib.compress(b"\x04" + bytes(3 * 8000), 9)
    body = zlib.compress((b"\x04" + bytes(3 * 8000)) * 6000, 9)
    assert rows
    return (
        pictures.png_header(8000, 6000) + pictures.png_chunk(b"IDAT", body) + pictures.png_chunk(b"IEND", b"")
    )


def _short_png() -> bytes:
    return (
        pictures.png_header(7000, 7000)
        + pictures.png_chunk(b"IDAT", zlib.compress(bytes(90)))
        + pictures.png_chunk(b"IEND", b"")
    )


def _long_idat() -> bytes:
    """A picture of one pixel whose data inflate to half a gigabyte."""
    deflate = zlib.compressobj(9)
    body = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(512)) + deflate.flush()
    return pictures.png_header(1, 1) + pictures.png_chunk(b"IDAT", body) + pictures.png_chunk(b"IEND", b"")


def _tiff_loop() -> bytes:
    """A directory whose tag of strips points at itself and claims four thousand million of them."""
    entries = [
        (256, 3, 1, 100),
        (257, 3, 1, 100),
        (259, 3, 1, 1),
        (273, 4, 0xFFFFFFFF, 8),
        (279, 4, 0xFFFFFFFF, 8),
    ]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries)) + body + struct.pack("<I", 8)


def _huge_profile() -> bytes:
    jpeg = pictures.saved(pictures.photograph(64, 48), "JPEG")
    part = b"ICC_PROFILE\x00\x01\xff" + bytes(65_500)
    segment = b"\xff\xe2" + struct.pack(">H", len(part) + 2) + part
    return jpeg[:2] + segment * 200 + jpeg[2:]


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (lambda: pictures.bomb_png(60_000, 60_000), (TooManyPixels,)),
        (_gif_flood, (TooManyPixels,)),
        (_short_png, (Undecodable,)),
        (_long_idat, (Rendered, Undecodable)),
        (_tiff_loop, (Undecodable,)),
        (_huge_profile, (Rendered, Undecodable)),
        (_deep_filters, (Rendered,)),
        (_many_scans, (Rendered, MediaError)),
        (lambda: b"GIF89a" + bytes(10 << 20), (Undecodable,)),
        (lambda: b"\xff\xd8\xff\xe0" + b"\x00\x02\xff\xe0" * (2 << 20), (Undecodable,)),
        (lambda: b"\xff\xd8" + b"\xff" * (16 << 20), (Undecodable, UnsupportedMedia)),
        (
            lambda: b"\x00\x00\x00\x10ftypavif\x00\x00\x00\x00" + b"\x00\x00\x00\x08free" * 500_000,
            (Undecodable,),
        ),
        (lambda: b"II*\x00\xff\xff\xff\xff" + bytes(100), (Undecodable,)),
        (lambda: b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(100), (Undecodable,)),
        (lambda: b"<svg" + b" " * (8 << 20), (UnsupportedMedia,)),
        (lambda: b"<!--" * (1 << 20), (UnsupportedMedia,)),
        (lambda: b"<!DOCTYPE svg [" + b"<!ENTITY a 'a'>" * 100_000 + b"]><svg/>", (UnsupportedMedia,)),
    ],
)
async def test_a_bomb_is_refused_or_done_within_bounds(make: object, kinds: tuple[type, ...]) -> None:
    assert callable(make)
    data: bytes = make()

    async with pool(processes=1, timeout_s=8) as image_processes:
        started = time.monotonic()
        answer = (await asyncio.gather(image_processes.process(data, [SMALL]), return_exceptions=True))[0]
        seconds = time.monotonic() - started

        outcome = answer if isinstance(answer, BaseException) else answer.thumbnails[0]
        assert isinstance(outcome, kinds), repr(outcome)
        assert not isinstance(outcome, Poisonous)
        assert seconds < 10
        assert rss_bytes(image_processes.pids()) < RSS_LIMIT_BYTES


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("payload", [b"<script>alert(1)</script>", b"PK\x03\x04<?php system($_GET[0]); ?>"])
async def test_what_is_smuggled_in_or_behind_a_picture_is_not_in_its_thumbnail(
    format: str, payload: bytes
) -> None:
    options = {"comment": payload} if format in ("JPEG", "GIF") else {}
    clean = pictures.saved(pictures.photograph(64, 48), format)
    data = pictures.saved(pictures.photograph(64, 48), format, **options) + payload

    async with pool(processes=1) as image_processes:
        done = await image_processes.process(
            data, [ThumbnailSpec(Size(48, 48), format=f) for f in (OutputFormat.KEEP, OutputFormat.PNG)]
        )
        itself = (await image_processes.process(clean + payload, [ThumbnailSpec(Size(600, 400))])).thumbnails[
            0
        ]

        assert isinstance(itself, Rendered)
        assert itself.data == clean
        for made in done.thumbnails:
            assert isinstance(made, Rendered)
            assert made.data is not None
            assert payload not in made.data


async def test_an_image_that_is_another_document_too_has_the_type_of_the_image() -> None:
    html = b"<html><script>alert(1)</script></html>"
    data = (
        pictures.saved(pictures.photograph(64, 48), "GIF")[:-1]
        + b"\x21\xfe"
        + bytes([len(html)])
        + html
        + b"\x00\x3b"
    )

    async with pool(processes=1) as image_processes:
        assert (await image_processes.process(data)).picture.format is Format.GIF
        with pytest.raises(UnsupportedMedia):
            await image_processes.process(html + data)


async def test_a_film_of_many_large_frames_is_done_within_its_time_or_ended() -> None:
    frames = [Image.new("P", (1200, 1000), index % 256) for index in range(180)]
    data = pictures.saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=20)

    async with pool(processes=1, timeout_s=6) as image_processes:
        started = time.monotonic()
        await asyncio.gather(
            image_processes.process(data, [ThumbnailSpec(Size(1000, 900))]), return_exceptions=True
        )

        assert time.monotonic() - started < 20  # six, and what a busy machine takes to start the next process
        assert (await image_processes.process(pictures.saved(frames[0], "PNG"), [SMALL])).thumbnails


async def test_broken_pictures_do_not_fill_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    tiff = bytearray(pictures.saved(pictures.photograph(64, 48).convert("1"), "TIFF", compression="group4"))
    tiff[20:200] = random.Random(1).randbytes(180)

    async with pool(processes=1) as image_processes:
        await asyncio.gather(
            *(image_processes.process(bytes(tiff), [SMALL]) for _ in range(20)), return_exceptions=True
        )

    assert capfd.readouterr().err == ""
