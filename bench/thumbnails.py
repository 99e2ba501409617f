"""CPU milliseconds, bytes and SSIM of one thumbnail: ours beside plain Pillow, libvips and the floor, in
turns.

Needs what `pip install pyvips pyvips-binary` brings besides the test extra. Run: `python -m bench.thumbnails
[--rounds N] [--row TEXT] [--save]`. Every contender does one picture, then the next contender, then the next
round; medians. The reference for SSIM is a full decode scaled by Pillow's LANCZOS. The floor is a scaled
decode and an encode with nothing between: what no program that uses the same codecs can go below.
"""

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageSequence

from bench import results
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Limits, ThumbnailSpec
from mediasvc.core.pictures.thumbnail import render
from mediasvc.core.pictures.whole import inspect
from tests.support.pictures import animated_gif, photograph
from tests.support.ssim import reference, ssim

BOX = Size(600, 400)
LIMITS = Limits()
# The settings that the image processes run with (effects.imaging.pool); every contender has them.
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
    "MALLOC_ARENA_MAX": "1",
    "VIPS_CONCURRENCY": "1",
}


@dataclass(frozen=True)
class Row:
    name: str
    data: bytes
    out: OutputFormat


@dataclass
class Figures:
    row: str
    contender: str
    cpu_ms: float
    wall_ms: float
    bytes: int
    ssim: float | None


def rows() -> list[Row]:
    def jpeg(width: int, height: int, **options: object) -> bytes:
        return saved(photograph(width, height), "JPEG", quality=88, **options)

    png, webp = saved(photograph(1600, 1200), "PNG"), saved(photograph(1200, 800), "WEBP", quality=85)
    return [
        Row("JPEG 600x400", jpeg(600, 400), OutputFormat.KEEP),
        Row("JPEG 1280x853", jpeg(1280, 853), OutputFormat.KEEP),
        Row("JPEG 3000x2000", jpeg(3000, 2000), OutputFormat.KEEP),
        Row("JPEG 24 MP", jpeg(6000, 4000), OutputFormat.KEEP),
        Row("JPEG 3000x2000 progressive", jpeg(3000, 2000, progressive=True), OutputFormat.KEEP),
        Row("PNG 1600x1200 to JPEG", png, OutputFormat.JPEG),
        Row("PNG 1600x1200", png, OutputFormat.KEEP),
        Row("WebP 1200x800 to JPEG", webp, OutputFormat.JPEG),
        Row("WebP 1200x800", webp, OutputFormat.KEEP),
        Row("GIF 40 frames 800x533", animated_gif(800, 533, 40), OutputFormat.WEBP),
    ]


def saved(picture: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def ours(row: Row) -> bytes:
    made = render(row.data, ThumbnailSpec(BOX, format=row.out), LIMITS)
    return row.data if made.data is None else made.data


def pillow(row: Row) -> bytes:
    image = Image.open(io.BytesIO(row.data))
    if getattr(image, "n_frames", 1) > 1:
        frames = []
        durations = []
        for frame in ImageSequence.Iterator(image):
            durations.append(frame.info.get("duration", 100))
            small = frame.convert("RGBA")
            small.thumbnail((BOX.width, BOX.height), Image.Resampling.LANCZOS)
            frames.append(small)
        return saved(
            frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=durations, quality=80, loop=0
        )
    image.thumbnail((BOX.width, BOX.height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = _format(row)
    return saved(image, out, **({} if out == "PNG" else {"quality": 80}))


def floor(row: Row) -> bytes:
    image: Image.Image = Image.open(io.BytesIO(row.data))
    size = _target(row)
    image.draft(None, size)
    image.load()
    out = _format(row)
    if image.format != "JPEG":  # neither scales while it decodes: the nearest pixels are the cheapest picture
        image = image.convert("RGB").resize(size, Image.Resampling.NEAREST)
    return saved(image, out, **({} if out == "PNG" else {"quality": 80}))


def vips() -> Callable[[Row], bytes]:
    import pyvips

    pyvips.cache_set_max(0)

    def thumbnail(row: Row) -> bytes:
        animated = row.data[:3] == b"GIF"
        options = {"option_string": "n=-1"} if animated else {}
        image = pyvips.Image.thumbnail_buffer(row.data, BOX.width, height=BOX.height, size="down", **options)
        match _format(row):
            case "JPEG":
                return bytes(image.jpegsave_buffer(Q=80, keep="none"))
            case "PNG":
                return bytes(image.pngsave_buffer(keep="none"))
            case _:
                return bytes(image.webpsave_buffer(Q=80, keep="none"))

    return thumbnail


def _format(row: Row) -> str:
    if row.out is OutputFormat.KEEP:
        return inspect(row.data, LIMITS).format.value.upper()
    return row.out.value.upper()


def _target(row: Row) -> tuple[int, int]:
    picture = Image.open(io.BytesIO(row.data))
    factor = min(BOX.width / picture.width, BOX.height / picture.height, 1)
    return round(picture.width * factor), round(picture.height * factor)


def measure(chosen: list[Row], rounds: int) -> list[Figures]:
    contenders: dict[str, Callable[[Row], bytes]] = {
        "mediasvc": ours,
        "pillow": pillow,
        "libvips": vips(),
        "floor": floor,
    }
    results = []
    for row in chosen:
        # A film has no floor: nothing encodes it without touching every frame.
        running = {
            name: it for name, it in contenders.items() if name != "floor" or not row.name.startswith("GIF")
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
        made: dict[str, bytes] = {}
        for turn in range(rounds + 1):
            for name, contender in running.items():
                cpu, wall = time.process_time(), time.perf_counter()
                made[name] = contender(row)
                if turn:
                    times[name].append((time.process_time() - cpu, time.perf_counter() - wall))
        for name, output in made.items():
            image = Image.open(io.BytesIO(output)).convert("RGB")
            expected = reference(row.data, (BOX.width, BOX.height))
            results.append(
                Figures(
                    row.name,
                    name,
                    1e3 * statistics.median(cpu for cpu, _ in times[name]),
                    1e3 * statistics.median(wall for _, wall in times[name]),
                    len(output),
                    None if name == "floor" else ssim(image, expected),
                )
            )
        show(results[-len(running) :])
    return results


def show(figures: list[Figures]) -> None:
    mine = figures[0]
    for one in figures:
        similarity = "     " if one.ssim is None else f"{one.ssim:.4f}"
        ratio = mine.cpu_ms / one.cpu_ms if one.cpu_ms else 0.0
        print(
            f"{one.row:28s} {one.contender:9s} cpu {one.cpu_ms:8.2f} ms  wall {one.wall_ms:8.2f} ms  "
            f"{one.bytes:9d} B  ssim {similarity}  ours/this {ratio:5.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--row", default="", help="only rows whose name contains this")
    parser.add_argument(
        "--save", action="store_true", help="keep the figures in bench/results/thumbnails.json"
    )
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.environ.update(ENVIRONMENT)  # the allocator reads them at the start of a process only
        os.execv(sys.executable, [sys.executable, *sys.argv])
    figures = measure([row for row in rows() if arguments.row in row.name], arguments.rounds)
    if arguments.save:
        results.save(
            "thumbnails",
            "python -m bench.thumbnails --save",
            [result(figures, name) for name in names(figures)],
        )


def names(figures: list[Figures]) -> list[str]:
    return list(dict.fromkeys(one.row for one in figures))


def result(figures: list[Figures], name: str) -> dict[str, object]:
    """One row as bench/results.py keeps it."""
    cpu = {one.contender: round(one.cpu_ms, 2) for one in figures if one.row == name}
    return {
        "name": f"{name}, CPU an image",
        "unit": "ms",
        "ours": cpu.pop("mediasvc"),
        "peers": cpu,
        "target": round((0.9 if name.startswith("JPEG") else 1.0) * cpu["libvips"], 2),
    }


if __name__ == "__main__":
    main()
