"""What is said between the service and its image processes: JSON and plain bytes, so that neither trusts the other's."""

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

# By kind of work: the library that does it, and why it is not a faster one that is installed (core.pictures.engine).
Engines = Mapping[str, tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Errand:
    """One picture to look at. path: the file that holds it; None: it is `data` itself."""

    path: str | None
    data: bytes
    specs: tuple[ThumbnailSpec, ...]
    placeholder: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. error: about the picture as a whole, then picture is None. rss_bytes: of the process now."""

    picture: Picture | None
    error: MediaError | None
    renditions: tuple[Rendered | MediaError, ...] = ()
    thumbhash: str | None = None
    dominant: str | None = None
    rss_bytes: int = 0


def pack_errand(errand: Errand) -> bytes:
    message = {
        "path": errand.path,
        "specs": [_spec_to_json(spec) for spec in errand.specs],
        "placeholder": errand.placeholder,
    }
    return _frame(message, (errand.data,))


def unpack_errand(text: bytes, blobs: bytes) -> Errand:
    message = json.loads(text)
    return Errand(
        message["path"],
        blobs,
        tuple(_spec_from_json(spec) for spec in message["specs"]),
        message["placeholder"],
    )


def pack_outcome(outcome: Outcome) -> bytes:
    blobs = tuple(
        made.data for made in outcome.renditions if isinstance(made, Rendered) and made.data is not None
    )
    picture = outcome.picture
    message = {
        "picture": picture and astuple(picture),
        "error": outcome.error and _error_to_json(outcome.error),
        "renditions": [_rendition_to_json(made) for made in outcome.renditions],
        "thumbhash": outcome.thumbhash,
        "dominant": outcome.dominant,
        "rss_bytes": outcome.rss_bytes,
    }
    return _frame(message, blobs)


def unpack_outcome(text: bytes, blobs: bytes) -> Outcome:
    """Raises ValueError for anything that no honest process would say."""
    try:
        message = json.loads(text)
        picture, error = message["picture"], message["error"]
        renditions: list[Rendered | MediaError] = []
        position = 0
        for made in message["renditions"]:
            if "error" in made:
                renditions.append(_error_from_json(made["error"]))
                continue
            size = made["bytes"]
            data = None if size is None else blobs[position : position + size]
            position += size or 0
            renditions.append(Rendered(data, Format(made["format"]), int(made["width"]), int(made["height"])))
        if position != len(blobs):
            raise ValueError("blobs do not add up")
        return Outcome(
            picture=picture and _picture_from_json(picture),
            error=error and _error_from_json(error),
            renditions=tuple(renditions),
            thumbhash=_text(message["thumbhash"]),
            dominant=_text(message["dominant"]),
            rss_bytes=int(message["rss_bytes"]),
        )
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError("not an outcome") from error


def pack_engines(used: Engines) -> bytes:
    """What an image process says first."""
    return _frame({kind: list(engine) for kind, engine in used.items()}, ())


def unpack_engines(text: bytes) -> Engines:
    """Raises ValueError for anything that no honest process would say."""
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


def _rendition_to_json(made: Rendered | MediaError) -> dict[str, Any]:
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
    bool: _as_it_is,
    frozenset[Format]: lambda names: frozenset(map(Format, names)),
}
_SPEC_READERS = {field.name: _READERS[field.type] for field in fields(ThumbnailSpec)}
