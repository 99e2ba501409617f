"""ThumbHash: a picture in some 25 bytes, and back.

Source: https://github.com/evanw/thumbhash, the reference implementation. Sums run in its order, so that terms
that are nearly 0, as in slopes and thin pictures, are rounded as it rounds them. The tests hold hashes that
it made.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice
from math import cos, floor, pi
from operator import mul
from typing import Any

from mediasvc.core.pictures.engine import Engine, choose

_DECODED_SIDE_PX = 32
# The reference implementation strengthens decoded colours, because rounding weakens them.
_SATURATION = 1.25
# Rounding errors of a flat picture. The reference implementation scales them up to factors that mean nothing.
_NOISE = 1e-9

_Channel = Any  # Any: a list of floats, or an array of a library that is optional


@dataclass(frozen=True, slots=True)
class _Arithmetic:
    """How pixels become numbers.

    channels: luminance, yellow-blue, red-green and opacity of RGBA bytes; opacity is None for an opaque
    picture.
    sums: a channel of a width and a height times each wave of `_waves(across, down)`.
    """

    channels: Callable[[bytes], tuple[_Channel, _Channel, _Channel, _Channel | None]]
    sums: Callable[[_Channel, int, int, int, int], list[float]]


@dataclass(frozen=True, slots=True)
class _Terms:
    """A channel as its mean and its waves.

    factors: one for each wave, 0 to 15, halfway for none. scale: the largest amplitude.
    """

    mean: float
    factors: list[int]
    scale: float


def encode(width: int, height: int, rgba: bytes) -> bytes:
    """The hash of a picture.

    width, height: at most 100.
    rgba: row by row, colours not multiplied by opacity.
    """
    return encode_with(engine().work, width, height, rgba)


def decode(thumbhash: bytes) -> tuple[int, int, bytes]:
    """Width, height and RGBA of the picture that a hash describes. The longer side has 32 pixels.

    Missing factors count as none. ValueError for bytes that are no hash.
    """
    head, tail = int.from_bytes(thumbhash[:3], "little"), int.from_bytes(thumbhash[3:5], "little")
    see_through = head >> 23
    most, least = (5 if see_through else 7), tail & 7
    if len(thumbhash) < 5 + see_through or not least:
        raise ValueError("the bytes are no thumbhash")
    across, down = (most, least) if tail >> 15 else (least, most)
    width, height = (_round(_DECODED_SIDE_PX * side / max(across, down)) for side in (across, down))
    factors = _unpacked(thumbhash[5 + see_through :])

    def channel(across: int, down: int, mean: float, scale: float) -> list[float]:
        return _decoded_channel(factors, (width, height), (across, down), mean, scale)

    light = channel(max(3, across), max(3, down), (head & 63) / 63, (head >> 18 & 31) / 31)
    yellow = channel(3, 3, (head >> 6 & 63) / 31.5 - 1, (tail >> 3 & 63) / 63 * _SATURATION)
    red = channel(3, 3, (head >> 12 & 63) / 31.5 - 1, (tail >> 9 & 63) / 63 * _SATURATION)
    opacity = [1.0] * (width * height)
    if see_through:
        opacity = channel(5, 5, (thumbhash[5] & 15) / 15, (thumbhash[5] >> 4) / 15)
    return width, height, _rgba(light, yellow, red, opacity)


def encode_with(by: _Arithmetic, width: int, height: int, rgba: bytes) -> bytes:
    """See encode."""
    luminance, yellow, red, opacity = by.channels(rgba)
    most, longer = (7 if opacity is None else 5), max(width, height)
    across, down = (max(1, _round(most * side / longer)) for side in (width, height))
    shapes = [(luminance, max(3, across), max(3, down)), (yellow, 3, 3), (red, 3, 3)]
    if opacity is not None:
        shapes.append((opacity, 5, 5))
    terms = [
        _terms(by.sums(channel, width, height, waves_across, waves_down), width * height)
        for channel, waves_across, waves_down in shapes
    ]
    landscape = width > height
    tail = (down if landscape else across) | landscape << 15
    return _head(terms, tail) + _packed([factor for channel in terms for factor in channel.factors])


def _terms(sums: list[float], pixels: int) -> _Terms:
    mean, *waves = (total / pixels for total in sums)
    scale = max(map(abs, waves))
    if scale < _NOISE:
        return _Terms(mean, [0] * len(waves), 0.0)
    return _Terms(mean, [_round(15 * (0.5 + 0.5 / scale * wave)) for wave in waves], scale)


def _head(terms: list[_Terms], tail: int) -> bytes:
    """The first 5 bytes, or 6 with opacity. tail: what the fourth and fifth tell about the shape."""
    light, yellow, red, *opacity = terms
    head = (
        _round(63 * light.mean)
        | _round(31.5 + 31.5 * yellow.mean) << 6
        | _round(31.5 + 31.5 * red.mean) << 12
        | _round(31 * light.scale) << 18
        | bool(opacity) << 23
    )
    tail |= _round(63 * yellow.scale) << 3 | _round(63 * red.scale) << 9
    last = [_round(15 * channel.mean) | _round(15 * channel.scale) << 4 for channel in opacity]
    return head.to_bytes(3, "little") + tail.to_bytes(2, "little") + bytes(last)


def _packed(factors: list[int]) -> bytes:
    """Two factors a byte, the first in the low bits."""
    return bytes(low | high << 4 for low, high in zip(factors[::2], [*factors[1::2], 0], strict=False))


def _unpacked(packed: bytes) -> Iterator[int]:
    for both in packed:
        yield both & 15
        yield both >> 4


def _decoded_channel(
    factors: Iterator[int], size: tuple[int, int], waves: tuple[int, int], mean: float, scale: float
) -> list[float]:
    """A channel's pixels. factors: the next ones are the channel's."""
    (width, height), (across, down) = size, waves
    order = _waves(across, down)[1:]
    amplitudes = [(factor / 7.5 - 1) * scale for factor in islice(factors, len(order))]
    rows = [[0.0] * width for _ in range(down)]
    rows[0] = [mean] * width
    for (x, y), amplitude in zip(order, amplitudes, strict=False):
        wave = _cosines(width, across)[x]
        rows[y] = [so_far + 2 * amplitude * value for so_far, value in zip(rows[y], wave, strict=True)]
    columns = zip(*_cosines(height, down), strict=True)
    across_pixels = list(zip(*rows, strict=True))
    return [sum(map(mul, weights, pixel)) for weights in columns for pixel in across_pixels]


def _rgba(light: list[float], yellow: list[float], red: list[float], opacity: list[float]) -> bytes:
    blue = [luminance - 2 / 3 * warm for luminance, warm in zip(light, yellow, strict=True)]
    reds = [(3 * luminance - b + rosy) / 2 for luminance, b, rosy in zip(light, blue, red, strict=True)]
    green = [r - rosy for r, rosy in zip(reds, red, strict=True)]
    out = bytearray(4 * len(light))
    for band, values in enumerate((reds, green, blue, opacity)):
        out[band::4] = bytes(
            [0 if value <= 0 else 255 if value >= 1 else int(255 * value) for value in values]
        )
    return bytes(out)


def _round(number: float) -> int:
    """Halves up, as JavaScript does."""
    return floor(number + 0.5)


@lru_cache(maxsize=64)
def _cosines(side: int, count: int) -> list[list[float]]:
    return [[cos(pi / side * n * (at + 0.5)) for at in range(side)] for n in range(count)]


@lru_cache(maxsize=64)
def _waves(across: int, down: int) -> list[tuple[int, int]]:
    """The waves that a hash holds: how often across, how often down; the mean first."""
    return [(x, y) for y in range(down) for x in range(across) if x * down < across * (down - y)]


def _plain_channels(rgba: bytes) -> tuple[_Channel, _Channel, _Channel, _Channel | None]:
    alpha = [value / 255 for value in rgba[3::4]]
    shares = [value / 255 for value in alpha]
    weighted = [list(map(mul, shares, rgba[band::4])) for band in range(3)]
    total = _sum(alpha)
    means = [_sum(band) / total if total else 0.0 for band in weighted]
    red, green, blue = (
        [mean * (1 - opacity) + value for opacity, value in zip(alpha, band, strict=True)]
        for mean, band in zip(means, weighted, strict=True)
    )
    luminance = [(r + g + b) / 3 for r, g, b in zip(red, green, blue, strict=True)]
    yellow = [(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)]
    difference = [r - g for r, g in zip(red, green, strict=True)]
    return luminance, yellow, difference, alpha if total < len(alpha) else None


def _plain_sums(channel: _Channel, width: int, height: int, across: int, down: int) -> list[float]:
    waves = zip(*_plain_waves(width, height, across, down), strict=True)
    return [_sum(map(mul, map(mul, channel, horizontal), vertical)) for horizontal, vertical in waves]


@lru_cache(maxsize=16)
def _plain_waves(
    width: int, height: int, across: int, down: int
) -> tuple[list[list[float]], list[list[float]]]:
    """The horizontal and the vertical cosine of each wave, at each pixel."""
    rows = _cosines(width, across)
    columns = [[value for value in column for _ in range(width)] for column in _cosines(height, down)]
    order = _waves(across, down)
    return [rows[x] * height for x, _ in order], [columns[y] for _, y in order]


def _sum(numbers: Iterable[float]) -> float:
    """From left to right without correction of errors, which `sum` has from Python 3.12 on."""
    last: float = deque(accumulate(numbers), maxlen=1)[0]
    return last


PLAIN = _Arithmetic(_plain_channels, _plain_sums)


@lru_cache(maxsize=1)
def engine() -> Engine[_Arithmetic]:
    """numpy, where it is installed and gives the plain hash of a known picture, else Python."""

    def agrees(fast: _Arithmetic) -> bool:
        known = bytes(n * n // 7 % 256 for n in range(4 * 12 * 9))
        return encode_with(fast, 12, 9, known) == encode_with(PLAIN, 12, 9, known)

    return choose("numpy", "numpy", by_numpy, agrees, Engine("Python", PLAIN))


def by_numpy(numpy: Any) -> _Arithmetic:  # Any: the library is optional
    """The arithmetic of an imported numpy."""
    add = numpy.add.reduce  # along the first of two axes it adds row after row, as `_sum` does

    def channels(rgba: bytes) -> tuple[_Channel, _Channel, _Channel, _Channel | None]:
        pixels = numpy.frombuffer(rgba, numpy.uint8).reshape(-1, 4)
        alpha = pixels[:, 3:] / 255
        weighted = alpha / 255 * pixels
        weighted[:, 3:] = alpha
        *sums, total = add(weighted, axis=0)
        means = numpy.array(sums) / total if total else numpy.zeros(3)
        red, green, blue = (means * (1 - alpha) + weighted[:, :3]).T
        opacity = alpha[:, 0] if total < len(pixels) else None
        return (red + green + blue) / 3, (red + green) / 2 - blue, red - green, opacity

    @lru_cache(maxsize=16)
    def waves(width: int, height: int, across: int, down: int) -> Any:
        plain = _plain_waves(width, height, across, down)
        return tuple(numpy.ascontiguousarray(numpy.array(cosines).T) for cosines in plain)

    def sums(channel: _Channel, width: int, height: int, across: int, down: int) -> list[float]:
        horizontal, vertical = waves(width, height, across, down)
        found: list[float] = add(channel[:, None] * horizontal * vertical, axis=0).tolist()
        return found

    return _Arithmetic(channels, sums)
