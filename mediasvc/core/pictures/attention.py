"""Finds the part of a picture that has the most to see, for crops that would otherwise keep the middle."""

from PIL import Image, ImageFilter

Box = tuple[float, float, float, float]
SIDE_PX = 96
# How much of the way from the middle to where the most is to be seen counts against it: equal sights stay
# central.
_PULL = 0.04
# Skies and walls have some colour too; only what is more vivid than they are draws the eye.
_VIVID = [max(0, value - 80) for value in range(256)]


def shift(box: Box, size: tuple[int, int], small: Image.Image) -> Box:
    """The box, moved within a picture of this size along the axis on which it has room.

    small: the same picture, L, RGB or RGBA, whole, of any size.
    """
    width, height = size
    left, top, right, bottom = box
    if right - left < width:
        start = _best_start(_sights(small, horizontal=True), (right - left) / width)
        moved = round(start * width)
        return (moved, top, moved + right - left, bottom)
    if bottom - top < height:
        start = _best_start(_sights(small, horizontal=False), (bottom - top) / height)
        moved = round(start * height)
        return (left, moved, right, moved + bottom - top)
    return box


def _sights(small: Image.Image, *, horizontal: bool) -> list[int]:
    """How much edge and colour there is in each column (or row)."""
    edges = small.convert("L").filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.FIND_EDGES)
    # The filter leaves the outermost pixels as they were.
    edges = edges.crop((1, 1, max(2, edges.width - 1), max(2, edges.height - 1))).resize(
        small.size, Image.Resampling.BOX
    )
    colour = small.convert("RGB").convert("HSV").getchannel("S").point(_VIVID)
    sights = Image.blend(edges, colour, 0.25)
    line = sights.resize((sights.width, 1) if horizontal else (1, sights.height), Image.Resampling.BOX)
    return list(line.tobytes())


def _best_start(sights: list[int], share: float) -> float:
    """Where a window of this share of the whole begins, as a share of the whole, so that it holds the most."""  # noqa: E501
    count = len(sights)
    window = min(count, max(1, round(share * count)))
    middle = (count - window) / 2
    total = sum(sights[:window])
    best, best_start = float("-inf"), 0
    for start in range(count - window + 1):
        if start:
            total += sights[start + window - 1] - sights[start - 1]
        worth = total * (1 - _PULL * abs(start - middle) / max(1.0, middle))
        if worth > best:
            best, best_start = worth, start
    return min(1 - share, best_start / count)
