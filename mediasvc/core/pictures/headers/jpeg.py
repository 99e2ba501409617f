"""JPEG markers: size, orientation, and where the image truly ends."""

import re

from mediasvc.core.formats import Format
from mediasvc.core.pictures.headers import exif
from mediasvc.core.pictures.headers.header import Header, Repair
from mediasvc.errors import Undecodable, UnsupportedMedia

# SOF0 to SOF15 without DHT, JPG and DAC; 12-bit and lossless ones are the decoder's to refuse.
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
END = b"\xff\xd9"
_SOS, _EOI, _APP1 = 0xDA, 0xD9, 0xE1
# What follows entropy-coded data: a marker that is neither a stuffed byte, a restart, nor fill.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# EXIF, ICC, XMP and the like together; the largest of real cameras stay below (depth maps come after the
# image).
_MAX_METADATA_BYTES = 16 << 20
# Scans of one image: encoders write 10 to 12, and each costs a pass over all coefficients.
_MAX_SCANS = 256
_MAX_SEGMENTS = 20_000
_MAX_FILL_BYTES = 4096


def parse(data: bytes) -> Header:
    """Reads up to the first scan, and looks for the end marker behind it. Raises Undecodable.

    Without an end marker only decoding shows whether all pixels are there (pictures/whole.py).
    """
    turned = 1
    size: tuple[int, int] | None = None
    metadata, progressive = 0, False
    position = 2
    for _ in range(_MAX_SEGMENTS):
        marker, start, end = _segment(data, position)
        if marker == _SOS:
            break
        if marker == _EOI:
            raise Undecodable("the JPEG has no image in it", reason="empty")
        if marker in _FRAME_HEADERS:
            if end - start < 6:
                raise Undecodable("the JPEG's frame header is cut off", reason="corrupt")
            progressive = marker in _PROGRESSIVE
            size = (
                int.from_bytes(data[start + 3 : start + 5], "big"),
                int.from_bytes(data[start + 1 : start + 3], "big"),
            )
        elif marker == _APP1 and data[start : start + 6] == b"Exif\x00\x00" and turned == 1:
            turned = exif.orientation(data[start:end])
        if marker >= 0xE0:
            metadata += end - start
            if metadata > _MAX_METADATA_BYTES:
                raise Undecodable("the JPEG carries more metadata than allowed", reason="metadata")
        position = end
    else:
        raise Undecodable("the JPEG has more segments than allowed", reason="chunks")
    if size is None:
        raise Undecodable("the JPEG does not state its size", reason="corrupt")
    last = data.rfind(b"\xff\xd9", position)
    # In entropy-coded data FF is always followed by 00 or a restart, so what is counted are scans.
    if progressive and data.count(b"\xff\xda", position) > _MAX_SCANS:
        raise Undecodable("the JPEG has more scans than allowed", reason="scans")
    if last < 0:
        return Header(Format.JPEG, *size, orientation=turned, repair=Repair(len(data), END))
    image_end = None if last + 2 == len(data) else _end_of_image(data)
    return Header(Format.JPEG, *size, orientation=turned, end=image_end)


def _end_of_image(data: bytes) -> int | None:
    """Offset after the first image's end marker (an MPO's further images and any trailer lie behind it).

    None where damage hides it. Reads all of the entropy-coded data once, so only where something follows the
    last image.
    """
    try:
        return _find_end(data)
    except (Undecodable, UnsupportedMedia):
        return None


def _find_end(data: bytes) -> int:
    position, scans = 2, 0
    for _ in range(_MAX_SEGMENTS):
        marker, _, end = _segment(data, position)
        if marker == _EOI:
            return end
        if marker != _SOS:
            position = end
            continue
        scans += 1
        if scans > _MAX_SCANS:
            raise Undecodable("the JPEG has more scans than allowed", reason="scans")
        found = _MARKER.search(data, end)
        if found is None:
            raise Undecodable("the JPEG is truncated", reason="truncated")
        position = found.start()
    raise Undecodable("the JPEG has more segments than allowed", reason="chunks")


def has_all_scans(data: bytes) -> bool:
    """Whether the scans that the file begins hold every coefficient of every component at full precision."""
    missing: dict[int, set[int]] = {}
    position = 2
    try:
        for _ in range(_MAX_SEGMENTS):
            marker, start, end = _segment(data, position)
            if marker in _FRAME_HEADERS:
                missing = {data[start + 6 + 3 * number]: set(range(64)) for number in range(data[start + 5])}
            elif marker == _SOS:
                count = data[start]
                first, last, precision = data[start + 1 + 2 * count : start + 4 + 2 * count]
                if not precision & 15:
                    for number in range(count):
                        missing.get(data[start + 1 + 2 * number], set()).difference_update(
                            range(first, last + 1)
                        )
                found = _MARKER.search(data, end)
                end = len(data) if found is None else found.start()
            position = end
    except (Undecodable, UnsupportedMedia, IndexError, ValueError):
        pass  # the end of what can be read
    return bool(missing) and not any(missing.values())


def _segment(data: bytes, position: int) -> tuple[int, int, int]:
    """(marker, start of its payload, end) of the segment at or after this position; fill bytes are skipped."""  # noqa: E501
    found = data.find(b"\xff", position)
    # Encoders pad between segments now and then; decoders skip that, so it is not damage.
    for _ in range(_MAX_FILL_BYTES):
        if not 0 <= found < len(data) - 1 or data[found + 1] not in (0x00, 0xFF):
            break
        found = found + 1 if data[found + 1] == 0xFF else data.find(b"\xff", found + 2)
    if found < 0 or found + 1 >= len(data):
        raise Undecodable("the JPEG is truncated", reason="truncated")
    marker = data[found + 1]
    if marker == _EOI or marker in _STANDALONE:
        return marker, found + 2, found + 2
    start = found + 4
    length = int.from_bytes(data[found + 2 : start], "big")
    if start > len(data) or found + 2 + length > len(data):
        raise Undecodable("the JPEG is truncated", reason="truncated")
    if length < 2:
        raise Undecodable("the JPEG's segments are damaged", reason="corrupt")
    if marker == 0xD8 and position == 2:
        raise UnsupportedMedia("not an image of an allowed format", reason="unknown")
    return marker, start, found + 2 + length
