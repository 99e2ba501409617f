"""The only place that picks concrete parts and joins them."""

import asyncio
import hashlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files as package_files
from pathlib import Path
from urllib.parse import urlsplit

from mediasvc import logs
from mediasvc.articles.walk import Articles
from mediasvc.core import hostheaders, urls, wrapperrules
from mediasvc.core.caching import CacheRules
from mediasvc.core.picture import Limits
from mediasvc.core.policy import FetchPolicy, parse_connect_to
from mediasvc.core.replies import FetchRules
from mediasvc.effects.blobs import Blobs
from mediasvc.effects.blobs.files import FileBlobs
from mediasvc.effects.fetch import Fetcher
from mediasvc.effects.file_locks import FileLocks
from mediasvc.effects.flights import Flights, Locks
from mediasvc.effects.index import Index, SqliteIndex
from mediasvc.effects.journal import Journal, SqliteJournal
from mediasvc.effects.names import SystemNames
from mediasvc.effects.sockets import Connections
from mediasvc.effects.workers import ImageWorkers
from mediasvc.errors import InvalidSettings, StoreFailed
from mediasvc.images.addresses import Addresses
from mediasvc.images.walk import Images
from mediasvc.settings import Settings

_TRIM_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a door needs, opened. local_blobs: the folder of blobs on this machine.

    begin_work: starts image processes and opens connections, where that was put off; as often as one likes.
    turns: for runs over one folder, of this machine as is the journal.
    """

    images: Images
    articles: Articles
    blobs: Blobs
    local_blobs: FileBlobs
    index: Index
    journal: Journal
    workers: ImageWorkers
    fetcher: Fetcher
    begin_work: Callable[[], Awaitable[None]]
    turns: Locks


def make_addresses(settings: Settings) -> Addresses:
    """What resolves and checks addresses; needs nothing open. InvalidSettings."""
    rules = urls.parse_rules(_packaged("wrappers.toml"), "built-in wrappers.toml")
    return Addresses(urls.Resolver(_own_wrappers(settings) + rules), _policy(settings))


def _policy(settings: Settings) -> FetchPolicy:
    own = {f"{settings.host.strip('[]')}:{settings.port}"} if settings.port else set()
    public = urlsplit(settings.public_url)
    prefixes: tuple[str, ...] = ()
    if public.netloc and public.path in {"", "/"}:
        own.add(public.netloc.rpartition("@")[2])
    elif public.netloc:  # under a path of another site's host, whose own images are nobody's loop
        place = f"{public.scheme}://{public.netloc.rpartition('@')[2]}{public.path}"
        prefixes = tuple(urls.normalise(f"{place}/{route}/") for route in ("img", "v1"))
    return FetchPolicy(
        allowed_ports=settings.allowed_ports,
        allowed_hosts=settings.allowed_hosts,
        denied_hosts=settings.denied_hosts,
        allowed_cidrs=settings.allowed_cidrs,
        connect_to=parse_connect_to(settings.connect_to),
        own_hosts=frozenset(own),
        own_prefixes=prefixes,
    )


def find_problems(settings: Settings) -> Iterator[str]:
    """What is wrong with settings that only their readers can tell: rules, tables, certificates, addresses."""
    for name, read in (
        ("CONNECT_TO", lambda: parse_connect_to(settings.connect_to)),
        ("ALLOWED_HOSTS", lambda: FetchPolicy(allowed_hosts=settings.allowed_hosts)),
        ("DENIED_HOSTS", lambda: FetchPolicy(denied_hosts=settings.denied_hosts)),
        ("WRAPPERS_FILE", lambda: _own_wrappers(settings)),
        ("HEADERS_FILE", lambda: _own_headers(settings)),
        ("CA_FILE", lambda: _own_authorities(settings)),
    ):
        try:
            read()
        except InvalidSettings as error:
            for line in str(error).splitlines():
                yield (
                    line
                    if line.startswith("MEDIASVC_")
                    else f"MEDIASVC_{name}: {line.removeprefix(name + ': ')}"
                )


def _own_wrappers(settings: Settings) -> tuple[wrapperrules.Rule, ...]:
    path = settings.wrappers_file
    return urls.parse_rules(_text_of(path), str(path)) if path is not None and path.is_file() else ()


def _own_headers(settings: Settings) -> tuple[hostheaders.HostRule, ...]:
    path = settings.headers_file
    return hostheaders.parse_rules(_text_of(path), str(path)) if path is not None and path.is_file() else ()


def _own_authorities(settings: Settings) -> None:
    path = settings.ca_file
    if path is not None and path.is_file():
        try:
            ssl.create_default_context(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise InvalidSettings(f"{path} holds no certificates (PEM)") from error


def _packaged(name: str) -> str:
    return package_files("mediasvc.core").joinpath(name).read_text(encoding="utf-8")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path}: cannot be read as text") from error


def _host_headers(settings: Settings) -> hostheaders.HostHeaders:
    rules = hostheaders.parse_rules(_packaged("hotlink.toml"), "hotlink.toml")
    return hostheaders.HostHeaders(_own_headers(settings) + rules)


def _fetch_rules(settings: Settings) -> FetchRules:
    return FetchRules(
        timeout_s=settings.fetch_timeout,
        connect_timeout_s=settings.fetch_connect_timeout,
        min_speed=settings.fetch_min_speed,
        retries=settings.fetch_retries,
        concurrency=settings.fetch_concurrency,
        per_host=settings.fetch_per_host,
        max_redirects=settings.max_redirects,
        max_bytes=settings.max_source_bytes,
    )


def _cache_rules(settings: Settings) -> CacheRules:
    return CacheRules(
        min_ttl=timedelta(seconds=settings.min_ttl),
        default_ttl=timedelta(seconds=settings.default_ttl),
        stale_if_error=timedelta(seconds=settings.stale_if_error),
        error_ttl=timedelta(seconds=settings.error_ttl),
        missing_ttl=timedelta(seconds=settings.missing_ttl),
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_pixels=settings.max_pixels,
        max_frames_pixels=settings.max_frames_pixels,
        allow_svg=settings.allow_svg,
    )


def via_name(settings: Settings) -> str:
    """Our name in Via: the same in all replicas of a deployment, another one in the next deployment of a chain."""
    keys = b"".join(settings.signing_keys)
    own = keys or (settings.public_url or f"{socket.gethostname()}:{settings.data_dir}").encode()
    return f"mediasvc-{hashlib.sha256(b'via ' + own).hexdigest()[:12]}"


def store_name(settings: Settings) -> str:
    """Equal for two programs that find each other's blobs."""
    return settings.store_url or f"{socket.gethostname()}:{settings.data_dir.resolve()}"


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@asynccontextmanager
async def open_parts(
    settings: Settings, *, image_processes: int | None = None, image_work: bool = True
) -> AsyncIterator[Parts]:
    """Every part, opened in order and closed in reverse.

    image_processes: None is one for each core. image_work False, for callers that perhaps only look things up:
    connections and tidying up wait until work begins, and image processes until there is an image for them.
    InvalidSettings, StoreFailed.
    """
    addresses = make_addresses(settings)
    headers = _host_headers(settings)
    _make_folder(settings.data_dir)
    async with AsyncExitStack() as stack:
        local_blobs = FileBlobs(settings.data_dir / "blobs", settings.cache_max_bytes)
        stack.push_async_callback(local_blobs.close)
        blobs: Blobs = local_blobs
        if settings.store_url:
            # Here, as Redis below: on a single machine their libraries would be a sixth of every process, for nothing.
            from mediasvc.effects.blobs.objects import ObjectBlobs, open_store

            blobs = ObjectBlobs(open_store(settings.store_url), local_blobs)
            stack.push_async_callback(blobs.close)
        index, locks = _shared_or_local(settings, stack)
        journal = SqliteJournal(settings.data_dir / "journal.sqlite")
        stack.push_async_callback(journal.close)
        workers = ImageWorkers(
            processes=image_processes or cores(),
            queue_depth=settings.queue_depth,
            timeout_s=settings.image_timeout,
            limits=_limits(settings),
            eager=image_work,
        )
        fetch_rules = _fetch_rules(settings)
        connections = Connections(
            addresses.policy,
            fetch_rules,
            SystemNames(),
            ca_file=settings.ca_file,
            proxy=settings.fetch_proxy or None,
        )
        fetcher = Fetcher(addresses.policy, fetch_rules, headers, connections, via=via_name(settings))
        # Closed in their turn, however late they were opened.
        at_work = await stack.enter_async_context(AsyncExitStack())
        flights = Flights(locks)
        stack.push_async_callback(flights.close)
        images = Images(
            addresses=addresses,
            fetcher=fetcher,
            workers=workers,
            blobs=blobs,
            index=index,
            flights=flights,
            rules=_cache_rules(settings),
            clock=lambda: datetime.now(UTC),
        )
        stack.push_async_callback(images.close)
        articles = Articles(images, signing_keys=settings.signing_keys, public_url=settings.public_url)
        beginning = asyncio.Lock()
        has_begun = False

        async def begin_work() -> None:
            nonlocal has_begun
            async with beginning:
                if not has_begun:
                    try:
                        await at_work.enter_async_context(connections)
                    except OSError as error:
                        message = f"MEDIASVC_CA_FILE: {settings.ca_file} holds no certificates"
                        raise InvalidSettings(message) from error
                    await at_work.enter_async_context(workers)
                    at_work.push_async_callback(_end, asyncio.create_task(_tidy(local_blobs, index)))
                    has_begun = True

        if image_work:
            await begin_work()
        turns = FileLocks(settings.data_dir / "turns")
        stack.push_async_callback(turns.close)
        yield Parts(images, articles, blobs, local_blobs, index, journal, workers, fetcher, begin_work, turns)


async def _tidy(blobs: FileBlobs, index: Index) -> None:
    """Leftovers of processes that were killed, and rows past their time; then, again and again, blobs that were lent
    when they should have made room. Beside everything else."""
    try:
        await blobs.sweep()
        await index.prune()
    except StoreFailed as error:
        logs.get().warning("store.untidied", why=str(error))
    while True:
        await asyncio.sleep(_TRIM_EVERY_S)
        with suppress(StoreFailed):  # logged and counted there
            await blobs.trim()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _shared_or_local(settings: Settings, stack: AsyncExitStack) -> tuple[Index, Locks]:
    """Index and locks in Redis, for any number of machines, or in the data folder, for this one."""
    index: Index
    locks: Locks
    if settings.index_url:
        from mediasvc.effects.redis_index import RedisIndex
        from mediasvc.effects.redis_locks import RedisLocks
        from mediasvc.engines.redis import RedisLink

        try:
            link = RedisLink(settings.index_url)
        except ValueError as error:
            raise InvalidSettings(f"MEDIASVC_INDEX_URL: {error}") from error
        stack.push_async_callback(link.close)
        index, locks = RedisIndex(link), RedisLocks(link)
    else:
        index = SqliteIndex(settings.data_dir / "index.sqlite")
        locks = FileLocks(settings.data_dir / "flights.lock")
    stack.push_async_callback(index.close)
    return index, locks


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(f"MEDIASVC_DATA_DIR: cannot make the folder {path}") from error
