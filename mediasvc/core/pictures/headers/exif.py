"""The one fact that is taken from EXIF: which way up the picture stands."""

import struct

_ORIENTATION = 0x0112
# Real ones are within a few hundred bytes of the start; a block further away is not looked for.
_MAX_ENTRIES = 512


def orientation(block: bytes) -> int:
    """1 to 8, from a TIFF block (with or without the `Exif\\0\\0` before it); 1 where it says nothing
    readable.
    """
    block = block.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return 1
    (offset,) = struct.unpack_from(order + "I", block, 4)
    if offset + 2 > len(block):
        return 1
    (entries,) = struct.unpack_from(order + "H", block, offset)
    for position in range(offset + 2, offset + 2 + 12 * min(entries, _MAX_ENTRIES), 12):
        if position + 12 > len(block):
            return 1
        tag, kind = struct.unpack_from(order + "HH", block, position)
        if tag == _ORIENTATION:
            (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), block, position + 8)
            return value if 1 <= value <= 8 else 1
    return 1
