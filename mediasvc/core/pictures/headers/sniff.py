"""Reads what image bytes say about themselves, without decoding a pixel."""

import struct
from dataclasses import replace
from importlib.util import find_spec
from typing import assert_never

from mediasvc.core.formats import FORMATS, Format
from mediasvc.core.picture import Limits, Picture
from mediasvc.core.pictures import svg
from mediasvc.core.pictures.headers import boxes, chunks, gif, ico, jpeg, tiff
from mediasvc.core.pictures.headers.header import Header
from mediasvc.errors import TooManyPixels, Undecodable, UnsupportedMedia

MAX_SIDE_PX = 65_535
# Enough of the beginning to tell the formats apart, and a sanitised SVG as well.
HEAD_BYTES = 512
# A frame costs time and memory of its own, however small: a flood of 1x1 frames is counted as if each had
# this many pixels.
_LEAST_FRAME_PIXELS = 16_384
_SIGNATURES = tuple((form, info.signature) for form, info in FORMATS.items() if info.signature is not None)
# What writers and transfers leave behind pictures, and nobody takes for a document.
_PADDING = b"\0\t\n\r "
_HEIC_READABLE = find_spec("pillow_heif") is not None


def describe(header: Header, size_bytes: int) -> Picture:
    """The facts of a header in the words of the rest of the service."""
    return Picture(
        format=header.format,
        width=header.shown.width,
        height=header.shown.height,
        bytes=size_bytes,
        frames=header.frames,
        upright=header.orientation == 1,
        has_alpha=header.has_alpha,
        tail=0 if header.end is None else size_bytes - header.end,
    )


def read_header(data: bytes, limits: Limits) -> Header:
    """What the bytes say about the picture, without decoding a pixel.

    Raises UnsupportedMedia, Undecodable, TooManyPixels.
    """
    try:
        header = _parse(data, limits)
    except (struct.error, IndexError) as error:  # a number that points beyond the bytes
        raise Undecodable("the image's header is damaged", reason="corrupt") from error
    if header.format is Format.SVG:
        return header
    if header.width < 1 or header.height < 1:
        raise Undecodable("the image has no pixels", reason="empty")
    pixels = header.width * header.height
    if pixels > limits.max_pixels:
        raise TooManyPixels(f"{header.width}x{header.height} is more pixels than allowed", reason="pixels")
    if max(header.width, header.height) > MAX_SIDE_PX:
        raise TooManyPixels(f"a side is longer than {MAX_SIDE_PX} pixels", reason="side")
    if header.largest_px > limits.max_pixels:
        raise TooManyPixels("a frame has more pixels than allowed", reason="pixels")
    if (
        header.frames > 1
        and header.frames * max(pixels, header.largest_px, _LEAST_FRAME_PIXELS) > limits.max_frames_pixels
    ):
        raise TooManyPixels("frames times pixels is more than allowed", reason="frames")
    if header.end is not None and not data[header.end :].strip(_PADDING):
        return replace(header, end=None)
    return header


def kind(data: bytes) -> Format | None:
    """The format that the first bytes name; None: of no allowed one. data: the whole, or its first
    HEAD_BYTES.
    """
    for form, signature in _SIGNATURES:
        if signature.match(data):
            return form
    if data[4:8] == b"ftyp":
        return boxes.branded(data)
    return Format.SVG if svg.looks_like_svg(data) else None


def _parse(data: bytes, limits: Limits) -> Header:
    form = kind(data)
    match form:
        case Format.JPEG:
            return jpeg.parse(data)
        case Format.PNG:
            return chunks.parse_png(data)
        case Format.GIF:
            return gif.parse(data)
        case Format.WEBP:
            return chunks.parse_webp(data)
        case Format.AVIF | Format.HEIC:
            if form is Format.HEIC and not _HEIC_READABLE:
                raise UnsupportedMedia("HEIC cannot be read here", reason="heic")
            return boxes.parse(data, form)
        case Format.BMP:
            return tiff.parse_bmp(data)
        case Format.ICO:
            return ico.parse(data)
        case Format.TIFF:
            return tiff.parse_tiff(data)
        case Format.SVG:
            if not limits.allow_svg:
                raise UnsupportedMedia("SVG is not allowed here", reason="svg")
            size = svg.stated_size(svg.sanitise(data))
            return Header(Format.SVG, size[0], size[1], has_alpha=True)
        case None:
            raise UnsupportedMedia("not an image of an allowed format", reason="unknown")
        case _:
            assert_never(form)
