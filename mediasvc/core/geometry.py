"""Declared sizes as articles write them, and from source size and box to output size."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_SIDE_PX = 8192

_PAIR = re.compile(r"([0-9]{1,9})\s*[,x×*]\s*([0-9]{1,9})", re.ASCII | re.IGNORECASE)
_BOX = re.compile(r"([0-9]{0,9})\s*[,x×*]\s*([0-9]{0,9})", re.ASCII | re.IGNORECASE)
_LENGTH = re.compile(r"([0-9]{1,9})(?:\.([0-9])[0-9]{0,9})?\s*(?:px)?", re.ASCII | re.IGNORECASE)
_OPEN = re.compile(r"|auto|[0-9]{1,4}(?:\.[0-9]{1,9})?\s*%", re.ASCII | re.IGNORECASE)
_STYLE_SIDE = re.compile(r"(?:\A|;)\s*(width|height)\s*:\s*([^;]{1,60})", re.IGNORECASE)
# What HTML and CSS call white space, and the no-break and ideographic spaces that typesetters leave behind.
_BLANKS = " \t\r\n\f\u00a0\u3000"


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels, each at least 1; in a box, one of them may be 0: open, the picture's ratio
    decides.
    """

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Cover:
    """What `cover` keeps of a source and how large that becomes.

    left, top, right, bottom: whole source pixels, right and bottom exclusive.
    """

    left: int
    top: int
    right: int
    bottom: int
    size: Size


def parse_size(text: str) -> Size | None:
    """A box of two whole numbers: `600,400`, `600x400`, `600×400`, `600*400`, blanks allowed.

    None if it is written otherwise, or a side is not within 1 to MAX_SIDE_PX.
    """
    match = _PAIR.fullmatch(text.strip(_BLANKS))
    return None if match is None else _size(int(match[1]), int(match[2]))


def parse_box(text: str) -> Size | None:
    """As parse_size, and one side may be left out: `600x`, `,400`. It is 0 then."""
    match = _BOX.fullmatch(text.strip(_BLANKS))
    if match is None or not (match[1] or match[2]):
        return None
    sides = Size(int(match[1] or 0), int(match[2] or 0))
    is_within = all(1 <= int(side) <= MAX_SIDE_PX for side in match.groups() if side)
    return sides if is_within else None


def box_text(box: Size) -> str:
    """A box as paths and queries write it: `600x400`, `600x`, `x400`."""
    return f"{box.width or ''}x{box.height or ''}"


def declared_size(attributes: Mapping[str, str]) -> tuple[Size | None, tuple[str, ...]]:
    """The box that an image tag states, and what was passed over while looking for it.

    attributes: names in lower case, values decoded.
    The first readable kind wins: `data-size`; `data-width`, `data-height`; `width`, `height`; `w`, `h`;
    `style`.
    One side may be missing, `auto` or a percentage. A kind of which nothing is stated gives no warning.
    """
    warnings: list[str] = []
    stated = attributes.get("data-size")
    if stated is not None:
        size = parse_box(stated)
        if size is not None:
            return size, ()
        warnings.append(f'data-size="{_shown(stated)}" is not a size')
    kinds = [(side + "width", side + "height", attributes) for side in ("data-", "")]
    kinds += [("w", "h", attributes), ("width", "height", _style_sides(attributes.get("style", "")))]
    for wide, high, stated_sides in kinds:
        width, height = stated_sides.get(wide), stated_sides.get(high)
        if width is None and height is None:
            continue
        size = _box(width, height)
        if size is not None:
            return size, tuple(warnings)
        told = [
            f'{side}="{_shown(text)}"' for side, text in ((wide, width), (high, height)) if text is not None
        ]
        warnings.append(f"{' '.join(told)} is not a size")
    return None, tuple(warnings)


def fit_size(source: Size, box: Size, dpr: float = 1) -> Size:
    """The largest size of the source's aspect ratio inside box x dpr; never larger than the source.

    Each side is rounded to the nearest pixel and is at least 1.
    """
    return _within(source, _scaled(source, box, dpr))


def cover_size(source: Size, box: Size, dpr: float = 1) -> Cover:
    """The largest centred part of the source with the box's aspect ratio, and its size at box x dpr.

    Never upscaled: where the part is smaller than the box, it is the output, still of the box's aspect ratio.
    A box with an open side has the source's ratio, so nothing is cut off.
    """
    if not (box.width and box.height):
        return Cover(0, 0, source.width, source.height, fit_size(source, box, dpr))
    wanted = _scaled(source, box, dpr)
    if source.width * wanted.height >= source.height * wanted.width:
        part = Size(_rounded(source.height * wanted.width, wanted.height), source.height)
    else:
        part = Size(source.width, _rounded(source.width * wanted.height, wanted.width))
    left, top = (source.width - part.width) // 2, (source.height - part.height) // 2
    size = Size(min(wanted.width, part.width), min(wanted.height, part.height))
    return Cover(left, top, left + part.width, top + part.height, size)


def _scaled(source: Size, box: Size, dpr: float) -> Size:
    """The box in device pixels; an open side is as long as the source's."""
    width, height = (max(1, int(side * dpr + 0.5)) if side else 0 for side in (box.width, box.height))
    return Size(width or source.width, height or source.height)


def _within(source: Size, box: Size) -> Size:
    if source.width <= box.width and source.height <= box.height:
        return source
    if box.width * source.height <= box.height * source.width:
        return Size(box.width, _rounded(source.height * box.width, source.width))
    return Size(_rounded(source.width * box.height, source.height), box.height)


def _rounded(numerator: int, denominator: int) -> int:
    return max(1, (2 * numerator + denominator) // (2 * denominator))


def _length(text: str) -> int:
    """A plain or px number, rounded half up; 0, which is no side, if it is written otherwise."""
    match = _LENGTH.fullmatch(text.strip(_BLANKS))
    if match is None:
        return 0
    return int(match[1]) + (1 if (match[2] or "0") >= "5" else 0)


def _style_sides(style: str) -> dict[str, str]:
    """`width` and `height` of a style attribute, where one is in px."""
    sides = {match[1].lower(): match[2] for match in _STYLE_SIDE.finditer(style)}
    sides = {side: text.partition("!")[0] for side, text in sides.items()}
    return sides if any("px" in text.lower() for text in sides.values()) else {}


def _is_open(text: str) -> bool:
    """Whether a side is left to the picture: not a length of its own."""
    return _OPEN.fullmatch(text.strip(_BLANKS)) is not None


def _box(width: str | None, height: str | None) -> Size | None:
    """The box of two sides as they are written, of which one may be open; None where it cannot be read."""
    sides = [0 if text is None or _is_open(text) else _length(text) or -1 for text in (width, height)]
    is_within = any(sides) and all(0 <= side <= MAX_SIDE_PX for side in sides)
    return Size(*sides) if is_within else None


def _size(width: int, height: int) -> Size | None:
    if 1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX:
        return Size(width, height)
    return None


def _shown(text: str) -> str:
    """Enough of a stated value to recognise it in a report, on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 40 else flat[:39] + "…"
