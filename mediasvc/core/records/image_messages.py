"""Messages between the service and its image processes: JSON and raw bytes, checked on both sides."""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, Limits, Picture, Rendered, ThumbnailSpec
from mediasvc.errors import BY_CODE, MediaError

# Length of the JSON, length of the blobs behind it.
HEAD = struct.Struct(">II")

# By kind of work: the library that does it, and why it is not a faster one that is installed
# (core.pictures.engine).
Engines = Mapping[str, tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """Work for an image process: one picture and what to make of it.

    path: the file that holds the picture; None where `data` holds it.
    specs: the thumbnails.
    placeholder: whether thumbhash and dominant colour are computed.
    """

    path: str | None
    data: bytes
    specs: tuple[ThumbnailSpec, ...]
    placeholder: bool


@dataclass(frozen=True, slots=True)
class PictureResult:
    """The answer of an image process.

    picture: None where `error` says why the picture as a whole failed.
    thumbnails: in the order of the specs, each a thumbnail or the reason why it failed.
    rss_bytes: resident memory of the process.
    """

    picture: Picture | None
    error: MediaError | None
    thumbnails: tuple[Rendered | MediaError, ...] = ()
    thumbhash: str | None = None
    dominant: str | None = None
    rss_bytes: int = 0


def pack_request(request: PictureRequest) -> bytes:
    message = {
        "path": request.path,
        "specs": [_spec_to_json(spec) for spec in request.specs],
        "placeholder": request.placeholder,
    }
    return _frame(message, (request.data,))


def unpack_request(text: bytes, blobs: bytes) -> PictureRequest:
    message = json.loads(text)
    return PictureRequest(
        message["path"],
        blobs,
        tuple(_spec_from_json(spec) for spec in message["specs"]),
        message["placeholder"],
    )


def pack_result(result: PictureResult) -> bytes:
    blobs = tuple(
        made.data for made in result.thumbnails if isinstance(made, Rendered) and made.data is not None
    )
    picture = result.picture
    message = {
        "picture": picture and astuple(picture),
        "error": result.error and _error_to_json(result.error),
        "thumbnails": [_thumbnail_to_json(made) for made in result.thumbnails],
        "thumbhash": result.thumbhash,
        "dominant": result.dominant,
        "rss_bytes": result.rss_bytes,
    }
    return _frame(message, blobs)


def unpack_result(text: bytes, blobs: bytes) -> PictureResult:
    """Raises ValueError for a message that an undamaged image process does not send."""
    try:
        message = json.loads(text)
        picture, error = message["picture"], message["error"]
        thumbnails: list[Rendered | MediaError] = []
        position = 0
        for made in message["thumbnails"]:
            if "error" in made:
                thumbnails.append(_error_from_json(made["error"]))
                continue
            size = made["bytes"]
            data = None if size is None else blobs[position : position + size]
            position += size or 0
            thumbnails.append(Rendered(data, Format(made["format"]), int(made["width"]), int(made["height"])))
        if position != len(blobs):
            raise ValueError("blobs do not add up")
        return PictureResult(
            picture=picture and _picture_from_json(picture),
            error=error and _error_from_json(error),
            thumbnails=tuple(thumbnails),
            thumbhash=_text(message["thumbhash"]),
            dominant=_text(message["dominant"]),
            rss_bytes=int(message["rss_bytes"]),
        )
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError("not a result") from error


def pack_engines(used: Engines) -> bytes:
    """What an image process says first."""
    return _frame({kind: list(engine) for kind, engine in used.items()}, ())


def unpack_engines(text: bytes) -> Engines:
    """Raises ValueError for a message that an undamaged image process does not send."""
    try:
        used: dict[str, list[str | None]] = json.loads(text)
        return {_text(kind) or "": (str(name)[:64], trouble) for kind, (name, trouble) in used.items()}
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not a list of engines") from error


def pack_settings(limits: Limits, timeout_s: float, memory_bytes: int) -> str:
    """The command-line argument that an image process is started with."""
    return json.dumps(
        [limits.max_pixels, limits.max_frames_pixels, limits.allow_svg, timeout_s, memory_bytes]
    )


def unpack_settings(text: str) -> tuple[Limits, float, int]:
    max_pixels, max_frames_pixels, allow_svg, timeout_s, memory_bytes = json.loads(text)
    return Limits(max_pixels, max_frames_pixels, allow_svg), timeout_s, memory_bytes


def _frame(message: dict[str, Any], blobs: Sequence[bytes]) -> bytes:
    text = json.dumps(message).encode()
    return b"".join((HEAD.pack(len(text), sum(map(len, blobs))), text, *blobs))


def _text(value: object) -> str | None:
    return value[:64] if isinstance(value, str) else None


def _picture_from_json(fields: list[Any]) -> Picture:
    format, width, height, size, frames, upright, has_alpha, tail = fields
    numbers = (int(width), int(height), int(size), int(frames))
    return Picture(Format(format), *numbers, upright=bool(upright), has_alpha=bool(has_alpha), tail=int(tail))


def _thumbnail_to_json(made: Rendered | MediaError) -> dict[str, Any]:
    if isinstance(made, MediaError):
        return {"error": _error_to_json(made)}
    size = None if made.data is None else len(made.data)
    return {"format": made.format, "width": made.width, "height": made.height, "bytes": size}


def _error_to_json(error: MediaError) -> list[str]:
    return [error.code, str(error), error.reason]


def _error_from_json(error: list[Any]) -> MediaError:
    return BY_CODE[error[0]](str(error[1])[:500], reason=str(error[2])[:40])


def _spec_to_json(spec: ThumbnailSpec) -> dict[str, Any]:
    return {field.name: _to_json(getattr(spec, field.name)) for field in fields(spec)}


def _to_json(value: object) -> object:
    match value:
        case Size(width, height):
            return [width, height]
        case frozenset():
            return sorted(value)
        case _:
            return value


def _spec_from_json(spec: dict[str, Any]) -> ThumbnailSpec:
    return ThumbnailSpec(**{name: read(spec[name]) for name, read in _SPEC_READERS.items()})


def _as_it_is(value: Any) -> Any:  # Any: JSON's numbers, texts and null
    return value


# A field of another type needs a reader here; without one this module cannot be imported.
_READERS: Mapping[Any, Callable[[Any], Any]] = {  # Any: types as annotations, values as JSON has them
    Size | None: lambda sides: None if sides is None else Size(*sides),
    Fit: Fit,
    OutputFormat: OutputFormat,
    int | None: _as_it_is,
    int: _as_it_is,
    float: _as_it_is,
    bool: _as_it_is,
    frozenset[Format]: lambda names: frozenset(map(Format, names)),
}
_SPEC_READERS = {field.name: _READERS[field.type] for field in fields(ThumbnailSpec)}
