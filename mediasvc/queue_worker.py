"""The queue worker: takes chunks of batch work, rewrites them like every other door, and returns the results."""  # noqa: E501

import asyncio
import signal
from concurrent.futures import CancelledError
from dataclasses import replace

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from mediasvc import logs
from mediasvc.batch.rewriting import (
    fit_message,
    rewrite_chunk,
    with_all_data,
    with_local_data,
    without_stored_data,
)
from mediasvc.batch.wire import chunk_from_bytes, results_to_bytes
from mediasvc.config.settings import Settings
from mediasvc.effects.queue import ACTOR, QUEUE, WorkingSide, make_broker, unpack
from mediasvc.engines import event_loop
from mediasvc.errors import ExitCode
from mediasvc.wiring.parts import Parts, open_parts
from mediasvc.wiring.records import fetch_fingerprint, store_name

# Each chunk has several articles, so this keeps the image processes busy while others wait for origins.
_CHUNKS_AT_ONCE = 4
# Limit for assets on this machine that travel with a result, to save the run a read from the object store.
_CARRIED_BYTES = 1024 * 1024
# Limit for all assets of a result where the run cannot read the store: half of Redis' limit for one value.
_MOST_BYTES = 256 * 1024 * 1024
_DRAIN_MS = 60_000


def work(settings: Settings) -> int:
    """Works until SIGTERM or Ctrl-C, and finishes chunks in hand.

    Returns the exit code: 0, or 130 for Ctrl-C.
    """
    event_loop.report()
    return event_loop.run(_work(settings))


async def _work(settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[int] = loop.create_future()

    def end(code: int) -> None:
        if not stop.done():
            stop.set_result(code)

    loop.add_signal_handler(signal.SIGTERM, end, ExitCode.DONE)
    loop.add_signal_handler(signal.SIGINT, end, ExitCode.INTERRUPTED)
    broker = make_broker(settings.queue_url)
    side = WorkingSide(settings.queue_url)
    try:
        async with open_parts(settings) as parts:
            _declare(broker, parts, side, loop, settings)
            worker = dramatiq.Worker(broker, queues={QUEUE}, worker_threads=_CHUNKS_AT_ONCE)
            # One chunk for each thread: a queue worker that prefetches more keeps them from idle ones.
            worker.queue_prefetch = _CHUNKS_AT_ONCE
            await asyncio.to_thread(worker.start)
            logs.get().info("queue_worker.ready", chunks_at_once=_CHUNKS_AT_ONCE)
            code = await stop
            logs.get().info("queue_worker.draining")
            await asyncio.to_thread(worker.stop, _DRAIN_MS)
            return code
    finally:
        await side.close()
        await asyncio.to_thread(broker.close)


def _declare(
    broker: RedisBroker, parts: Parts, side: WorkingSide, loop: asyncio.AbstractEventLoop, settings: Settings
) -> None:
    decided_by = fetch_fingerprint(settings)

    def take(run: str, name: str, packed: str) -> None:
        """Runs on a thread of Dramatiq. Raises Retry to have the chunk sent again."""
        done = _do(parts, side, settings, decided_by, run, name, packed)
        future = asyncio.run_coroutine_threadsafe(done, loop)
        try:
            future.result()
        except CancelledError:
            raise dramatiq.errors.Retry("the queue worker ends") from None

    dramatiq.actor(actor_name=ACTOR, queue_name=QUEUE, broker=broker)(take)


async def _do(
    parts: Parts, side: WorkingSide, settings: Settings, decided_by: str, run: str, name: str, packed: str
) -> None:
    if not await side.is_wanted(run):
        logs.get().info("chunk.unwanted", run=run)
        return
    try:
        chunk = chunk_from_bytes(unpack(packed))
    except (ValueError, KeyError, TypeError) as error:
        # A retry would not make it readable; the run sends the chunk again by itself.
        logs.get().error("chunk.unreadable", run=run, why=str(error))
        return
    is_shared = chunk.store == store_name(settings)
    results = await rewrite_chunk(parts.articles, chunk)
    if not is_shared:
        results = await with_all_data(parts.blobs, fit_message(results, _MOST_BYTES))
    else:
        results = await without_stored_data(parts.blobs, results)
        if settings.store_url:
            results = await with_local_data(parts.blobs, results, _CARRIED_BYTES)
    results = tuple(replace(done, settings=decided_by) for done in results)
    await side.return_result(run, name, results_to_bytes(results))
    logs.get().info("chunk.done", run=run, articles=len(results))
