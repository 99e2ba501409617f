"""The origin of bench/batch.py: pages as a feed's articles are, and a JPEG with bytes of its own for each of them."""

import asyncio
import io
import struct
import sys
from pathlib import Path

import uvloop
from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.pictures import photograph

LAST_MODIFIED = "Mon, 06 Jan 2025 08:00:00 GMT"
SENTENCE = "秋天到了，湖边的人多了起来，候鸟也从北方飞回这里过冬。"


def article(number: int, host: str) -> str:
    """A page of some 6 kB with one image of its own, shown at 400x300."""
    paragraphs = "".join(f"<p>{SENTENCE * 8}</p>" for _ in range(8))
    image = (
        f'<p><img src="http://{host}/i/{number}.jpeg" data-size="400,300" referrerpolicy="no-referrer"></p>'
    )
    return f'<!doctype html><meta charset="utf-8"><title>{number}</title><div>{image}{paragraphs}</div>\n'


async def serve() -> None:
    """Prints its port and answers until it is ended."""
    packed = io.BytesIO()
    photograph(800, 533).save(packed, "JPEG", quality=85)
    base = packed.getvalue()
    host = ""

    async def page(request: web.Request) -> web.Response:
        text = article(int(request.match_info["number"]), host)
        return _reply(request, text.encode(), "text/html")

    async def image(request: web.Request) -> web.Response:
        mark = request.match_info["number"].encode()
        remark = b"\xff\xfe" + struct.pack(">H", len(mark) + 2) + mark
        return _reply(request, base[:2] + remark + base[2:], "image/jpeg")

    def _reply(request: web.Request, body: bytes, kind: str) -> web.Response:
        headers = {"Last-Modified": LAST_MODIFIED, "Content-Type": kind}
        if request.headers.get("If-Modified-Since") == LAST_MODIFIED:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    app = web.Application()
    app.router.add_get("/p/{number}.html", page)
    app.router.add_get("/i/{number}.jpeg", image)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host = "127.0.0.1:" + str(runner.addresses[0][1])
    print(host, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
