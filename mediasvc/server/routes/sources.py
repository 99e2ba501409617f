"""Routes about one source: what it resolves to, what it is, fetching it ahead, and forgetting it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from mediasvc import logs
from mediasvc.core import geometry
from mediasvc.core.picture import ThumbnailSpec
from mediasvc.errors import InvalidRequest, MediaError, Overloaded
from mediasvc.images.walk import Images
from mediasvc.server.http import bodies
from mediasvc.server.http.admission import Admission
from mediasvc.server.http.memory import Memory
from mediasvc.server.purges import PurgeFeed
from mediasvc.server.routes import image_options
from mediasvc.server.routes.images import query_pairs

_URL = frozenset({"url"})
_MAX_WARM_BODY_BYTES = 1024 * 1024
_WARM_BODIES_TOGETHER = 32
_MAX_WARM_IMAGES = 1000
_WARM_AT_ONCE = 4

Wanted = tuple[str, ThumbnailSpec | None]


class SourceRoutes:
    """resolve, info, warm and purge."""

    def __init__(
        self, images: Images, memory: Memory, admission: Admission, purges: PurgeFeed, *, queue_depth: int
    ) -> None:
        """queue_depth: images that may wait to be fetched ahead; a whole request is always accepted while
        none waits.
        """
        self.images = images
        self.memory = memory
        self.admission = admission
        self.purges = purges
        self._bodies = bodies.Bodies(_WARM_BODIES_TOGETHER * _MAX_WARM_BODY_BYTES)
        self._ahead: asyncio.Queue[Wanted] = asyncio.Queue(max(queue_depth, _MAX_WARM_IMAGES))

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        """The origin of an address without its wrappers; uses no network."""
        resolution = self.images.explain(_url(request))
        return _json(
            {
                "source": resolution.source,
                "origin": resolution.origin,
                "layers": [{"wrapper": layer.wrapper, "url": layer.url} for layer in resolution.layers],
            }
        )

    async def info(self, request: web.Request) -> web.StreamResponse:
        """Facts about an original, which is fetched where needed."""
        address = _url(request)
        with self.admission.enter():
            info = await self.images.info(address)
        return _json(info.members())

    async def warm(self, request: web.Request) -> web.StreamResponse:
        """Accepts all of the images, or none with 503."""
        if request.content_type != "application/json":
            raise InvalidRequest("the body needs a Content-Type that we read: application/json")
        async with self._bodies.read(request, _MAX_WARM_BODY_BYTES) as body:
            wanted = self._wanted(bodies.parse_object(body, frozenset({"images"})).get("images"))
        self.admission.check()
        if self._ahead.qsize() + len(wanted) > self._ahead.maxsize:
            raise Overloaded("too many images wait to be fetched; try again", retry_after_s=5)
        for one in wanted:
            self._ahead.put_nowait(one)
        return _json({"accepted": len(wanted)}, status=202)

    def _wanted(self, images: object) -> list[Wanted]:
        if not isinstance(images, list) or not 1 <= len(images) <= _MAX_WARM_IMAGES:
            raise InvalidRequest(f"images is a list of 1 to {_MAX_WARM_IMAGES} objects")
        wanted: dict[Wanted, None] = {}
        for image in images:
            if not isinstance(image, dict) or not set(image) <= {"url", "size"}:
                raise InvalidRequest('each image is an object of "url" and "size"')
            url, text = image.get("url"), image.get("size")
            if isinstance(text, list) and len(text) == 2 and all(_is_whole(side) for side in text):
                text = f"{text[0]:.0f},{text[1]:.0f}"  # as reports write a declared size
            if not isinstance(url, str) or not isinstance(text, str | None):
                raise InvalidRequest('"url" is a string, and "size" too where it is given')
            self.images.resolve(url)
            size = None if text is None else geometry.parse_box(text)
            if text is not None and size is None:
                raise InvalidRequest(f"size is written like 600,400, each side 1 to {geometry.MAX_SIDE_PX}")
            wanted[url, None if size is None else ThumbnailSpec(size)] = None
        return list(wanted)

    async def purge(self, request: web.Request) -> web.StreamResponse:
        """Forgets an original and its thumbnails: in all processes of this replica before the reply,
        elsewhere soon.
        """
        self.memory.forget(await self.images.purge(_url(request)))
        self.purges.announce()
        return web.Response(status=204)

    @asynccontextmanager
    async def fetching_ahead(self) -> AsyncIterator[None]:
        """Fetches queued images inside the block, a few at a time; images that still wait at its end are
        dropped.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._fetch_ahead()) for _ in range(_WARM_AT_ONCE)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _fetch_ahead(self) -> None:
        while True:
            url, spec = await self._ahead.get()
            try:
                original = await self.images.obtain(url, spec)
                await self.images.serve(original, spec)
            except MediaError as error:
                logs.get().info("image.not_warmed", code=error.code)
            except Exception as error:
                # A bug with one image must not end the fetching of all others.
                logs.get().error("image.not_warmed", exc_info=error)


def _url(request: web.Request) -> str:
    url = image_options.single_values(query_pairs(request), _URL).get("url")
    if url is None:
        raise InvalidRequest("url is missing")
    return url


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def _is_whole(side: object) -> bool:
    """JSON knows one kind of number: 600.0 is as whole as 600."""
    return type(side) is int or (isinstance(side, float) and side.is_integer())
