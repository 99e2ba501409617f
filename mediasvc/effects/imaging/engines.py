"""Every kind of image work that has an engine of its choice."""

from typing import Any

from mediasvc.core.pictures import jpeg, png, resample, thumbhash
from mediasvc.core.pictures.engine import Engine


def in_use() -> dict[str, tuple[str, str | None]]:
    """For each kind of work the library that does it in this process, and its trouble (see Engine).

    The first call loads and checks the libraries.
    """
    chosen: dict[str, Engine[Any]] = {  # Any: each kind of work has its own type
        "resize": resample.engine(),
        "jpeg": jpeg.engine(),
        "png": png.engine(),
        "thumbhash": thumbhash.engine(),
    }
    return {kind: (engine.name, engine.trouble) for kind, engine in chosen.items()}
