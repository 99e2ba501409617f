"""Paints landscapes that look like photographs: the same JPEG for the same path, in under 300 ms."""

import hashlib
import io
import math
import random
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mediasvc.demo.scenes import SCENES, Colour, Scene

WIDTH_PX: Final = 1200
HEIGHT_PX: Final = 800


def paint(path: str) -> bytes:
    """Paints a JPEG of 1200x800. path: may name a scene ("…/lake-dawn.jpeg"); otherwise chance picks one."""
    chance = random.Random(hashlib.sha256(path.encode()).digest())  # noqa: S311 - a picture, not a secret
    drawn = chance.choice(sorted(SCENES))
    name = next((name for name in SCENES if name in path), drawn)
    picture = _landscape(SCENES[name], chance)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()


def _landscape(scene: Scene, chance: random.Random) -> Image.Image:
    picture = _gradient(scene.sky, WIDTH_PX, HEIGHT_PX)
    if scene.stars:
        _add_stars(picture, chance)
    _add_clouds(picture, scene, chance)
    _add_sun(picture, scene)
    for depth in range(scene.ridges):
        _add_ridge(picture, scene, depth / (scene.ridges - 1), chance)
    if scene.water:
        _add_lake(picture, scene, chance)
    _add_birds(picture, scene, chance)
    return _with_grain(picture, chance)


def _gradient(colours: Sequence[Colour], width: int, height: int) -> Image.Image:
    strip = Image.new("RGB", (1, len(colours)))
    strip.putdata(list(colours))
    # The box leaves half a cell off each end, so that the end colours are reached and not overshot.
    box = (0, 0.5, 1, len(colours) - 0.5)
    return strip.resize((width, height), Image.Resampling.BILINEAR, box)


def _noise(chance: random.Random, columns: int, rows: int, octaves: int = 4) -> Image.Image:
    """Soft grey noise of the picture's size. columns, rows: cells of the coarsest octave."""
    total = Image.new("L", (WIDTH_PX, HEIGHT_PX), 128)
    for octave in range(octaves):
        size = (columns << octave, rows << octave)
        cells = Image.frombytes("L", size, chance.randbytes(size[0] * size[1]))
        layer = cells.resize(total.size, Image.Resampling.BICUBIC)
        total = layer if octave == 0 else Image.blend(total, layer, 0.42 / octave**0.6)
    return total


def _add_stars(picture: Image.Image, chance: random.Random) -> None:
    draw = ImageDraw.Draw(picture)
    for _ in range(420):
        x, y = chance.randrange(WIDTH_PX), int(chance.random() ** 1.5 * HEIGHT_PX * 0.6)
        light = int(90 + 165 * chance.random() ** 3)
        draw.point((x, y), (light, light, min(255, light + 12)))
        if light > 215:
            draw.point([(x + 1, y), (x, y + 1), (x + 1, y + 1)], (light - 60, light - 60, light - 40))


def _add_clouds(picture: Image.Image, scene: Scene, chance: random.Random) -> None:
    noise = _noise(chance, 3, 5, 5)
    floor = 118 if not scene.stars else 150
    thick = noise.point(_contrast(floor, 3, 215))
    fade = _gradient(((200,) * 3, (255,) * 3, (150,) * 3, (0,) * 3, (0,) * 3), WIDTH_PX, HEIGHT_PX).convert(
        "L"
    )
    shade = tuple(int(part * 0.8) for part in scene.cloud)
    tint = Image.merge("RGB", [noise.point(_ramp(shade[i], scene.cloud[i])) for i in range(3)])
    picture.paste(tint, (0, 0), ImageChops.multiply(thick, fade))


def _ramp(low: int, high: int) -> list[int]:
    return [int(low + (high - low) * min(1.0, max(0.0, (value - 110) / 60))) for value in range(256)]


def _add_sun(picture: Image.Image, scene: Scene) -> None:
    x, y = int(scene.sun_x * WIDTH_PX), int(scene.sun_y * HEIGHT_PX)
    light = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), scene.sun)
    glow = _glow()
    for radius, strength in ((620, 0.5), (250, 0.65)):
        curve = glow.point([int(255 * strength * (value / 255) ** 2.2) for value in range(256)])
        mask = Image.new("L", picture.size)
        mask.paste(
            curve.resize((2 * radius, 2 * radius), Image.Resampling.BILINEAR), (x - radius, y - radius)
        )
        picture.paste(light, (0, 0), mask)
    radius = 26 if scene.stars else 34
    disc = Image.new("L", (8 * radius, 8 * radius))
    ImageDraw.Draw(disc).ellipse((2 * radius, 2 * radius, 6 * radius, 6 * radius), fill=255)
    disc = disc.resize((4 * radius, 4 * radius), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(1.2))
    picture.paste(light.crop((0, 0, *disc.size)), (x - 2 * radius, y - 2 * radius), disc)


def _ridge_line(chance: random.Random, depth: float, height_px: float) -> list[float]:
    """The height of each column above the ridge's foot: waves of several sizes, sharper on distant ridges."""
    waves = [
        (2**octave * (0.7 + chance.random() * 0.6), chance.random() * math.tau, 0.52**octave)
        for octave in range(8)
    ]
    rises = []
    for column in range(0, WIDTH_PX + 1, 2):
        at = column / WIDTH_PX * math.tau
        rise = 0.0
        for position, (frequency, phase, share) in enumerate(waves):
            wave = math.sin(at * frequency + phase)
            # Folding the wave makes crests of mountains; left as it is, it makes rolling hills.
            rise += share * (wave if position == 0 or depth > 0.6 else 1 - 2 * abs(wave))
        rises.append(max(0.0, 0.5 + 0.32 * rise) * height_px)
    return rises


def _add_ridge(picture: Image.Image, scene: Scene, depth: float, chance: random.Random) -> None:
    """Draws one ridge. depth: 0 for the farthest, 1 for the nearest."""
    foot = HEIGHT_PX * scene.horizon
    base = foot if scene.water else foot + depth**1.4 * (HEIGHT_PX - foot) * 0.9
    height = HEIGHT_PX * (0.24 - 0.13 * depth if scene.water else 0.26 - 0.1 * depth)
    rises = _ridge_line(chance, depth, height)
    line: list[tuple[float, float]] = []
    for step, rise in enumerate(rises):
        top = base - rise
        if depth > 0.6:
            # Treetops: each a column's lot, in clumps that follow the ridge.
            top -= (4 + 15 * depth) * chance.random() ** 2 * (0.4 + rise / height)
        line.append((2 * step, top))
    bottom = foot + 2 if scene.water else float(HEIGHT_PX)
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon([(0, bottom), *line, (WIDTH_PX, bottom)], fill=255)
    mask = mask.filter(ImageFilter.BoxBlur(0.8))

    near = depth**1.25
    crest = _mix(scene.haze, scene.land, 0.16 + 0.84 * near)
    mist = _mix(crest, scene.haze, 0.75 - 0.45 * depth)
    top_px = max(0, int(base - height * 1.5))
    body = Image.new("RGB", picture.size, mist)
    body.paste(_gradient((crest, crest, mist), WIDTH_PX, max(8, int(bottom) - top_px)), (0, top_px))
    if depth > 0.1:
        lit = _mix(crest, _mix(scene.sun, scene.haze, 0.5), 0.26 if not scene.stars else 0.1)
        # Woods and slopes that the light falls on: cells that grow with nearness, wider than high.
        cells = int(54 - 30 * depth)
        slopes = _noise(chance, cells, int(cells * 1.3), 3).point(_contrast(104, 2.0, 210))
        body.paste(Image.new("RGB", picture.size, lit), (0, 0), slopes)
    picture.paste(body, (0, 0), mask)


def _add_lake(picture: Image.Image, scene: Scene, chance: random.Random) -> None:
    shore = int(HEIGHT_PX * scene.horizon)
    depth = HEIGHT_PX - shore
    mirrored = picture.crop((0, max(0, shore - depth), WIDTH_PX, shore)).transpose(
        Image.Transpose.FLIP_TOP_BOTTOM
    )
    mirrored = mirrored.resize((WIDTH_PX, depth)).filter(ImageFilter.GaussianBlur(1.6))
    water = Image.new("RGB", (WIDTH_PX, depth))
    for row in range(depth):
        # Ripples widen towards the viewer.
        swing = math.sin(row * 0.9 / (0.25 + row / depth)) * (1 + 9 * row / depth)
        offset = int(swing + chance.uniform(-1, 1) * (1 + 4 * row / depth))
        strip = mirrored.crop((0, row, WIDTH_PX, row + 1))
        water.paste(ImageChops.offset(strip, offset, 0), (0, row))
    deep = _gradient((scene.haze, _mix(scene.sky[0], scene.land, 0.4)), WIDTH_PX, depth)
    water = Image.blend(water, deep, 0.24)
    picture.paste(water, (0, shore))

    ripples = _noise(chance, 5, 90, 3).crop((0, 0, WIDTH_PX, depth))
    shine = ripples.point(_contrast(148, 4, 120))
    column = Image.new("L", (WIDTH_PX, depth))
    glow = _glow().resize((640, depth * 2), Image.Resampling.BILINEAR)
    column.paste(glow, (int(scene.sun_x * WIDTH_PX) - 320, -depth // 2))
    picture.paste(
        Image.new("RGB", (WIDTH_PX, depth), scene.sun),
        (0, shore),
        ImageChops.multiply(shine, column.point(_contrast(-20, 2.0, 255))),
    )
    _add_reeds(picture, scene, chance)


def _glow() -> Image.Image:
    """Light that fades from the middle to zero at the nearest edge, where Pillow's gradient is at 181."""
    return Image.radial_gradient("L").point([max(0, 180 - value) * 255 // 180 for value in range(256)])


def _contrast(floor: int, slope: float, most: int) -> list[int]:
    return [int(max(0, min(most, (value - floor) * slope))) for value in range(256)]


def _add_reeds(picture: Image.Image, scene: Scene, chance: random.Random) -> None:
    draw = ImageDraw.Draw(picture)
    dark = _mix(scene.land, (0, 0, 0), 0.35)
    centres = [chance.choice((0.04, 0.13, 0.9, 0.98, 0.02)) + chance.gauss(0, 0.035) for _ in range(150)]
    for centre in centres:
        x = centre * WIDTH_PX
        tall = HEIGHT_PX * chance.uniform(0.06, 0.24)
        lean = chance.gauss(0, 22)
        points = [(x + lean * (t / 6) ** 2, HEIGHT_PX + 6 - tall * t / 6) for t in range(7)]
        draw.line(points, fill=dark, width=chance.choice((1, 2, 2)))
        if chance.random() < 0.3:
            tip_x, tip_y = points[-1]
            draw.ellipse((tip_x - 3, tip_y - 16, tip_x + 3, tip_y + 6), fill=dark)


def _add_birds(picture: Image.Image, scene: Scene, chance: random.Random) -> None:
    if scene.stars:
        return
    draw = ImageDraw.Draw(picture)
    x, y = chance.uniform(0.45, 0.7) * WIDTH_PX, chance.uniform(0.16, 0.26) * HEIGHT_PX
    ink = _mix(scene.land, scene.sky[1], 0.25)
    for place in range(11):
        arm = (place + 1) // 2 * (1 if place % 2 else -1)
        bird_x = x + abs(arm) * 21 + chance.uniform(-5, 5)
        bird_y = y + arm * 11 + chance.uniform(-4, 4)
        span, lift = chance.uniform(7, 10), chance.uniform(2, 5)
        for side in (-1, 1):
            draw.line(
                [
                    (bird_x, bird_y),
                    (bird_x + side * span * 0.5, bird_y - lift),
                    (bird_x + side * span, bird_y - 1),
                ],
                fill=ink,
                width=2,
            )


def _with_grain(picture: Image.Image, chance: random.Random) -> Image.Image:
    grain = Image.frombytes("L", (600, 400), chance.randbytes(600 * 400)).resize(
        picture.size, Image.Resampling.BICUBIC
    )
    return Image.blend(picture, Image.merge("RGB", (grain,) * 3), 0.035)


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return (red, green, blue)
