"""The command line: files in, files out, exit codes."""

import gc
import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Runs one command and ends the process with its exit code.

    The program itself is read in here: until that is done, a tenth of a second, signals already end us as promised.
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    try:
        # Nothing of what is read in is garbage, and looking for some is a twentieth of the time.
        gc.disable()
        from mediasvc.cli.main import run

        gc.enable()
        sys.exit(run())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        # Python started with -m ends by SIGINT, whatever we say, once an interrupt has struck inside exec() of a text,
        # which is how dataclasses are made; the next such text makes it forget.
        exec("")  # noqa: S102


__all__ = ["main"]
