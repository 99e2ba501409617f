"""A few articles at a time: the one function that does batch work, in process or on another machine."""

import asyncio
import base64
import hashlib
import json
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import UnionType
from typing import TYPE_CHECKING, Any

import orjson

from mediasvc import errors, logs
from mediasvc.articles.options import ArticleOptions
from mediasvc.articles.reports import Asset, Rewritten
from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.records.compression import compress, decompress
from mediasvc.core.text.reference import ArticleType, FrontMatterUse
from mediasvc.effects.blobs import Blobs
from mediasvc.errors import MediaError

if TYPE_CHECKING:  # what only looks a batch up has no use for the walk
    from mediasvc.articles.walk import Articles

_HEAD = struct.Struct(">I")


def dump(told: dict[str, Any]) -> bytes:  # Any: a JSON object
    """JSON on one line. File names that are not UTF-8 survive as lone surrogate escapes."""
    try:
        return orjson.dumps(told)
    except TypeError:
        return json.dumps(told).encode("ascii")


def load(text: bytes) -> Any:  # Any: whatever JSON holds
    """What dump wrote, or any other JSON. ValueError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


_IMAGE_TEXTS = ("source", "status")
_MAYBE_TEXTS = ("origin", "code", "original", "thumbnail")
_MAYBE_NUMBERS = ("width", "height", "bytes")


def are_images(told: object) -> bool:
    """Whether that is a list of images as reports have them."""
    return isinstance(told, list) and all(
        isinstance(image, dict)
        and holds(image, str, _IMAGE_TEXTS)
        and holds(image, str | None, _MAYBE_TEXTS)
        and holds(image, int | None, _MAYBE_NUMBERS)
        and isinstance(image.get("original_bytes"), int | None)
        for image in told
    )


def holds(
    told: Mapping[str, Any], kind: type | UnionType, names: Sequence[str]
) -> bool:  # Any: a JSON object
    """Whether all of these are there, and of this kind."""
    return all(name in told and isinstance(told[name], kind) for name in names)


@dataclass(frozen=True, slots=True)
class Task:
    """One article to rewrite. prefix: what stands before asset names in it."""

    content: bytes
    type: ArticleType
    prefix: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some articles of one run, with the options they share.

    store: where the run looks for blobs. began: failures of images from before it are tried again.
    """

    tasks: tuple[Task, ...]
    front_matter: Mapping[str, FrontMatterUse]
    format: OutputFormat | None
    default_size: Size | None
    report_prefix: str
    placeholder: bool
    store: str = ""
    began: datetime | None = None

    def to_json(self) -> bytes:
        """For the queue; bytes of articles in base64."""
        return dump(
            {
                "tasks": [
                    {"content": base64.b64encode(t.content).decode(), "type": t.type, "prefix": t.prefix}
                    for t in self.tasks
                ],
                "front_matter": dict(self.front_matter),
                "format": self.format,
                "default_size": self.default_size and [self.default_size.width, self.default_size.height],
                "report_prefix": self.report_prefix,
                "placeholder": self.placeholder,
                "store": self.store,
                "began": self.began and self.began.isoformat(),
            }
        )

    @staticmethod
    def from_json(text: bytes) -> "Chunk":
        """ValueError or KeyError on anything that to_json did not write."""
        told = load(text)
        size = told["default_size"]
        return Chunk(
            tasks=tuple(
                Task(base64.b64decode(task["content"]), ArticleType(task["type"]), task["prefix"])
                for task in told["tasks"]
            ),
            front_matter=told["front_matter"],
            format=OutputFormat(told["format"]) if told["format"] else None,
            default_size=Size(*size) if size else None,
            report_prefix=told["report_prefix"],
            placeholder=bool(told["placeholder"]),
            store=told["store"],
            began=datetime.fromisoformat(told["began"]) if told["began"] else None,
        )


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one article. content None: nothing was changed.

    error: (code, message for people, exit code) where the article as a whole failed.
    images: objects of the report's schema. edits: see core.text.edits.restore.
    """

    content: bytes | None
    images: list[dict[str, Any]]  # Any: JSON objects, written as they are
    edits: list[list[int | str]]
    assets: tuple[Asset, ...]
    error: tuple[str, str, int] | None
    warnings: list[str]
    seconds: float
    settings: str = ""

    def to_json(self) -> dict[str, object]:
        """For the queue, without the bytes of assets."""
        return {
            "content": None if self.content is None else base64.b64encode(self.content).decode(),
            "images": self.images,
            "edits": self.edits,
            "assets": [
                {
                    "digest": asset.digest,
                    "format": asset.format,
                    "bytes": asset.bytes,
                    "origin": asset.origin,
                }
                for asset in self.assets
            ],
            "error": self.error,
            "warnings": self.warnings,
            "seconds": self.seconds,
            "settings": self.settings,
        }

    @staticmethod
    def from_json(told: Mapping[str, Any], data: Mapping[str, bytes]) -> "Done":  # Any: a parsed JSON object
        """ValueError, KeyError or TypeError on anything that to_json did not write. data: bytes of assets, by digest."""
        error = told["error"]
        if (
            not are_images(told["images"])
            or not holds(told, list, ("edits", "warnings"))
            or not holds(told, int | float, ("seconds",))
            or not (error is None or list(map(type, error)) == [str, str, int])
        ):
            raise ValueError("not what became of an article")
        return Done(
            content=None if told["content"] is None else base64.b64decode(told["content"]),
            images=told["images"],
            edits=told["edits"],
            assets=tuple(
                Asset(
                    asset["digest"],
                    Format(asset["format"]),
                    data.get(asset["digest"]),
                    asset["bytes"],
                    asset["origin"],
                )
                for asset in told["assets"]
            ),
            error=None if error is None else tuple(error),
            warnings=told["warnings"],
            seconds=told["seconds"],
            settings=told.get("settings", ""),
        )


def results_to_bytes(results: tuple[Done, ...]) -> bytes:
    """A chunk's results for the queue: JSON, compressed, behind its length; then the bytes of assets, each once."""
    data = {asset.digest: asset.data for asset in _assets(results) if asset.data is not None}
    told = {
        "results": [done.to_json() for done in results],
        "data": {digest: len(held) for digest, held in data.items()},
    }
    head = compress(dump(told))
    return b"".join((_HEAD.pack(len(head)), head, *data.values()))


def results_from_bytes(message: bytes) -> tuple[Done, ...]:
    """ValueError, KeyError or TypeError on anything that results_to_bytes did not write."""
    try:
        end = _HEAD.size + _HEAD.unpack_from(message)[0]
        told = load(decompress(message[_HEAD.size : end]))
        sizes = dict(told["data"])
    except struct.error as error:
        raise ValueError("not the results of a chunk") from error
    data = {}
    for digest, size in sizes.items():
        start, end = end, end + size
        data[digest] = message[start:end]
        if hashlib.sha256(data[digest]).hexdigest() != digest:
            raise ValueError("an image came to harm on its way")
    return tuple(Done.from_json(done, data) for done in told["results"])


async def rewrite_chunk(articles: "Articles", chunk: Chunk, *, keep_data: bool = True) -> tuple[Done, ...]:
    """Every article of a chunk, at once; a failure of one is its own.

    keep_data: whether bytes of assets that the store holds as well stay in memory with the result.
    """
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_rewrite(articles, chunk, task)) for task in chunk.tasks]
    results = tuple(task.result() for task in running)
    if keep_data:
        return results
    return tuple([await _without_stored_data(articles, done) for done in results])


async def _rewrite(articles: "Articles", chunk: Chunk, task: Task) -> Done:
    started = time.perf_counter()
    options = ArticleOptions(
        type=task.type,
        front_matter=chunk.front_matter,
        format=chunk.format,
        default_size=chunk.default_size,
        prefix=task.prefix,
        report_prefix=chunk.report_prefix,
        placeholder=chunk.placeholder,
        failures_since=chunk.began,
    )
    try:
        rewritten = await articles.rewrite(task.content, options)
    except MediaError as error:
        return failed_with(error, time.perf_counter() - started)
    except Exception:
        logs.get().exception("article.bug")
        message = "a bug in mediasvc; the log has the details, and the article is as it was"
        return failed_with(MediaError(message), time.perf_counter() - started)
    return done_with(task.content, rewritten, time.perf_counter() - started)


def failed_with(error: MediaError, seconds: float) -> Done:
    """What became of an article that could not be walked."""
    return Done(None, [], [], (), (error.code, str(error), error.exit_code), [], seconds)


def done_with(article: bytes, rewritten: Rewritten, seconds: float) -> Done:
    """What became of an article that was walked."""
    content = rewritten.content
    return Done(
        content=None if content == article else content,
        images=[image.to_json() for image in rewritten.images],
        edits=rewritten.way_back,
        assets=rewritten.assets,
        error=None,
        warnings=list(rewritten.warnings),
        seconds=round(seconds, 4),
    )


async def _without_stored_data(articles: "Articles", done: Done) -> Done:
    assets = []
    for asset in done.assets:
        stored = asset.data is not None and await _is_stored(articles, asset.digest)
        assets.append(replace(asset, data=None) if stored else asset)
    return replace(done, assets=tuple(assets))


def that_fit(results: tuple[Done, ...], most: int) -> tuple[Done, ...]:
    """The same; articles whose assets find no room any more have failed in a way that may pass: the next run asks for
    them without those that have.

    most: bytes of all assets, each counted once.
    """
    carried: dict[str, int] = {}
    fitting = []
    for done in results:
        wanted = carried | {asset.digest: asset.bytes for asset in done.assets}
        if sum(wanted.values()) <= most:
            carried = wanted
            fitting.append(done)
        else:
            why = "its images are too large for the queue; let run and workers share a store (MEDIASVC_STORE_URL)"
            fitting.append(failed_with(errors.StoreFailed(why), done.seconds))
    return tuple(fitting)


async def with_all_data(articles: "Articles", results: tuple[Done, ...]) -> tuple[Done, ...]:
    """The same, every asset with its bytes: for a run that cannot look into our store."""
    data = {}
    for asset in _assets(results):
        if asset.data is None and asset.digest not in data:
            data[asset.digest] = await articles.read_blob(asset.digest)
    return _with_data(results, data)


async def with_local_data(local: Blobs, results: tuple[Done, ...], most: int) -> tuple[Done, ...]:
    """The same, with bytes of assets that lie on this machine, the smallest first, for a run that has not got them here.

    most: bytes of all of them.
    """
    sizes = {asset.digest: asset.bytes for asset in _assets(results) if asset.data is None}
    chosen = []
    for digest in sorted(sizes, key=sizes.__getitem__):
        most -= sizes[digest]
        if most < 0:
            break
        chosen.append(digest)
    return _with_data(
        results, dict(zip(chosen, await asyncio.gather(*(_read(local, one) for one in chosen)), strict=True))
    )


async def _read(blobs: Blobs, digest: str) -> bytes | None:
    try:
        return await blobs.read(digest)
    except errors.StoreFailed:  # counted there; the run can have it from the object store
        return None


def _with_data(results: tuple[Done, ...], data: Mapping[str, bytes | None]) -> tuple[Done, ...]:
    return tuple(
        replace(
            done,
            assets=tuple(
                asset if asset.data is not None else replace(asset, data=data.get(asset.digest))
                for asset in done.assets
            ),
        )
        for done in results
    )


def _assets(results: tuple[Done, ...]) -> Iterator[Asset]:
    return (asset for done in results for asset in done.assets)


async def _is_stored(articles: "Articles", digest: str) -> bool:
    try:
        return await articles.has_blob(digest)
    except errors.StoreFailed:
        return False


def exit_code_of(
    done_images: list[dict[str, Any]], error: tuple[str, str, int] | None
) -> int:  # Any: as in Done
    """Of one article: 0, or the worst of its failures (bug, usage, temporary, permanent)."""
    codes = [errors.kind_of(image["code"]).exit_code for image in done_images if image["status"] == "failed"]
    # An address that we cannot even read is a failure of the article's, not a wrong use of the command.
    codes = [errors.ExitCode.PERMANENT if code is errors.ExitCode.USAGE else code for code in codes]
    return errors.worst_exit_code([*codes, error[2]] if error else codes)
