"""Decides by decoding whether a picture is whole where its header alone does not say."""

import hashlib
import io

from PIL import JpegImagePlugin

from mediasvc.core.formats import Format
from mediasvc.core.picture import Limits, Picture
from mediasvc.core.pictures.headers import jpeg, sniff
from mediasvc.core.pictures.headers.header import Header
from mediasvc.errors import Undecodable

_FILLERS = (
    b"\x55" * 1024,
    b"\xaa" * 1024,
    # A file that is cut between two restart intervals ignores everything but the next restart marker.
    b"".join(bytes((0xFF, 0xD0 + number % 8)) + b"\x55" * 64 for number in range(16)),
)


def inspect(data: bytes | memoryview, limits: Limits) -> Picture:
    """The facts about a picture, from its bytes alone and never from a name or a header field that came with
    them.

    Raises UnsupportedMedia for everything that is not an allowed format.
    Raises Undecodable for truncated or damaged files.
    Raises TooManyPixels for more pixels or frames than allowed.
    """
    data = bytes(data) if isinstance(data, memoryview) else data
    return sniff.describe(read_header(data, limits), len(data))


def read_header(data: bytes, limits: Limits) -> Header:
    """As sniff.read_header; a JPEG without an end marker is decoded to see whether all its pixels are there."""  # noqa: E501
    header = sniff.read_header(data, limits)
    if header.format is Format.JPEG and header.repair is not None and not _has_all_pixels(data):
        raise Undecodable("the JPEG is truncated", reason="truncated")
    return header


def _has_all_pixels(data: bytes) -> bool:
    """Whether bytes that follow the file change nothing: then its decoder needs none of them.

    Decoders fill a truncated picture with grey and do not fail, so their success alone says nothing.
    """
    if not jpeg.has_all_scans(data):
        return False
    data = data.rstrip(b"\xff")
    try:
        pixels = _pixels(data)
        return all(_pixels(data + filler) == pixels for filler in _FILLERS)
    except MemoryError:
        raise
    except Exception:  # decoders raise every class on damaged bytes
        return False


def _pixels(data: bytes) -> bytes:
    """A digest of every pixel: bytes that follow an early cut change rows far from the last ones."""
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data + jpeg.END)) as picture:
        picture.load()
        return hashlib.sha256(picture.tobytes()).digest()
