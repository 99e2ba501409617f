"""Opens and joins every part, on top of the records."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from mediasvc import logs, wiring
from mediasvc.articles.walk import Articles
from mediasvc.config import policies
from mediasvc.config.settings import Settings
from mediasvc.core.addresses.policy import FetchPolicy
from mediasvc.effects.blobs import Blobs, RemoteStore
from mediasvc.effects.fetch.fetcher import Fetcher
from mediasvc.effects.fetch.names import SystemNames
from mediasvc.effects.fetch.sockets import Connections
from mediasvc.effects.imaging.pool import ImageProcesses
from mediasvc.effects.index import Index
from mediasvc.effects.locks.single_flight import SingleFlight
from mediasvc.effects.machine import usable_cores
from mediasvc.errors import InvalidSettings, StoreFailed
from mediasvc.images.walk import Images
from mediasvc.wiring.records import Records, open_local_blobs, open_records

_TRIM_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a door needs, opened.

    begin_work: starts image processes and opens connections where `open_parts` did not; further calls do
    nothing.
    """

    images: Images
    articles: Articles
    blobs: Blobs
    records: Records
    image_processes: ImageProcesses
    begin_work: Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_parts(
    settings: Settings,
    records: Records | None = None,
    *,
    image_processes: int | None = None,
    image_work: bool = True,
    reports_engines: bool = True,
) -> AsyncIterator[Parts]:
    """Opens every part in order, and closes them in reverse.

    records: given where the caller has opened them already.
    image_processes: how many; None is one for each core.
    image_work: False for callers that may only look things up. Connections and tidying up then wait until
    work begins,
        and image processes until there is an image for them.
    reports_engines: whether libraries that cannot be used are logged.
    Raises InvalidSettings, StoreFailed.
    """
    addresses = policies.make_addresses(settings)
    async with AsyncExitStack() as stack:
        if records is None:
            records = await stack.enter_async_context(open_records(settings))
        blobs = await _open_blobs(settings, stack)
        pool = ImageProcesses(
            processes=image_processes or usable_cores(),
            queue_depth=settings.queue_depth,
            timeout_s=settings.image_timeout,
            limits=policies.limits(settings),
            eager=image_work,
            reports_engines=reports_engines,
        )
        connections, fetcher = _make_fetcher(settings, addresses.policy)
        # A stack of its own: what is opened late is closed in its turn all the same.
        at_work = await stack.enter_async_context(AsyncExitStack())
        flights = SingleFlight(records.locks)
        stack.push_async_callback(flights.close)
        images = Images(
            addresses=addresses,
            fetcher=fetcher,
            image_processes=pool,
            blobs=blobs,
            index=records.index,
            flights=flights,
            rules=policies.cache_rules(settings),
            clock=lambda: datetime.now(UTC),
        )
        stack.push_async_callback(images.close)
        articles = Articles(
            images, addresses, signing_keys=settings.signing_keys, public_url=settings.public_url
        )
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
                    await at_work.enter_async_context(pool)
                    at_work.push_async_callback(_end, asyncio.create_task(_tidy(blobs, records.index)))
                    has_begun = True

        if image_work:
            await begin_work()
        yield Parts(
            images=images,
            articles=articles,
            blobs=blobs,
            records=records,
            image_processes=pool,
            begin_work=begin_work,
        )


def _make_fetcher(settings: Settings, policy: FetchPolicy) -> tuple[Connections, Fetcher]:
    """The fetcher, and the connections that it uses once they are opened."""
    rules = policies.fetch_rules(settings)
    headers = policies.host_headers(settings)
    connections = Connections(
        policy, rules, SystemNames(), ca_file=settings.ca_file, proxy=settings.fetch_proxy or None
    )
    return connections, Fetcher(policy, rules, headers, connections, via=policies.via_name(settings))


async def _open_blobs(settings: Settings, stack: AsyncExitStack) -> Blobs:
    """The folder of blobs, in front of the object store where one is set."""
    local_blobs = await stack.enter_async_context(open_local_blobs(settings))
    if not settings.store_url:
        return local_blobs
    blobs = wiring.FrontedBlobs(_open_remote_store(settings.store_url), local_blobs)
    stack.push_async_callback(blobs.close)
    return blobs


def _open_remote_store(url: str) -> RemoteStore:
    """The store that the scheme of a URL names. InvalidSettings."""
    match url.partition("://")[0]:
        case "s3" | "gs" | "az":
            # Loaded here, as Redis in records: the library is a sixth of the memory of a process.
            return wiring.open_object_store(url)
        case _:
            raise InvalidSettings("MEDIASVC_STORE_URL: one of s3://, gs:// and az:// is wanted")


async def _tidy(blobs: Blobs, index: Index) -> None:
    """Runs in the background: removes leftovers of killed processes and expired rows once, then evicts again
    and again.

    Eviction has to be repeated because blobs that are pinned at first stay.
    """
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
