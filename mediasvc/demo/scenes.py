"""The landscapes that the demo's origin paints."""

from dataclasses import dataclass
from typing import Final

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """One time of day and its land.

    sky: colours from the zenith to the horizon. haze: what distance fades into. land: the nearest ridge.
    sun: its colour, then its position as fractions of the width and height.
    water: whether there is a lake in front.
    """

    sky: tuple[Colour, ...]
    haze: Colour
    land: Colour
    cloud: Colour
    sun: Colour
    sun_x: float
    sun_y: float
    horizon: float
    ridges: int
    water: bool
    stars: bool = False


SCENES: Final[dict[str, Scene]] = {
    "dawn": Scene(
        sky=((58, 84, 130), (136, 146, 178), (236, 186, 158), (252, 218, 172)),
        haze=(236, 200, 176),
        land=(28, 44, 56),
        cloud=(255, 214, 190),
        sun=(255, 236, 196),
        sun_x=0.63,
        sun_y=0.49,
        horizon=0.58,
        ridges=4,
        water=True,
    ),
    "noon": Scene(
        sky=((38, 104, 178), (98, 156, 208), (178, 208, 228), (220, 230, 232)),
        haze=(176, 202, 216),
        land=(38, 66, 34),
        cloud=(255, 255, 255),
        sun=(255, 252, 236),
        sun_x=0.22,
        sun_y=0.1,
        horizon=0.52,
        ridges=6,
        water=False,
    ),
    "dusk": Scene(
        sky=((44, 38, 82), (122, 66, 110), (220, 106, 88), (250, 178, 98)),
        haze=(224, 124, 96),
        land=(22, 18, 34),
        cloud=(250, 150, 120),
        sun=(255, 224, 150),
        sun_x=0.34,
        sun_y=0.52,
        horizon=0.57,
        ridges=5,
        water=False,
    ),
    "night": Scene(
        sky=((8, 14, 34), (18, 34, 68), (42, 74, 110), (84, 116, 140)),
        haze=(62, 92, 120),
        land=(6, 12, 20),
        cloud=(84, 108, 140),
        sun=(236, 240, 232),
        sun_x=0.71,
        sun_y=0.2,
        horizon=0.6,
        ridges=4,
        water=True,
        stars=True,
    ),
}
