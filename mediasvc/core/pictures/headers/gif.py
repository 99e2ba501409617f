"""GIF: the blocks that state size, frames, timing and end, read as browsers read them."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mediasvc.core.formats import Format
from mediasvc.core.pictures.headers.header import Header, Repair
from mediasvc.errors import Undecodable

TRAILER = b";"
_IMAGE, _EXTENSION, _GRAPHIC_CONTROL = 0x2C, 0x21, 0xF9
# Disposal methods of the specification: what becomes of a frame before the next one is drawn.
TO_BACKGROUND, TO_PREVIOUS = 2, 3


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it is stored.

    left, top, width, height: its place on the canvas, which it can exceed.
    start, stop: its descriptor and data in the file.
    disposal: what becomes of it before the next frame is drawn.
    clear: the palette index that is see-through; None where there is none.
    duration_ms: how long it is shown.
    """

    left: int
    top: int
    width: int
    height: int
    start: int
    stop: int
    disposal: int
    clear: int | None
    duration_ms: int


def parse(data: bytes) -> Header:
    """Raises Undecodable.

    The canvas is the logical screen, enlarged to hold the first frame; later frames are cut off at its edges.
    A file without a trailer, or with other bytes in the place of a block, ends after its last whole frame.
    """
    if len(data) < 14:
        raise Undecodable("the GIF is truncated", reason="truncated")
    frames, largest, end = 0, 0, 0
    width = height = 0
    has_alpha = is_uncovered = False
    for frame in read_frames(data):
        if frames == 0:
            width, height = canvas(data, frame)
            has_alpha = frame.clear is not None or not _covers(frame, width, height)
            is_uncovered = frame.disposal == TO_PREVIOUS
        frames += 1
        largest = max(largest, frame.width * frame.height)
        is_uncovered |= frame.disposal == TO_BACKGROUND
        end = frame.stop
    if frames == 0:
        raise Undecodable("the GIF has no image in it", reason="empty")
    has_alpha |= is_uncovered and frames > 1
    end = _after_extensions(data, end)
    if data[end : end + 1] == TRAILER:
        return Header(Format.GIF, width, height, frames, 1, has_alpha, end + 1, largest_px=largest)
    padding = len(data) - end - len(data[end:].lstrip(b"\0"))
    if data[end + padding : end + padding + 1] == TRAILER:
        repair, end = Repair(end, TRAILER), end + padding + 1
    else:
        repair = Repair(end, TRAILER)
    return Header(Format.GIF, width, height, frames, 1, has_alpha, end, largest_px=largest, repair=repair)


def canvas(data: bytes, first: Frame) -> tuple[int, int]:
    """Width and height of the picture as browsers show it."""
    width, height = struct.unpack_from("<HH", data, 6)
    return max(width, first.left + first.width), max(height, first.top + first.height)


def first_frame(data: bytes) -> Frame:
    """The frame that stills are made of. Raises Undecodable."""
    return next(read_frames(data))


def covers_canvas(data: bytes) -> bool:
    """Whether the first frame fills the whole canvas. Raises Undecodable."""
    first = first_frame(data)
    return _covers(first, *canvas(data, first))


def global_palette(data: bytes) -> bytes:
    """The bytes of the palette behind the screen descriptor; empty where there is none."""
    return data[13 : 13 + _palette_bytes(data[10])]


def read_frames(data: bytes) -> Iterator[Frame]:
    """All whole frames. Raises Undecodable where the data end within a frame, or without any."""
    position = 13 + _palette_bytes(data[10])
    disposal, clear, duration_ms = 0, None, 0
    frames = 0
    try:
        while position < len(data):
            block = data[position]
            if block == _IMAGE:
                left, top, width, height, flags = struct.unpack_from("<HHHHB", data, position + 1)
                stop = _after_sub_blocks(data, position + 10 + _palette_bytes(flags) + 1)
                yield Frame(left, top, width, height, position, stop, disposal, clear, duration_ms)
                frames += 1
                position, disposal, clear, duration_ms = stop, 0, None, 0
            elif block == _EXTENSION:
                if data[position + 1] == _GRAPHIC_CONTROL and data[position + 2] >= 4:
                    flags, delay, index = struct.unpack_from("<BHB", data, position + 3)
                    disposal = flags >> 2 & 7
                    clear = index if flags & 1 else None
                    duration_ms = delay * 10
                position = _after_sub_blocks(data, position + 2)
            elif frames or block == TRAILER[0]:
                return
            else:
                raise Undecodable("the GIF's blocks are damaged", reason="corrupt")
    except (IndexError, struct.error) as error:
        raise Undecodable("the GIF is truncated", reason="truncated") from error
    if not frames:
        raise Undecodable("the GIF is truncated", reason="truncated")


def _covers(frame: Frame, width: int, height: int) -> bool:
    return (frame.left, frame.top, frame.width, frame.height) == (0, 0, width, height)


def _after_extensions(data: bytes, position: int) -> int:
    """Where the extensions end that follow the last frame; the same position where they are not whole."""
    at = position
    try:
        while data[at] == _EXTENSION:
            at = _after_sub_blocks(data, at + 2)
    except IndexError:
        return position
    return at


def _after_sub_blocks(data: bytes, position: int) -> int:
    size = data[position]
    while size:
        position += size + 1
        size = data[position]
    return position + 1


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
