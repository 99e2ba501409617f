"""Rows of a report as JSON, one object a line: the only place that knows the names of their members."""

import json
from operator import itemgetter
from typing import Any, TypeVar

import orjson

from mediasvc.articles.rows import Counts, ImageRow, Status
from mediasvc.batch.rows import ArticleRow, ArticleStatus
from mediasvc.core.geometry import Size
from mediasvc.errors import Failure

Members = dict[str, Any]  # Any: a JSON object
T = TypeVar("T")

_STATUSES = {status.value: status for status in Status}
_ARTICLE_STATUSES = {status.value: status for status in ArticleStatus}
_TEXTS = itemgetter("origin", "code", "original", "thumbnail")
_NUMBERS = itemgetter("width", "height", "bytes")
_TEXT_TYPES = frozenset({str, type(None)})
_NUMBER_TYPES = frozenset({int, type(None)})
_OPTIONAL = ("why", "via", "media_type")  # members that are written only where they are set


def dump(value: object) -> bytes:
    """JSON on one line. File names that are not UTF-8 survive as lone surrogate escapes."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode("ascii")


def load(text: bytes) -> Any:  # Any: whatever JSON holds
    """The value that dump wrote, or any other JSON. Raises ValueError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def to_line(row: ArticleRow) -> bytes:
    """The line of one article, with its line end."""
    return dump(_from_article(row)) + b"\n"


def from_line(line: bytes) -> ArticleRow:
    """The row that to_line wrote, here or in an earlier version. Raises ValueError for any other line."""
    try:
        return _to_article(load(line))
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError("not the object of an article") from error


def _from_article(row: ArticleRow) -> Members:
    return {
        "path": row.path,
        "out": row.out,
        "root": row.root,
        "status": row.status.value,
        "error": row.failure and row.failure.code,
        "message": row.failure and row.failure.message,
        "digest_in": row.digest_in,
        "digest_out": row.digest_out,
        "images": [from_image(image) for image in row.images],
        "counts": from_counts(row.counts),
        "warnings": row.warnings,
        "seconds": row.seconds,
        "edits": row.undo,
    }


def _to_article(members: Members) -> ArticleRow:
    error = _maybe(members["error"], str)
    return ArticleRow(
        path=_of(members["path"], str),
        out=_of(members["out"], str),
        root=_of(members.get("root", ""), str),
        status=_ARTICLE_STATUSES[members["status"]],
        failure=None if error is None else Failure(error, members.get("message") or ""),
        digest_in=_maybe(members.get("digest_in"), str),
        digest_out=_maybe(members.get("digest_out"), str),
        images=to_images(members["images"]),
        warnings=tuple(members.get("warnings") or ()),
        seconds=members.get("seconds", 0.0),
        undo=members.get("edits") or [],  # read, and refused, by core.text.edits
    )


def from_counts(counts: Counts) -> dict[str, int]:
    """The JSON object of an article's counts."""
    return counts._asdict()


def from_image(image: ImageRow) -> Members:
    """The JSON object of one reference."""
    size = image.declared_size
    members: Members = {
        "source": image.source,
        "origin": image.origin,
        "where": image.where,
        "declared_size": None if size is None else [size.width or None, size.height or None],
        "status": image.status.value,
        "code": image.code,
        "original": image.original,
        "thumbnail": image.thumbnail,
        "width": image.width,
        "height": image.height,
        "bytes": image.bytes,
        "original_bytes": image.original_bytes,
        "original_size": image.original_size,
        "thumbhash": image.thumbhash,
        "dominant": image.dominant,
        "warnings": image.warnings,
    }
    if image.why or image.via or image.media_type:
        members |= {name: value for name in _OPTIONAL if (value := getattr(image, name))}
    return members


def to_images(objects: object) -> tuple[ImageRow, ...]:
    """The rows of a list that from_image wrote.

    Raises ValueError, KeyError or TypeError for any other value.
    """
    return tuple(map(_to_image, _of(objects, list)))


def _to_image(value: object) -> ImageRow:
    members: Members = _of(value, dict)
    get = members.get
    texts = origin, code, original, thumbnail = _TEXTS(members)
    numbers = width, height, size = _NUMBERS(members)
    # One C call a group: a run that finds 100,000 articles done reads a million of these.
    if not (_TEXT_TYPES.issuperset(map(type, texts)) and _NUMBER_TYPES.issuperset(map(type, numbers))):
        raise TypeError("not the object of a reference")
    box, original_size = get("declared_size"), get("original_size")
    return ImageRow(
        _of(members["source"], str),
        origin,
        get("where", ""),
        None if box is None else Size(*(side or 0 for side in box)),
        _STATUSES[members["status"]],
        code,
        original,
        thumbnail,
        width,
        height,
        size,
        get("original_bytes"),
        None if original_size is None else (original_size[0], original_size[1]),
        get("thumbhash"),
        get("dominant"),
        tuple(get("warnings") or ()),
        get("why"),
        get("via"),
        get("media_type"),
    )


def _of(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"not a {kind.__name__}")
    return value


def _maybe(value: object, kind: type[T]) -> T | None:
    if value is None or isinstance(value, kind):
        return value
    raise TypeError(f"neither null nor a {kind.__name__}")
