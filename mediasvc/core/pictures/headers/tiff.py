"""TIFF (its first page) and BMP: formats whose header says where the pixels lie."""

import struct

from mediasvc.core.formats import Format
from mediasvc.core.pictures.headers.header import Header
from mediasvc.errors import Undecodable, UnsupportedMedia

_WIDTH, _HEIGHT, _COMPRESSION, _STRIPS, _ORIENTATION, _STRIP_BYTES, _TILES, _TILE_BYTES, _EXTRA = (
    256, 257, 259, 273, 274, 279, 324, 325, 338,
)  # fmt: skip
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_MAX_ENTRIES = 512
# One strip a row is the finest that writers make of 65535 rows.
_MAX_STRIPS = 70_000
_MAX_METADATA_BYTES = 16 << 20
# None, CCITT, LZW, old and new JPEG, deflate, packbits: what the decoder reads without a library of its own.
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946})


def parse_tiff(data: bytes) -> Header:
    """The first directory only; its strips or tiles must lie within the bytes.

    Raises Undecodable, UnsupportedMedia.
    """
    order = "<" if data[:2] == b"II" else ">"
    entries = _directory(data, order)
    width, height = _first(data, order, entries, _WIDTH), _first(data, order, entries, _HEIGHT)
    if width is None or height is None:
        raise Undecodable("the TIFF does not state its size", reason="corrupt")
    compression = _first(data, order, entries, _COMPRESSION) or 1
    if compression not in _COMPRESSIONS:
        raise UnsupportedMedia("a TIFF compression that is not allowed", reason="tiff_compression")
    offsets_tag, bytes_tag = (_TILES, _TILE_BYTES) if _TILES in entries else (_STRIPS, _STRIP_BYTES)
    offsets = _values(data, order, entries, offsets_tag)
    if not offsets:
        raise Undecodable("the TIFF has no image in it", reason="empty")
    sizes = _values(data, order, entries, bytes_tag) or (0,) * len(offsets)
    if any(offset + size > len(data) for offset, size in zip(offsets, sizes, strict=False)):
        raise Undecodable("the TIFF is truncated", reason="truncated")
    extra = _first(data, order, entries, _EXTRA)
    orientation = _first(data, order, entries, _ORIENTATION) or 1
    turned = orientation if 1 <= orientation <= 8 else 1
    return Header(Format.TIFF, width, height, orientation=turned, has_alpha=extra in (1, 2))


_Entries = dict[int, tuple[int, int, int]]


def _directory(data: bytes, order: str) -> _Entries:
    """tag: (type, count, offset of the values)."""
    try:
        (offset,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, offset)
        if count > _MAX_ENTRIES:
            raise Undecodable("the TIFF's directory is larger than allowed", reason="metadata")
        entries: _Entries = {}
        metadata = 0
        for position in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", data, position)
            size = _SIZES.get(kind, 1) * number
            metadata += size
            start = position + 8
            if size > 4:
                (start,) = struct.unpack_from(order + "I", data, position + 8)
            entries.setdefault(tag, (kind, number, start))
    except struct.error as error:
        raise Undecodable("the TIFF is truncated", reason="truncated") from error
    if metadata > _MAX_METADATA_BYTES:
        raise Undecodable("the TIFF carries more metadata than allowed", reason="metadata")
    return entries


def _values(data: bytes, order: str, entries: _Entries, tag: int) -> tuple[int, ...]:
    kind, count, start = entries.get(tag, (0, 0, 0))
    code = {1: "B", 3: "H", 4: "I"}.get(kind)
    if code is None:
        return ()
    if count > _MAX_STRIPS:
        raise Undecodable("the TIFF has more strips than allowed", reason="chunks")
    try:
        return struct.unpack_from(f"{order}{count}{code}", data, start)
    except struct.error as error:
        raise Undecodable("the TIFF is truncated", reason="truncated") from error


def _first(data: bytes, order: str, entries: _Entries, tag: int) -> int | None:
    if tag in entries and entries[tag][1] > 0:
        values = _values(data, order, {tag: (entries[tag][0], 1, entries[tag][2])}, tag)
        return values[0] if values else None
    return None


# Sizes of the header that decoders know, and those that OS/2 2.0 allows: its header may end after any field.
_WINDOWS_HEADERS = frozenset({40, 52, 56, 64, 108, 124})
_OS2_HEADERS = frozenset({*range(16, 64, 4), 42, 46})


def with_known_header(data: bytes) -> bytes:
    """The same BMP with a header of 40 bytes where decoders do not know the size of its own."""
    (pixels_at, size) = struct.unpack_from("<II", data, 10)
    if size not in _OS2_HEADERS or size in _WINDOWS_HEADERS:
        return data
    fields = data[18 : 14 + size].ljust(36, b"\0")[:36]
    return data[:10] + struct.pack("<II", pixels_at + 40 - size, 40) + fields + data[14 + size :]


def parse_bmp(data: bytes) -> Header:
    """Uncompressed and RLE pictures of the Windows and OS/2 headers. Raises Undecodable, UnsupportedMedia."""
    if len(data) < 26:
        raise UnsupportedMedia("not an image of an allowed format", reason="unknown")
    (pixels_at, header) = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    elif (header in _WINDOWS_HEADERS or header in _OS2_HEADERS) and len(data) >= 34:
        width, height, _, depth, compression = struct.unpack_from(
            "<iiHHI", data[: 14 + header].ljust(34, b"\0"), 18
        )
    else:
        raise UnsupportedMedia("not an image of an allowed format", reason="unknown")
    if compression not in (0, 1, 2, 3, 6) or depth not in (1, 4, 8, 16, 24, 32):
        raise UnsupportedMedia("a BMP encoding that is not allowed", reason="bmp_compression")
    height = abs(height)
    if width < 1:
        raise Undecodable("the image has no pixels", reason="empty")
    if compression in (0, 3, 6) and pixels_at + (width * depth + 31) // 32 * 4 * height > len(data):
        raise Undecodable("the BMP is truncated", reason="truncated")
    if pixels_at >= len(data):
        raise Undecodable("the BMP is truncated", reason="truncated")
    has_alpha = depth == 32 and compression in (3, 6) and header >= 56 and data[66:70] != b"\x00\x00\x00\x00"
    return Header(Format.BMP, width, height, has_alpha=has_alpha)
