"""Chunks and their results as bytes, for the queue between a run and its queue workers."""

import base64
import hashlib
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mediasvc.articles.options import Links
from mediasvc.articles.rows import Asset
from mediasvc.batch.chunks import Chunk, Done, Task
from mediasvc.batch.json_lines import dump, from_image, load, to_images
from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.records.compression import compress, decompress
from mediasvc.core.text.reference import ArticleType
from mediasvc.errors import Failure

Members = dict[str, Any]  # Any: a JSON object

_HEAD = struct.Struct(">I")


def chunk_to_bytes(chunk: Chunk) -> bytes:
    """A chunk for the queue: JSON, with the bytes of articles in base64."""
    size = chunk.default_size
    return dump(
        {
            "tasks": [
                {"content": _text(task.content), "type": task.type, "prefix": task.prefix}
                for task in chunk.tasks
            ],
            "front_matter": dict(chunk.front_matter),
            "format": chunk.format,
            "default_size": size and [size.width, size.height],
            "report_prefix": chunk.report_prefix,
            "placeholder": chunk.placeholder,
            "links": chunk.links,
            "leave": list(chunk.leave),
            "store": chunk.store,
            "began": chunk.began and chunk.began.isoformat(),
            "base_url": chunk.base_url,
        }
    )


def chunk_from_bytes(message: bytes) -> Chunk:
    """The chunk that chunk_to_bytes wrote. Raises ValueError, KeyError or TypeError for any other message."""
    members = load(message)
    size = members["default_size"]
    return Chunk(
        tasks=tuple(
            Task(
                base64.b64decode(task["content"]),
                ArticleType(task["type"]) if task["type"] else None,
                task["prefix"],
            )
            for task in members["tasks"]
        ),
        front_matter=members["front_matter"],
        format=OutputFormat(members["format"]) if members["format"] else None,
        default_size=Size(*size) if size else None,
        report_prefix=members["report_prefix"],
        placeholder=bool(members["placeholder"]),
        links=Links(members["links"]),
        leave=tuple(members["leave"]),
        store=members["store"],
        began=datetime.fromisoformat(members["began"]) if members["began"] else None,
        base_url=members["base_url"],
    )


def results_to_bytes(results: tuple[Done, ...]) -> bytes:
    """The results of a chunk for the queue.

    Layout: the length of the JSON, the compressed JSON, then the bytes of assets, each once.
    """
    data = {asset.digest: asset.data for done in results for asset in done.assets if asset.data is not None}
    head = compress(
        dump(
            {
                "results": [_from_done(done) for done in results],
                "data": {digest: len(held) for digest, held in data.items()},
            }
        )
    )
    return b"".join((_HEAD.pack(len(head)), head, *data.values()))


def results_from_bytes(message: bytes) -> tuple[Done, ...]:
    """The results that results_to_bytes wrote.

    Raises ValueError, KeyError or TypeError for any other message.
    """
    try:
        end = _HEAD.size + _HEAD.unpack_from(message)[0]
        members = load(decompress(message[_HEAD.size : end]))
        sizes = dict(members["data"])
    except struct.error as error:
        raise ValueError("not the results of a chunk") from error
    data = {}
    for digest, size in sizes.items():
        start, end = end, end + size
        data[digest] = message[start:end]
        if hashlib.sha256(data[digest]).hexdigest() != digest:
            raise ValueError("an image was damaged on its way through the queue")
    return tuple(_to_done(done, data) for done in members["results"])


def _from_done(done: Done) -> Members:
    return {
        "content": None if done.content is None else _text(done.content),
        "images": [from_image(image) for image in done.images],
        "undo": done.undo,
        "assets": [_from_asset(asset) for asset in done.assets],
        "failure": done.failure and [done.failure.code, done.failure.message],
        "warnings": done.warnings,
        "seconds": done.seconds,
        "settings": done.settings,
    }


def _to_done(members: Mapping[str, Any], data: Mapping[str, bytes]) -> Done:  # Any: a JSON object
    if not (
        isinstance(members["undo"], list)
        and isinstance(members["warnings"], list)
        and isinstance(members["seconds"], int | float)
    ):
        raise TypeError("not the result of an article")
    return Done(
        content=None if members["content"] is None else base64.b64decode(members["content"]),
        images=to_images(members["images"]),
        undo=members["undo"],
        assets=tuple(_to_asset(asset, data) for asset in members["assets"]),
        failure=_to_failure(members["failure"]),
        warnings=tuple(members["warnings"]),
        seconds=members["seconds"],
        settings=members["settings"],
    )


def _from_asset(asset: Asset) -> Members:
    return {
        "digest": asset.digest,
        "format": asset.format,
        "bytes": asset.bytes,
        "origin": asset.origin,
    }


def _to_asset(members: Mapping[str, Any], data: Mapping[str, bytes]) -> Asset:  # Any: a JSON object
    digest = members["digest"]
    return Asset(digest, Format(members["format"]), data.get(digest), members["bytes"], members["origin"])


def _to_failure(members: object) -> Failure | None:
    match members:
        case None:
            return None
        case [str(code), str(message)]:
            return Failure(code, message)
        case _:
            raise TypeError("not a failure")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
