"""The origin of the demo: a web server on loopback that paints a landscape for every picture address."""

import asyncio
import functools
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from mediasvc.demo.paint import paint

HOST: Final = "127.0.0.1"
NEWS_HOSTS: Final = ("static.news.example", "img.news.example")
PICTURE_ENDINGS: Final = (".jpeg", ".jpg")

_painted = functools.lru_cache(maxsize=32)(paint)


@dataclass(slots=True)
class Origin:
    """A running origin. requests: number of answered requests."""

    port: int = 0
    requests: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        """A picture, or 404 for a path without a picture's ending."""
        self.requests += 1
        if not request.path.endswith(PICTURE_ENDINGS):
            raise web.HTTPNotFound(text="This origin holds pictures only.\n")
        data = await asyncio.to_thread(_painted, request.path)
        etag = hashlib.sha256(data).hexdigest()[:32]
        headers = {"Cache-Control": "public, max-age=86400", "ETag": f'"{etag}"'}
        if any(etag == known.value for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, content_type="image/jpeg", headers=headers)


@asynccontextmanager
async def open_origin() -> AsyncIterator[Origin]:
    """An origin that listens on a free port of 127.0.0.1 while the block runs."""
    origin = Origin()
    app = web.Application()
    app.router.add_get("/{path:.*}", origin.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        origin.port = int(runner.addresses[0][1])
        yield origin
    finally:
        await runner.cleanup()


@contextmanager
def origin_beside() -> Iterator[Origin]:
    """An origin in a thread of its own, for callers whose own thread is taken."""
    started: Future[tuple[Origin, Callable[[], object]]] = Future()

    async def run() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with open_origin() as origin:
            started.set_result((origin, lambda: loop.call_soon_threadsafe(stopped.set)))
            await stopped.wait()

    def run_until_stopped() -> None:
        try:
            asyncio.run(run())
        except OSError as error:  # no port to be had
            started.set_exception(error)

    thread = threading.Thread(target=run_until_stopped, name="demo-origin", daemon=True)
    thread.start()
    origin, stop = started.result()
    try:
        yield origin
    finally:
        stop()
        thread.join()


def connect_to(port: int) -> str:
    """What leads the hosts of the bundled article to that port, as MEDIASVC_CONNECT_TO writes it.

    The hosts are below .example, which never resolves (RFC 6761), so no real host is shadowed.
    """
    return ",".join(f"{host}:80={HOST}:{port}" for host in NEWS_HOSTS)
