"""The service's routes, joined with the parts that answer them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from aiohttp import web

from mediasvc.config.policies import via_name
from mediasvc.config.settings import Settings
from mediasvc.core.addresses.host_patterns import parse_host_pattern
from mediasvc.images.walk import Images
from mediasvc.server.http import bodies, tracing
from mediasvc.server.http.admission import Admission
from mediasvc.server.http.fast_path import FastPath, RequestIds
from mediasvc.server.http.memory import Memory
from mediasvc.server.http.middleware import Handler, Observer
from mediasvc.server.http.own_hosts import OwnHosts
from mediasvc.server.processes.purge_token import PurgeToken
from mediasvc.server.purges import PurgeFeed
from mediasvc.server.routes import pages
from mediasvc.server.routes.articles import ArticleRoutes
from mediasvc.server.routes.image_options import Guard
from mediasvc.server.routes.images import ImageRoutes
from mediasvc.server.routes.operations import OperationRoutes
from mediasvc.server.routes.pages import PageRoutes
from mediasvc.server.routes.sources import SourceRoutes
from mediasvc.server.routes.tokens import guarded
from mediasvc.wiring.parts import Parts

FAST_PATH = web.AppKey("fast_path", FastPath)
ADMISSION = web.AppKey("admission", Admission)
OBSERVER = web.AppKey("observer", Observer)

_REPORT_EVERY_S = 1.0
# Hits and misses are reported to the index less often, because that writes to a disk or to Redis.
_REPORTS_A_COUNT = 5


def create_app(settings: Settings, parts: Parts, purge_token: PurgeToken) -> web.Application:
    """The application with every route.

    The server process takes its fast path, admission and observer from it.

    purge_token: shared with all server processes of the replica.
    """
    ids = RequestIds()
    # As many as may wait for image work, plus as many as may wait for origins.
    admission = Admission(settings.queue_depth + settings.fetch_concurrency)
    memory = Memory(settings.memory_cache_bytes)
    trace = tracing.middleware()
    hosts = _own_hosts(settings)
    purges = PurgeFeed(
        token=purge_token,
        index=parts.records.index,
        images=parts.images,
        memory=memory,
        blobs=parts.blobs,
    )
    fast_path = FastPath(
        memory=memory,
        ids=ids,
        tally=parts.images.tally,
        hosts=hosts,
        is_current=purges.is_current,
        open=trace is None,
        log_hits=settings.log_level == "debug",
    )
    # Without a token, POST and DELETE are for programs: every page in a browser could use and empty the cache
    # beside it.
    observer = Observer(ids, admission, hosts=hosts, purges=purges, pages_may_write=bool(settings.api_token))
    app = web.Application(middlewares=[observer.observe, *([trace] if trace else [])])
    app[FAST_PATH], app[ADMISSION], app[OBSERVER] = fast_path, admission, observer
    sources = SourceRoutes(parts.images, memory, admission, purges, queue_depth=settings.queue_depth)

    async def background(_app: web.Application) -> AsyncIterator[None]:
        async with sources.fetching_ahead(), asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(purges.follow()),
                group.create_task(_report(fast_path, parts.images)),
            ]
            yield
            for task in tasks:
                task.cancel()
            fast_path.report()

    app.cleanup_ctx.append(background)
    _add_routes(app, settings, parts, sources)
    return app


def _add_routes(app: web.Application, settings: Settings, parts: Parts, sources: SourceRoutes) -> None:
    admission, fast_path = app[ADMISSION], app[FAST_PATH]
    images = ImageRoutes(
        parts.images,
        parts.blobs,
        fast_path.memory,
        admission,
        guard=Guard(settings.signing_keys, settings.unsigned_allowed),
        redirects_assets=settings.redirect_assets,
        via=via_name(settings),
    )
    articles = ArticleRoutes(
        parts.articles,
        admission,
        max_article_bytes=settings.max_article_bytes,
        public_url=settings.public_url,
        leave=tuple(map(parse_host_pattern, settings.leave_hosts)),
    )
    operations = OperationRoutes(
        parts.records.index, parts.blobs, parts.image_processes, admission, fast_path
    )
    described = PageRoutes(pages.read_files(), connect_to=settings.connect_to)
    _add(app, "img", "GET", "/img/{signature}/{options}/{source}", images.by_path)
    _add(app, "image", "GET", "/v1/image", images.by_query)
    _add(app, "assets", "GET", "/assets/{name}", images.asset)
    rewrite = guarded(articles.rewrite, settings.api_token)
    app.router.add_resource("/v1/rewrite", name="rewrite").add_route(
        "POST", rewrite, expect_handler=articles.expect_article
    )
    _add(app, "resolve", "GET", "/v1/resolve", sources.resolve)
    _add(app, "info", "GET", "/v1/info", guarded(sources.info, settings.api_token))
    _add(app, "warm", "POST", "/v1/warm", guarded(sources.warm, settings.api_token))
    _add(app, "cache", "DELETE", "/v1/cache", guarded(sources.purge, settings.api_token))
    _add(app, "stats", "GET", "/v1/stats", operations.stats)
    _add(app, "example", "GET", "/v1/example", described.example)
    _add(app, "healthz", "GET", "/healthz", operations.alive)
    _add(app, "readyz", "GET", "/readyz", operations.ready)
    _add(app, "metrics", "GET", "/metrics", operations.metrics)
    _add(app, "openapi", "GET", "/openapi.json", described.openapi)
    _add(app, "docs", "GET", "/docs", described.docs)
    _add(app, "index", "GET", "/", described.index)
    _add(app, "page", "GET", "/page/{file}", described.file)


def _own_hosts(settings: Settings) -> OwnHosts:
    if not settings.listens_on_loopback:
        return OwnHosts()
    public = urlsplit(settings.public_url).hostname or "localhost"
    return OwnHosts(frozenset({"localhost", public, socket.gethostname().lower()}))


def _add(app: web.Application, name: str, method: str, path: str, handler: Handler) -> None:
    """Adds a route; GET includes HEAD.

    name: of the route in metrics and log.
    """
    resource = app.router.add_resource(path, name=name)
    for one in ("GET", "HEAD") if method == "GET" else (method,):
        resource.add_route(one, handler, expect_handler=bodies.expect_continue)


async def _report(fast_path: FastPath, images: Images) -> None:
    while True:
        for _ in range(_REPORTS_A_COUNT):
            await asyncio.sleep(_REPORT_EVERY_S)
            fast_path.report()
        await images.report()
