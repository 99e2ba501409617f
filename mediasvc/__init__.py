"""mediasvc gives gathered articles local images."""

# Older versions of Python load this module before mediasvc.system refuses them.
from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediasvc.library import Media

__version__ = "0.1.0"


def open(  # mediasvc.open is the name that callers read
    *, config: Path | str | None = None, **settings: Any
) -> AbstractAsyncContextManager[Media]:
    """Open mediasvc inside a program: `async with mediasvc.open(data_dir="cache") as media`.

    config: a TOML file with settings; without it no file and no environment variable is read.
    settings: by their names in lower case without prefix (docs/reference.md), as text or as values.
    Raises InvalidSettings, StoreFailed; TypeError for an unknown setting.
    """
    # Here, so that `import mediasvc` alone reads in nothing: the command line begins with it, too.
    from mediasvc.library import Opening

    return Opening(config, settings)
