"""An origin with pictures that differ in pixels, so that no service can know one from another, all made
beforehand.

As a program: `python -m bench.cold_origin jpeg-1280=400 png-1600=50` makes so many of each row, prints its
port and answers /{row}/{number}/{anything} until its standard input ends. A path with /stale/ in it is never
fresh.
"""

import asyncio
import io
import random
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache

from aiohttp import web
from PIL import Image, ImageDraw

from tests.support.pictures import photograph

ROWS: dict[str, tuple[str, str, tuple[int, int]]] = {
    "jpeg-3000": ("JPEG 3000x2000", "JPEG", (3000, 2000)),
    "jpeg-1280": ("JPEG 1280x853", "JPEG", (1280, 853)),
    "jpeg-24mp": ("JPEG 24 MP", "JPEG", (6000, 4000)),
    "png-1600": ("PNG 1600x1200", "PNG", (1600, 1200)),
    "webp-1200": ("WebP 1200x800", "WEBP", (1200, 800)),
}
_WAYS: dict[str, dict[str, int]] = {
    "JPEG": {"quality": 90},
    "PNG": {"compress_level": 6},
    "WEBP": {"quality": 85, "method": 2},
}


def encoded(row: str, number: int) -> bytes:
    """Picture `number` of a row: the same photograph with a few patches of its own, number 0 with none."""
    _, form, size = ROWS[row]
    picture = _photograph(size).copy()
    draw, chance = ImageDraw.Draw(picture), random.Random(number)
    for _ in range(5 if number else 0):
        x, y = chance.randrange(size[0]), chance.randrange(size[1])
        colour = (chance.randrange(256), chance.randrange(256), chance.randrange(256))
        draw.rectangle((x, y, x + size[0] // 12, y + size[1] // 12), fill=colour)
    out = io.BytesIO()
    picture.save(out, form, **_WAYS[form])
    return out.getvalue()


@lru_cache(maxsize=1)
def _photograph(size: tuple[int, int]) -> Image.Image:
    return photograph(*size)


def application(pictures: dict[str, list[bytes]]) -> web.Application:
    """Answers with the picture of that row and number."""

    async def answer(request: web.Request) -> web.Response:
        row, number = request.match_info["row"], int(request.match_info["number"])
        if row not in pictures or number >= len(pictures[row]):
            raise web.HTTPNotFound
        headers = {"Cache-Control": "max-age=86400", "ETag": f'"{zlib.crc32(request.path.encode()):x}"'}
        if "/stale/" in request.path:
            headers["Cache-Control"] = "max-age=0"
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        kind = f"image/{ROWS[row][1].lower()}"
        return web.Response(body=pictures[row][number], content_type=kind, headers=headers)

    app = web.Application()
    app.router.add_get(r"/{row}/{number:\d+}/{name:.+}", answer)
    return app


async def main(counts: dict[str, int]) -> None:
    """Make the pictures, print the port and serve until standard input ends."""
    with ProcessPoolExecutor() as pool:
        pictures = {
            row: list(pool.map(encoded, [row] * count, range(count), chunksize=8))
            for row, count in counts.items()
        }
    runner = web.AppRunner(application(pictures), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main({row: int(count) for row, _, count in (word.partition("=") for word in sys.argv[1:])}))
