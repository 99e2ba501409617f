"""A web server on loopback that answers every picture address with a landscape of its own."""

import asyncio
import functools
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from mediasvc.demo.paint import paint

HOST: Final = "127.0.0.1"
NEWS_HOSTS: Final = ("static.news.example", "img.news.example")
PICTURE_ENDINGS: Final = (".jpeg", ".jpg")

_painted = functools.lru_cache(maxsize=32)(paint)


@asynccontextmanager
async def open_origin() -> AsyncIterator[int]:
    """The port on which the origin listens while the block runs; a free one on 127.0.0.1."""
    app = web.Application()
    app.router.add_get("/{path:.*}", _picture)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def connect_to(port: int) -> str:
    """What leads the hosts of the bundled article to that port, as MEDIASVC_CONNECT_TO writes it.

    The hosts lie under .example, which never resolves (RFC 6761), so nothing real is shadowed.
    """
    return ",".join(f"{host}:80={HOST}:{port}" for host in NEWS_HOSTS)


async def _picture(request: web.Request) -> web.Response:
    if not request.path.endswith(PICTURE_ENDINGS):
        raise web.HTTPNotFound(text="This origin holds pictures only.\n")
    data = await asyncio.to_thread(_painted, request.path)
    etag = hashlib.sha256(data).hexdigest()[:32]
    headers = {"Cache-Control": "public, max-age=86400", "ETag": f'"{etag}"'}
    if any(etag == known.value for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=data, content_type="image/jpeg", headers=headers)
