"""AVIF and HEIC: the boxes of ISO/IEC 23008-12 that state size, turning, alpha and frames."""

import struct
from collections.abc import Iterator
from typing import Literal

from mediasvc.core.formats import FORMATS, Format
from mediasvc.core.pictures.headers.header import Header, Repair
from mediasvc.errors import Undecodable

_BRANDS = {brand: form for form, info in FORMATS.items() for brand in info.brands}
_SEQUENCE = b"avis"
# Top-level boxes without which a picture is not whole; another one that is cut off is no part of the picture.
_NEEDED = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"idat"})
_MAX_BOXES = 4096
_MAX_META_BYTES = 4 << 20
_ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
_HEVC_ALPHA = b"urn:mpeg:hevc:2015:auxid:1"
# (quarter turns anticlockwise, mirror axis or None): EXIF orientation. Source: MIAF, `irot` before `imir`.
_TURNED = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


def branded(data: bytes) -> Format | None:
    """The format that the file type box names; the major brand counts before the compatible ones."""
    return next((_BRANDS[brand] for brand in _file_brands(data) if brand in _BRANDS), None)


def _file_brands(data: bytes) -> list[bytes]:
    length = int.from_bytes(data[:4], "big")
    names = data[8 : min(length, 264)]
    return [names[at : at + 4] for at in range(0, len(names) - 3, 4) if at != 4]


def parse(data: bytes, form: Literal[Format.AVIF, Format.HEIC]) -> Header:
    """form: as branded says. Raises Undecodable."""
    meta: tuple[int, int] | None = None
    movie: tuple[int, int] | None = None
    end = 0
    for name, start, stop in _boxes(data, 0, len(data), strict=True):
        if name == b"meta" and meta is None:
            meta = (start + 4, stop)
        elif name == b"moov" and movie is None:
            movie = (start, stop)
        elif not name.isalnum():
            break  # what follows the last box is no box
        end = stop
    if meta is None:
        raise Undecodable("the image states no properties", reason="corrupt")
    if meta[1] - meta[0] > _MAX_META_BYTES:
        raise Undecodable("the image carries more metadata than allowed", reason="metadata")
    width, height, turned = _primary_item(data, *meta, cropped=form is Format.HEIC)
    _check_items(data, *meta)
    described = data[meta[0] : meta[1]]
    is_sequence = form is Format.AVIF and _SEQUENCE in _file_brands(data)
    frames = _sample_count(data, *movie) if is_sequence and movie else 1
    has_alpha = _ALPHA in described or _HEVC_ALPHA in described
    # Decoders refuse what is no box behind the last one; browsers pass over it.
    repair = Repair(end, b"") if end < len(data) else None
    return Header(form, width, height, frames, turned, has_alpha, end, repair=repair)


def _boxes(data: bytes, start: int, end: int, *, strict: bool = False) -> Iterator[tuple[bytes, int, int]]:
    """(type, start of the payload, end) of the boxes between. strict: a needed one that reaches further is
    truncation.
    """
    position = start
    for _ in range(_MAX_BOXES):
        if position + 8 > end:
            return
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        payload = position + 8
        if length == 1:
            length, payload = int.from_bytes(data[payload : payload + 8], "big"), payload + 8
        elif length == 0:
            length = end - position
        stop = position + length
        if stop > end and strict and kind in _NEEDED:
            raise Undecodable("the image is truncated", reason="truncated")
        if stop < payload or stop > end:
            return
        yield kind, payload, stop
        position = stop
    raise Undecodable("the image has more boxes than allowed", reason="chunks")


def _primary_item(data: bytes, start: int, end: int, *, cropped: bool) -> tuple[int, int, int]:
    """(width, height, orientation) of the item that is shown. cropped: its decoder obeys the clean aperture."""  # noqa: E501
    primary = 0
    properties: list[tuple[bytes, int, int]] = []
    links: dict[int, list[int]] = {}
    try:
        for kind, inner, stop in _boxes(data, start, end):
            if kind == b"pitm":
                wide = data[inner] > 0
                (primary,) = struct.unpack_from(">I" if wide else ">H", data, inner + 4)
            elif kind == b"iprp":
                for part, part_start, part_stop in _boxes(data, inner, stop):
                    if part == b"ipco":
                        properties = list(_boxes(data, part_start, part_stop))
                    elif part == b"ipma":
                        links.update(_associations(data, part_start, part_stop))
    except (struct.error, IndexError) as error:
        raise Undecodable("the image's properties are damaged", reason="corrupt") from error
    width = height = turns = 0
    mirror: int | None = None
    for index in links.get(primary, ()):
        if not 1 <= index <= len(properties):
            continue
        kind, inner, stop = properties[index - 1]
        if kind == b"ispe" and stop - inner >= 12:
            width, height = struct.unpack_from(">II", data, inner + 4)
        elif kind == b"clap" and cropped and stop - inner >= 16:
            over, under, over_height, under_height = struct.unpack_from(">IIII", data, inner)
            if under and under_height:
                width, height = over // under, over_height // under_height
        elif kind == b"irot" and stop > inner:
            turns = data[inner] & 3
        elif kind == b"imir" and stop > inner:
            mirror = data[inner] & 1
    if width == 0 or height == 0:
        raise Undecodable("the image does not state its size", reason="corrupt")
    return width, height, _TURNED[turns, mirror]


def _check_items(data: bytes, start: int, end: int) -> None:
    """Every item that lies in this file must lie in it whole. Source: ISO/IEC 14496-12, `iloc`."""
    found = next(((inner, stop) for kind, inner, stop in _boxes(data, start, end) if kind == b"iloc"), None)
    if found is None:
        raise Undecodable("the image has no image in it", reason="empty")
    position = found[0]
    version, sizes, more = data[position], data[position + 4], data[position + 5]
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
    index_size = more & 15 if version else 0
    wide = 4 if version == 2 else 2

    def number(size: int) -> int:
        nonlocal position
        position += size
        if position > found[1]:
            raise Undecodable("the image's properties are damaged", reason="corrupt")
        return int.from_bytes(data[position - size : position], "big")

    position += 6
    for _ in range(min(number(wide), _MAX_BOXES)):
        number(wide)
        elsewhere = number(2) & 15 if version else 0
        elsewhere |= number(2)
        base = number(base_size)
        for _ in range(min(number(2), _MAX_BOXES)):
            number(index_size)
            offset = number(offset_size)
            if base + offset + number(length_size) > len(data) and not elsewhere:
                raise Undecodable("the image is truncated", reason="truncated")


def _associations(data: bytes, start: int, end: int) -> dict[int, list[int]]:
    version, flags = data[start], data[start + 3]
    (count,) = struct.unpack_from(">I", data, start + 4)
    position, links = start + 8, {}
    for _ in range(min(count, _MAX_BOXES)):
        (item,) = struct.unpack_from(">H" if version < 1 else ">I", data, position)
        position += 2 if version < 1 else 4
        number = data[position]
        position += 1
        indices = []
        for _ in range(number):
            if flags & 1:
                indices.append(int.from_bytes(data[position : position + 2], "big") & 0x7FFF)
                position += 2
            else:
                indices.append(data[position] & 0x7F)
                position += 1
        if position > end:
            raise Undecodable("the image's properties are damaged", reason="corrupt")
        links[item] = indices
    return links


def _sample_count(data: bytes, start: int, end: int) -> int:
    """Frames of the longest track."""
    most = 1
    for kind, track, track_end in _boxes(data, start, end):
        if kind != b"trak":
            continue
        found: tuple[int, int] | None = (track, track_end)
        for name in (b"mdia", b"minf", b"stbl", b"stsz"):
            found = (
                next(((at, to) for part, at, to in _boxes(data, *found) if part == name), None)
                if found
                else None
            )
        if found and found[1] - found[0] >= 12:
            most = max(most, int.from_bytes(data[found[0] + 8 : found[0] + 12], "big"))
    return most
