"""The origin of bench/batch.py: pages as a feed's articles are, and a JPEG with bytes of its own for each
image of them.
"""

import asyncio
import io
import struct
import sys

import uvloop
from aiohttp import web

from tests.support.pictures import photograph

LAST_MODIFIED = "Mon, 06 Jan 2025 08:00:00 GMT"
SENTENCE = "秋天到了，湖边的人多了起来，候鸟也从北方飞回这里过冬。"
# As real posts have them: none to several in an article, one as a rule; half of them state a size, most of
# those the picture's own. Only one that is shown smaller than it is needs a thumbnail.
IMAGES = (0, 1, 1, 1, 1, 1, 1, 2, 2, 4)
OWN, SMALLER = "800,533", "400,300"
SIZES = (None,) * 10 + (OWN,) * 7 + (SMALLER,) * 3


def images(number: int, corpus: str) -> list[tuple[str, str | None]]:
    """Name and stated size of each image of an article. corpus: "posts", or "scaled": one image each, shown
    smaller.
    """
    if corpus == "scaled":
        return [(f"{number}-0", SMALLER)]
    count = IMAGES[number % len(IMAGES)]
    return [(f"{number}-{place}", SIZES[(number * 7 + place * 3) % len(SIZES)]) for place in range(count)]


def article(number: int, host: str, corpus: str = "scaled") -> str:
    """A page of some 6 kB."""
    paragraphs = "".join(f"<p>{SENTENCE * 8}</p>" for _ in range(8))
    shown = "".join(
        f'<p><img src="http://{host}/i/{name}.jpeg"{_stated(size)} referrerpolicy="no-referrer"></p>'
        for name, size in images(number, corpus)
    )
    return f'<!doctype html><meta charset="utf-8"><title>{number}</title><div>{shown}{paragraphs}</div>\n'


def _stated(size: str | None) -> str:
    return f' data-size="{size}"' if size else ""


def picture(quality: int) -> bytes:
    """The JPEG of which all images are copies, but for a remark."""
    packed = io.BytesIO()
    photograph(800, 533).save(packed, "JPEG", quality=quality)
    return packed.getvalue()


async def serve(delay_s: float, quality: int) -> None:
    """Prints its host and port and answers until it is ended, each request after a delay."""
    base = picture(quality)
    host = ""

    async def page(request: web.Request) -> web.Response:
        text = article(int(request.match_info["number"]), host, request.match_info["corpus"])
        return await _reply(request, text.encode(), "text/html")

    async def image(request: web.Request) -> web.Response:
        mark = request.match_info["name"].encode()
        remark = b"\xff\xfe" + struct.pack(">H", len(mark) + 2) + mark
        return await _reply(request, base[:2] + remark + base[2:], "image/jpeg")

    async def _reply(request: web.Request, body: bytes, kind: str) -> web.Response:
        if delay_s:
            await asyncio.sleep(delay_s)
        headers = {"Last-Modified": LAST_MODIFIED, "Content-Type": kind}
        if request.headers.get("If-Modified-Since") == LAST_MODIFIED:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    app = web.Application()
    app.router.add_get("/{corpus}/{number}.html", page)
    app.router.add_get("/i/{name}.jpeg", image)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host = "127.0.0.1:" + str(runner.addresses[0][1])
    print(host, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1]) / 1000, int(sys.argv[2])))
