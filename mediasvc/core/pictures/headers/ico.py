"""ICO: a directory of pictures, each a PNG or a bitmap without its file header; the largest is the one that
is shown.
"""

import struct
from dataclasses import dataclass, replace

from mediasvc.core.formats import Format
from mediasvc.core.pictures.headers import chunks
from mediasvc.core.pictures.headers.header import Header
from mediasvc.errors import Undecodable, UnsupportedMedia

_DIRECTORY, _ENTRY = struct.Struct("<HHH"), struct.Struct("<BBBBHHII")
_PNG = b"\x89PNG\r\n\x1a\n"
_BITMAP_HEADER_BYTES = 40
_DEPTHS = (1, 4, 8, 24, 32)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One picture of the directory. side bytes of 0 stand for 256."""

    width: int
    height: int
    depth: int
    start: int
    stop: int


def parse(data: bytes) -> Header:
    """The header of the largest picture. Raises Undecodable, UnsupportedMedia."""
    entry = _largest(data)
    stored = data[entry.start : entry.stop]
    if stored.startswith(_PNG):
        return replace(
            chunks.parse_png(stored), format=Format.ICO, orientation=1, frames=1, end=None, repair=None
        )
    if len(stored) < _BITMAP_HEADER_BYTES:
        raise Undecodable("the icon is truncated", reason="truncated")
    size, width, doubled, _, depth, compression = struct.unpack_from("<IiiHHI", stored)
    height = abs(doubled) // 2  # of the colours and of the mask below them
    if size != _BITMAP_HEADER_BYTES or compression not in (0, 3) or depth not in _DEPTHS:
        raise UnsupportedMedia("an icon encoding that is not allowed", reason="ico_compression")
    if width < 1:
        raise Undecodable("the image has no pixels", reason="empty")
    if _BITMAP_HEADER_BYTES + (width * depth + 31) // 32 * 4 * height > len(stored):
        raise Undecodable("the icon is truncated", reason="truncated")
    return Header(Format.ICO, width, height, has_alpha=True)


def alone(data: bytes) -> bytes:
    """The largest picture as a file of its own: a PNG, or an ICO that holds nothing else."""
    entry = _largest(data)
    stored = data[entry.start : entry.stop]
    if stored.startswith(_PNG):
        return stored
    width, doubled, _, depth = struct.unpack_from("<iiHH", stored, 4)
    start = _DIRECTORY.size + _ENTRY.size
    sides = (width & 0xFF, abs(doubled) // 2 & 0xFF)
    directory = _DIRECTORY.pack(0, 1, 1) + _ENTRY.pack(*sides, 0, 0, 1, depth, len(stored), start)
    return directory + stored


def is_png(data: bytes) -> bool:
    """Whether the largest picture is a PNG."""
    return data.startswith(_PNG, _largest(data).start)


def _largest(data: bytes) -> _Entry:
    """By area, then by colour depth, as browsers choose."""
    _, _, count = _DIRECTORY.unpack_from(data)
    entries = []
    for number in range(count):
        position = _DIRECTORY.size + _ENTRY.size * number
        if position + _ENTRY.size > len(data):
            raise Undecodable("the icon is truncated", reason="truncated")
        width, height, _, _, _, depth, size, start = _ENTRY.unpack_from(data, position)
        entries.append(_Entry(width or 256, height or 256, depth, start, start + size))
    if not entries:
        raise Undecodable("the icon has no image in it", reason="empty")
    largest = max(entries, key=lambda entry: (entry.width * entry.height, entry.depth))
    if largest.stop > len(data):
        raise Undecodable("the icon is truncated", reason="truncated")
    return largest
