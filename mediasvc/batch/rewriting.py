"""Rewriting one chunk, in the process of the run or in a queue worker, and the bytes that its results carry."""  # noqa: E501

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mediasvc import logs
from mediasvc.articles.options import ArticleOptions
from mediasvc.articles.rows import Asset, Rewritten
from mediasvc.batch.chunks import Chunk, Done, Task
from mediasvc.core.addresses.host_patterns import parse_host_pattern
from mediasvc.effects.blobs import Blobs
from mediasvc.errors import Failure, MediaError, StoreFailed

if TYPE_CHECKING:  # a run that finds every article done never needs the walk
    from mediasvc.articles.walk import Articles

_BUG = "a bug in mediasvc; the log has the details, and the article is as it was"
_NO_ROOM = "its images are too large for the queue; let run and workers share a store (MEDIASVC_STORE_URL)"

Results = tuple[Done, ...]


async def rewrite_chunk(articles: "Articles", chunk: Chunk) -> Results:
    """Rewrites every article of a chunk, at once. A failure of one leaves the others alone."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_rewrite(articles, chunk, task)) for task in chunk.tasks]
    return tuple(task.result() for task in running)


async def _rewrite(articles: "Articles", chunk: Chunk, task: Task) -> Done:
    started = time.perf_counter()
    try:
        rewritten = await articles.rewrite(task.content, _options(chunk, task))
    except MediaError as error:
        return failed_with(error, time.perf_counter() - started)
    except Exception:
        logs.get().exception("article.bug")
        return failed_with(MediaError(_BUG), time.perf_counter() - started)
    return done_with(task.content, rewritten, time.perf_counter() - started)


def _options(chunk: Chunk, task: Task) -> ArticleOptions:
    return ArticleOptions(
        type=task.type,
        base_url=chunk.base_url,
        front_matter=chunk.front_matter,
        format=chunk.format,
        default_size=chunk.default_size,
        prefix=task.prefix,
        report_prefix=chunk.report_prefix,
        placeholder=chunk.placeholder,
        links=chunk.links,
        leave=tuple(map(parse_host_pattern, chunk.leave)),
        failures_since=chunk.began,
    )


def failed_with(error: MediaError, seconds: float) -> Done:
    """The result of an article that failed as a whole."""
    return Done(None, (), [], (), Failure.of(error), (), seconds)


def done_with(article: bytes, rewritten: Rewritten, seconds: float) -> Done:
    """The result of an article that was rewritten."""
    content = rewritten.content
    return Done(
        content=None if content == article else content,
        images=rewritten.images,
        undo=rewritten.undo_record,
        assets=rewritten.assets,
        failure=None,
        warnings=rewritten.warnings,
        seconds=round(seconds, 4),
    )


async def without_stored_data(blobs: Blobs, results: Results) -> Results:
    """The results without the bytes that the store has as well."""
    return tuple([await _without_stored_data(blobs, done) for done in results])


async def _without_stored_data(blobs: Blobs, done: Done) -> Done:
    assets = []
    for asset in done.assets:
        stored = asset.data is not None and await _is_stored(blobs, asset.digest)
        assets.append(replace(asset, data=None) if stored else asset)
    return replace(done, assets=tuple(assets))


async def _is_stored(blobs: Blobs, digest: str) -> bool:
    try:
        return await blobs.size(digest) is not None
    except StoreFailed:
        return False


def fit_message(results: Results, most: int) -> Results:
    """The results, those whose assets find no room replaced by a temporary failure.

    most: bytes of all assets, each counted once.
    The next run asks for the articles that failed without those that fit.
    """
    carried: dict[str, int] = {}
    fitting = []
    for done in results:
        wanted = carried | {asset.digest: asset.bytes for asset in done.assets}
        if sum(wanted.values()) <= most:
            carried = wanted
            fitting.append(done)
        else:
            fitting.append(failed_with(StoreFailed(_NO_ROOM), done.seconds))
    return tuple(fitting)


async def with_all_data(blobs: Blobs, results: Results) -> Results:
    """The results with the bytes of every asset: for a run that cannot read this store."""
    data = {}
    for asset in _assets(results):
        if asset.data is None and asset.digest not in data:
            data[asset.digest] = await blobs.read(asset.digest)
    return _with_data(results, data)


async def with_local_data(blobs: Blobs, results: Results, most: int) -> Results:
    """The results with bytes of assets that this machine has, the smallest first: the run then pulls fewer
    blobs.

    most: bytes of all of them.
    """
    sizes = {asset.digest: asset.bytes for asset in _assets(results) if asset.data is None}
    chosen = []
    for digest in sorted(sizes, key=sizes.__getitem__):
        most -= sizes[digest]
        if most < 0:
            break
        chosen.append(digest)
    found = await asyncio.gather(*(_read(blobs, digest) for digest in chosen))
    return _with_data(results, dict(zip(chosen, found, strict=True)))


async def _read(blobs: Blobs, digest: str) -> bytes | None:
    try:
        return await blobs.read_local(digest)
    except StoreFailed:  # counted there; the run can read the blob from the object store
        return None


def _with_data(results: Results, data: Mapping[str, bytes | None]) -> Results:
    return tuple(
        replace(done, assets=tuple(_completed(asset, data) for asset in done.assets)) for done in results
    )


def _completed(asset: Asset, data: Mapping[str, bytes | None]) -> Asset:
    return asset if asset.data is not None else replace(asset, data=data.get(asset.digest))


def _assets(results: Results) -> Iterator[Asset]:
    return (asset for done in results for asset in done.assets)
