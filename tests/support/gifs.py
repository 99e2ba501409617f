"""Writes GIFs block by block, for what no encoder writes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
PALETTE = bytes((220, 30, 30, 20, 150, 60, 0, 0, 0, 245, 245, 250))


@dataclass(frozen=True, slots=True)
class Part:
    """One frame. rows: palette indices 0 to 3. clear: the index that is see-through."""

    left: int
    top: int
    rows: Indices
    disposal: int = 0
    clear: int | None = None
    delay_cs: int = 10


def block(width: int, height: int, index: int) -> Indices:
    """A frame of one colour."""
    return np.full((height, width), index)


def gif(
    parts: Sequence[Part], screen: tuple[int, int], *, background: int = 1, loop: int | None = None
) -> bytes:
    """loop: repetitions; None shows the film once."""
    blocks = [b"GIF89a", struct.pack("<HHBBB", *screen, 0xF1, background, 0), PALETTE]
    if loop is not None:
        blocks.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", loop, 0))
    for part in parts:
        flags = part.disposal << 2 | (part.clear is not None)
        blocks.append(b"\x21\xf9\x04" + struct.pack("<BHBB", flags, part.delay_cs, part.clear or 0, 0))
        height, width = part.rows.shape
        blocks.append(b"\x2c" + struct.pack("<HHHHB", part.left, part.top, width, height, 0) + b"\x02")
        packed = _packed(part.rows)
        blocks += [bytes((len(piece),)) + piece for piece in _pieces(packed)]
        blocks.append(b"\0")
    return b"".join(blocks) + b";"


def _packed(rows: Indices) -> bytes:
    """LZW without a dictionary: a clear code before every second index keeps all codes at three bits."""
    bits, count, out = 0, 0, bytearray()
    codes = [
        code
        for number, index in enumerate(rows.ravel().tolist())
        for code in ((4, index), (index,))[number % 2]
    ]
    for code in [*codes, 5]:
        bits |= code << count
        count += 3
        while count >= 8:
            out.append(bits & 255)
            bits, count = bits >> 8, count - 8
    return bytes(out) + (bytes((bits,)) if count else b"")


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + 255] for at in range(0, len(data), 255)]
