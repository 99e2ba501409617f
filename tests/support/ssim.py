"""Structural similarity of two pictures, as Wang et al. 2004 define it, on luma, over 8x8 windows at every
pixel.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_WINDOW_PX = 8
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(a: Image.Image, b: Image.Image) -> float:
    """1.0 for equal pictures. ValueError where the sizes differ."""
    if a.size != b.size:
        raise ValueError(f"sizes differ: {a.size} and {b.size}")
    x, y = _luma(a), _luma(b)
    mean_x, mean_y = _mean(x), _mean(y)
    variance_x = _mean(x * x) - mean_x**2
    variance_y = _mean(y * y) - mean_y**2
    covariance = _mean(x * y) - mean_x * mean_y
    alike = ((2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)) / (
        (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    )
    return float(alike.mean())


def reference(data: bytes, box: tuple[int, int]) -> Image.Image:
    """The picture decoded whole and scaled into the box by LANCZOS: the independent path to compare with."""
    with Image.open(io.BytesIO(data)) as picture:
        whole = picture.convert("RGB")
    ratio = min(box[0] / whole.width, box[1] / whole.height, 1.0)
    size = (max(1, round(whole.width * ratio)), max(1, round(whole.height * ratio)))
    return whole.resize(size, Image.Resampling.LANCZOS)


def _luma(picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(picture.convert("L"), dtype=np.float64)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    n = _WINDOW_PX
    total: NDArray[np.float64] = sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n]
    return total / (n * n)
