"""Makes the test pictures: deterministic, photograph-like, in every format and oddity that tests and benchmarks need."""

import io
import random
import struct
import zlib
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, ImageDraw, ImageFilter

_OCTAVES = (2, 5, 11, 23, 53, 127, 307)


@lru_cache(maxsize=16)
def photograph(width: int, height: int, seed: int = 1) -> Image.Image:
    """An RGB picture with the statistics of a photograph: broad light, falling spectrum, edges, sensor noise."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((height, width, 3), np.float32)
    for octave in _OCTAVES:
        cells = (max(2, octave * 2 // 3), max(2, octave))
        if cells[1] > width or cells[0] > height:
            break
        patch = rng.uniform(-1, 1, (*cells, 3)).astype(np.float32)
        # Mostly the same light in all three channels, as in nature.
        patch = 0.75 * patch.mean(axis=2, keepdims=True) + 0.25 * patch
        layers = [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(patch[:, :, channel])).resize(
                    (width, height), Image.Resampling.BICUBIC
                )
            )
            for channel in range(3)
        ]
        canvas += np.stack(layers, axis=2) * (90.0 / octave**0.55)
    canvas += 118 + np.linspace(40, -40, height, dtype=np.float32)[:, None, None]
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    _draw_things(picture, random.Random(seed))
    picture = picture.filter(ImageFilter.GaussianBlur(0.6))
    noisy = np.asarray(picture).astype(np.float32) + rng.normal(0, 2.0, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _draw_things(picture: Image.Image, chance: random.Random) -> None:
    """Things with edges in front of the landscape: roofs, poles, discs, lettering."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(28):
        x, y = chance.randrange(width), chance.randrange(height)
        w, h = chance.randrange(2, max(3, width // 6)), chance.randrange(2, max(3, height // 5))
        colour = tuple(chance.randrange(20, 236) for _ in range(3))
        match chance.randrange(4):
            case 0:
                draw.rectangle((x, y, x + w, y + h), fill=colour)
            case 1:
                draw.ellipse((x, y, x + w, y + h), fill=colour)
            case 2:
                draw.polygon(((x, y + h), (x + w // 2, y), (x + w, y + h)), fill=colour)
            case _:
                draw.line((x, y, x + w, y + h), fill=colour, width=max(1, width // 300))
    for line in range(4):
        draw.text(
            (width * 0.05, height * (0.1 + 0.2 * line)),
            "mediasvc 0123456789 the quick brown fox",
            fill=(245, 245, 240),
            font_size=max(8, height // 24),
        )


def animated_gif(width: int, height: int, frames: int, seed: int = 1) -> bytes:
    """A film: the camera moves over a landscape, 70 ms a frame, for ever."""
    wide = photograph(width + 4 * frames, height + 2 * frames, seed)
    pictures = [
        wide.crop((4 * index, 2 * index, 4 * index + width, 2 * index + height)).quantize(128)
        for index in range(frames)
    ]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=70, loop=0)
    return out.getvalue()
