"""Composes the frames of a GIF as browsers do: on a see-through canvas, cut off at its edges."""

import io
import struct
from collections.abc import Iterator

from PIL import GifImagePlugin, Image

from mediasvc.core.pictures.headers import gif
from mediasvc.core.pictures.headers.gif import Frame


def composed(data: bytes, mode: str = "RGBA") -> Iterator[tuple[Image.Image, int]]:
    """(picture, duration in ms) of every frame as it is shown, each a picture of its own.

    mode: RGBA; or RGB for a GIF that is opaque everywhere.
    Disposal "to background" clears the frame's place to see-through whatever the background colour is. Raises
    what decoders raise on damaged bytes.
    """
    canvas: Image.Image | None = None
    for frame in gif.read_frames(data):
        if canvas is None:
            canvas = Image.new(mode, gif.canvas(data, frame))
        before = canvas.copy() if frame.disposal == gif.TO_PREVIOUS else None
        if frame.width and frame.height:
            _draw(canvas, frame, data)
        yield canvas.copy(), frame.duration_ms
        if before is not None:
            canvas = before
        elif frame.disposal == gif.TO_BACKGROUND:
            right, bottom = frame.left + frame.width, frame.top + frame.height
            canvas.paste((0,) * len(mode), (frame.left, frame.top, right, bottom))


def first_shown(data: bytes) -> Image.Image:
    """The first frame as it is shown. Raises as composed."""
    return next(composed(data))[0]


def _draw(canvas: Image.Image, frame: Frame, data: bytes) -> None:
    with GifImagePlugin.GifImageFile(io.BytesIO(_alone(frame, data))) as stored:
        pixels = stored.convert(canvas.mode if frame.clear is None else "RGBA")
    canvas.paste(pixels, (frame.left, frame.top), None if frame.clear is None else pixels)


def _alone(frame: Frame, data: bytes) -> bytes:
    """The frame as a GIF of its own, as large as itself."""
    control = b"" if frame.clear is None else b"\x21\xf9\x04\x01\0\0" + bytes((frame.clear, 0))
    return b"".join(
        (
            b"GIF89a",
            struct.pack("<HH", frame.width, frame.height),
            data[10:13],
            gif.global_palette(data),
            control,
            b"\x2c\0\0\0\0",
            data[frame.start + 5 : frame.stop],
            gif.TRAILER,
        )
    )
