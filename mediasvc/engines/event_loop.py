"""The event loop: uvloop where it works, else asyncio's own."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeVar

from mediasvc import logs

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:  # Any: as asyncio.run has it
    """Runs a coroutine to its end, as asyncio.run does, on the fastest loop."""
    factory, _, _ = _chosen()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def report() -> None:
    """Logs why the loop is not uvloop, where uvloop is installed."""
    _, name, trouble = _chosen()
    if trouble is not None:
        logs.get().error("engine.unusable", kind="event_loop", why=trouble, used=name)


def in_use() -> tuple[str, str | None]:
    """Name of the loop's library, and why it is not uvloop although that is installed; None for no trouble."""  # noqa: E501
    _, name, trouble = _chosen()
    return name, trouble


@lru_cache(maxsize=1)
def _chosen() -> tuple[Callable[[], asyncio.AbstractEventLoop] | None, str, str | None]:
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
        factory().close()
    except ModuleNotFoundError as error:
        return None, "asyncio", None if error.name == "uvloop" else f"uvloop needs {error.name}"
    except Exception as error:  # a broken library may raise anything; the answer is the same: do not use it
        return (
            None,
            "asyncio",
            f"uvloop cannot be loaded: {str(error).partition(chr(10))[0] or type(error).__name__}",
        )
    return factory, "uvloop", None
