"""PNG and WebP: formats whose size, frames and end are found by walking their chunks."""

import struct
import zlib
from collections.abc import Sequence

from mediasvc.core.formats import Format
from mediasvc.core.pictures.headers import exif
from mediasvc.core.pictures.headers.header import Header, Repair
from mediasvc.errors import Undecodable

_MAX_METADATA_BYTES = 16 << 20
_MAX_PROFILE_BYTES = 4 << 20
_MAX_CHUNKS = 200_000
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_IEND = b"\0\0\0\0IEND\xaeB`\x82"
_INFLATED_AT_ONCE = 1 << 16
_MAX_INFLATED = 1 << 29
_PNG_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})


def parse_png(data: bytes) -> Header:
    """Walks to IEND; checks the CRC of the header and of the end, the decoder those between.

    Raises Undecodable.

    A PNG without IEND is whole where its compressed data are: browsers show it.
    """
    if data[12:16] != b"IHDR" or len(data) < 33 or data[8:12] != b"\x00\x00\x00\x0d":
        raise Undecodable("the PNG has no header", reason="corrupt")
    width, height, depth, colour, _, _, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    _check_crc(data, 12, 17)
    if depth not in _PNG_DEPTHS.get(colour, ()) or interlace > 1:
        raise Undecodable("the PNG's header is damaged", reason="corrupt")
    has_alpha, frames, orientation, metadata, seen_data = colour in (4, 6), 1, 1, 0, False
    idat: list[tuple[int, int]] = []
    position = 33
    for _ in range(_MAX_CHUNKS):
        (length,) = struct.unpack_from(">I", data[position : position + 4].ljust(4, b"\xff"))
        kind, start, end = data[position + 4 : position + 8], position + 8, position + 12 + length
        if end > len(data):
            if frames > 1 or not _is_inflated_whole(data, idat, (width * 8 + 8) * height * 2):
                raise Undecodable("the PNG is truncated", reason="truncated")
            repair = Repair(position, _IEND)
            return Header(Format.PNG, width, height, 1, orientation, has_alpha, position, repair=repair)
        if kind == b"IDAT":
            seen_data = True
            idat.append((start, start + length))
        elif kind == b"IEND":
            if length or not seen_data:
                raise Undecodable("the PNG has no image in it", reason="corrupt")
            _check_crc(data, position + 4, 4)
            return Header(Format.PNG, width, height, frames, orientation, has_alpha, end)
        elif kind == b"tRNS":
            has_alpha = True
        elif kind == b"acTL" and length >= 8 and not seen_data:
            frames = max(1, int.from_bytes(data[start : start + 4], "big"))
        elif kind == b"eXIf":
            orientation = exif.orientation(data[start : start + length])
        elif kind == b"iCCP":
            _check_profile(data[start : start + length])
        if kind in _PNG_TEXT or kind in (b"eXIf", b"iCCP"):
            metadata += length
            if metadata > _MAX_METADATA_BYTES:
                raise Undecodable("the PNG carries more metadata than allowed", reason="metadata")
        position = end
    raise Undecodable("the PNG has more chunks than allowed", reason="chunks")


def _is_inflated_whole(data: bytes, idat: Sequence[tuple[int, int]], most: int) -> bool:
    """Whether the compressed data end by themselves, in at most so many bytes."""
    inflater, size = zlib.decompressobj(), 0
    try:
        for start, stop in idat:
            piece = data[start:stop]
            while piece and not inflater.eof:
                size += len(inflater.decompress(piece, _INFLATED_AT_ONCE))
                if size > min(most, _MAX_INFLATED):
                    return False
                piece = inflater.unconsumed_tail
    except zlib.error:
        return False
    return inflater.eof


def without_png_text(data: bytes) -> bytes:
    """The same picture without text chunks, which a decoder would otherwise inflate; the same object if it
    has none.
    """
    kept, position, run = [], 33, 0
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind, end = data[position + 4 : position + 8], position + 12 + length
        if kind in _PNG_TEXT:
            kept.append(data[run:position])
            run = end
        position = end
        if kind == b"IEND":
            break
    return data if not kept else b"".join((*kept, data[run:position]))


def _check_crc(data: bytes, start: int, length: int) -> None:
    if zlib.crc32(data[start : start + length]) != int.from_bytes(
        data[start + length : start + length + 4], "big"
    ):
        raise Undecodable("a checksum of the PNG is wrong", reason="corrupt")


def _check_profile(chunk: bytes) -> None:
    """Refuses a colour profile that inflates into a bomb; one that does not inflate is the decoder's to
    ignore.
    """
    name_end = chunk.find(b"\x00", 0, 81)
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(chunk[name_end + 2 :], _MAX_PROFILE_BYTES)
    except zlib.error:
        return
    if inflater.unconsumed_tail:
        raise Undecodable("the PNG's colour profile is larger than allowed", reason="metadata")


def parse_webp(data: bytes) -> Header:
    """Walks the chunks of the RIFF. Raises Undecodable."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data) or end < 20:
        raise Undecodable("the WebP is truncated", reason="truncated")
    width = height = frames = 0
    orientation, has_alpha, has_image, metadata = 1, False, False, 0
    position = 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > end:
            break
        kind, length = (
            data[position : position + 4],
            int.from_bytes(data[position + 4 : position + 8], "little"),
        )
        start = position + 8
        if start + length > end:
            raise Undecodable("the WebP is truncated", reason="truncated")
        if kind == b"VP8X" and length >= 10:
            has_alpha = bool(data[start] & 0x10)
            width, height = _u24(data, start + 4) + 1, _u24(data, start + 7) + 1
        elif kind in (b"VP8 ", b"VP8L"):
            has_image = True
            if not width:
                width, height, has_alpha = _webp_frame(data[start : start + 10], lossless=kind == b"VP8L")
        elif kind == b"ANMF" and length >= 24:
            has_image = True
            frames += 1
            if frames == 1:  # around a smaller one there is nothing, whatever the flag says
                has_alpha |= (_u24(data, start + 6) + 1, _u24(data, start + 9) + 1) != (width, height)
        elif kind == b"EXIF":
            orientation = exif.orientation(data[start : start + length])
        if kind in (b"EXIF", b"ICCP", b"XMP "):
            metadata += length
            if metadata > _MAX_METADATA_BYTES:
                raise Undecodable("the WebP carries more metadata than allowed", reason="metadata")
        position = start + length + (length & 1)
    else:
        raise Undecodable("the WebP has more chunks than allowed", reason="chunks")
    if not has_image:
        raise Undecodable("the WebP has no image in it", reason="empty")
    return Header(Format.WEBP, width, height, max(1, frames), orientation, has_alpha, end)


def webp_with_alpha(data: bytes) -> bytes:
    """The same WebP animation with the alpha flag of its VP8X chunk.

    libwebp cuts frames to what is not see-through, and leaves the flag out where nothing within that is;
    readers, our decoder among them, then show all around it black. Source: RFC 9649 section 2.7.
    """
    flags = len(b"RIFF....WEBPVP8X....")
    if data[flags] & 0x10:
        return data
    return data[:flags] + bytes((data[flags] | 0x10,)) + data[flags + 1 :]


def _webp_frame(head: bytes, *, lossless: bool) -> tuple[int, int, bool]:
    """(width, height, has_alpha) of a bare VP8 or VP8L bitstream.

    Source: RFC 9649 sections 2.5, 3.4 and RFC 6386.
    """
    if lossless:
        if len(head) < 5 or head[0] != 0x2F:
            raise Undecodable("the WebP's bitstream is damaged", reason="corrupt")
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if len(head) < 10 or head[3:6] != b"\x9d\x01\x2a":
        raise Undecodable("the WebP's bitstream is damaged", reason="corrupt")
    return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF, False


def _u24(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 3], "little")
