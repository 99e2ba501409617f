"""What mediasvc needs of Python and of the system; one sentence where that is missing.

Python versions that mediasvc does not support load this module, so it uses nothing that they lack.
"""

from __future__ import annotations

import sys

OLDEST_PYTHON = (3, 11)


def refusal(version: tuple[int, ...], platform: str) -> str | None:
    """Why mediasvc cannot run here; None where it can. version, platform: as sys has them."""
    if version[:2] < OLDEST_PYTHON:
        return f"Python {version[0]}.{version[1]} is too old; mediasvc needs 3.11 or newer"
    if platform == "win32":
        return "mediasvc does not run on Windows itself; use WSL, or the container image"
    return None


def broken_library(error: ImportError) -> str | None:
    """What to do about a library that cannot be loaded; None where the module is one of our own."""
    library = (error.name or "").partition(".")[0]
    if library in ("", "mediasvc"):
        return None
    said = str(error).partition("\n")[0]
    return (
        f"{library} cannot be loaded ({said}); it is missing, or was built for another Python or system;"
        f" install mediasvc again: {sys.executable} -m pip install --force-reinstall mediasvc"
    )
