"""Animated pictures frame by frame: timing and loop count survive, whatever format they come out in."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from mediasvc.core.formats import FORMATS, Format, OutputFormat
from mediasvc.core.picture import Picture, Rendered, ThumbnailSpec
from mediasvc.core.pictures import colour, decode, encode, gif, resample
from mediasvc.core.pictures.decode import Cut
from mediasvc.core.pictures.headers.chunks import webp_with_alpha
from mediasvc.core.pictures.headers.header import Header
from mediasvc.errors import TooManyPixels, Undecodable

# What a GIF can state.
_MAX_DURATION_MS = 655_350
# Frames are held scaled until they are encoded, four bytes a pixel.
_MAX_FILM_PIXELS = 128_000_000


@dataclass(frozen=True, slots=True)
class Film:
    """Scaled frames with how long each is shown. plays: times in all; 0 for ever."""

    frames: list[Image.Image]
    durations_ms: list[int]
    plays: int


def render(data: bytes, header: Header, cut: Cut, picture: Picture, spec: ThumbnailSpec) -> Rendered | None:
    """The animation as a whole; None where what was asked for is a still picture (JPEG, PNG by name).

    Raises Undecodable, and TooManyPixels for more scaled pixels than memory should hold.
    """
    formats = _formats(picture, spec)
    if not formats:
        return None
    if header.frames * cut.size[0] * cut.size[1] > _MAX_FILM_PIXELS:
        raise TooManyPixels("the animation would be larger than allowed", reason="film")
    film = read_film(data, header, cut)
    width, height = film.frames[0].size
    if len(film.frames) == 1:
        return None
    formats = [one for one in formats if encode.can_hold(one, film.frames[0])]
    if not formats:
        raise TooManyPixels(f"no animation holds a side of {max(width, height)} pixels here", reason="side")
    best: tuple[bytes, Format] | None = None
    for candidate in formats:
        encoded = write_film(film, candidate, spec.quality)
        if best is None or len(encoded) < len(best[0]):
            best = encoded, candidate
        area = width * height / (picture.width * picture.height)
        if candidate is Format.WEBP and len(encoded) < picture.bytes * area:
            # Scaling gives a GIF or PNG more colours and less repetition, never fewer bytes a pixel than it
            # had.
            break
    assert best is not None
    return Rendered(best[0], best[1], width, height)


def _formats(picture: Picture, spec: ThumbnailSpec) -> list[Format]:
    """Candidates, likeliest first; the smallest of them is taken. None: a still picture is wanted."""
    webp_named = Format.WEBP in spec.accepts
    match spec.format:
        case OutputFormat.KEEP if picture.format is Format.GIF:
            return [Format.WEBP, Format.GIF]
        case OutputFormat.AUTO if webp_named and picture.format in (Format.GIF, Format.PNG):
            return [Format.WEBP, picture.format]
        case OutputFormat.KEEP | OutputFormat.AUTO:
            return [picture.format]
        case _:
            named = Format(spec.format.value)
            return [named] if FORMATS[named].animates or named is picture.format else []


def read_film(data: bytes, header: Header, cut: Cut) -> Film:
    """Decodes and scales all frames. Raises Undecodable."""
    image = decode.open_picture(data, header)
    profile = image.info.get("icc_profile")
    frames: list[Image.Image] = []
    durations: list[int] = []
    try:
        for stored, duration_ms in _stored_frames(image, data, header):
            durations.append(duration_ms)
            whole = colour.to_plain_mode(stored)
            left, top, right, bottom = cut.box
            box = (left, top, min(right, whole.width), min(bottom, whole.height))
            frame = colour.to_srgb(resample.resize(whole, cut.size, box), profile)
            frames.append(decode.turn_upright(frame.copy() if frame is stored else frame, header))
    except EOFError as error:
        if not frames:
            raise Undecodable("the image is truncated or corrupt", reason="corrupt") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise every class there is on hostile bytes
        raise Undecodable("the image is truncated or corrupt", reason="corrupt") from error
    if header.format is Format.GIF and all(map(encode.is_opaque, frames)):
        frames = [frame.convert("RGB") for frame in frames]
    return Film(frames, durations, _plays(image, header.format))


def _stored_frames(image: Image.Image, data: bytes, header: Header) -> Iterator[tuple[Image.Image, int]]:
    """(picture, duration in ms) of every frame as it is shown, before scaling."""
    if header.format is Format.GIF:
        whole = data if header.repair is None else header.repair.of(data)
        yield from gif.composed(whole, "RGBA" if header.has_alpha else "RGB")
        return
    # An APNG may begin with a picture for those who show no films; it is not one of the frames.
    first = 1 if image.info.get("default_image") else 0
    for index in range(first, first + header.frames):
        image.seek(index)
        image.load()
        yield image, _duration_ms(image)


def write_film(film: Film, format: Format, quality: int | None) -> bytes:
    """GIF, WebP, PNG (APNG) or AVIF of all frames."""
    wanted = encode.DEFAULT_QUALITY if quality is None else quality
    options: dict[str, Any]  # Any: Pillow's save options are of many types
    match format:
        case Format.GIF:
            options = {"optimize": False, "disposal": 2 if _any_alpha(film) else 0}
            if film.plays != 1:
                options["loop"] = max(0, film.plays - 1)
        case Format.WEBP:
            options = {"quality": wanted, "method": 2, "loop": film.plays, "minimize_size": False}
        case Format.PNG:
            options = {"loop": film.plays, "compress_level": 6}
        case Format.AVIF:
            options = {"quality": encode.avif_quality(wanted), "speed": 9, "max_threads": 1}
        case _:
            raise ValueError(f"no animation is written as {format}")
    out = io.BytesIO()
    first, *others = film.frames
    for frame in film.frames:
        frame.info = {}
    first.save(out, format.value, save_all=True, append_images=others, duration=film.durations_ms, **options)
    if format is Format.WEBP and _any_alpha(film):
        return webp_with_alpha(out.getvalue())
    return out.getvalue()


def _any_alpha(film: Film) -> bool:
    return any(not encode.is_opaque(frame) for frame in film.frames)


def _duration_ms(image: Image.Image) -> int:
    return max(0, min(_MAX_DURATION_MS, round(float(image.info.get("duration", 0) or 0))))


def _plays(image: Image.Image, format: Format) -> int:
    """A GIF counts repetitions after the first showing, and without a count it is shown once; others count
    showings.
    """
    loop = image.info.get("loop")
    if format is Format.GIF:
        return 1 if loop is None else 0 if loop == 0 else int(loop) + 1
    return 0 if loop is None else int(loop)
