"""The command line: files in, files out, exit codes."""

import signal
import sys
from types import FrameType
from typing import NoReturn

from mediasvc.startup import collector_paused


def main() -> NoReturn:
    """Runs one command and ends the process with its exit code.

    The program is loaded inside this function, so that signals have their exit codes during that tenth of a second too.
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    try:
        with collector_paused():
            from mediasvc.cli.main import run
        sys.exit(run())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        # Python started with -m ends by SIGINT, whatever we say, once an interrupt has struck inside exec() of a text,
        # which is how dataclasses are made; the next such text makes it forget.
        exec("")  # noqa: S102


__all__ = ["main"]
