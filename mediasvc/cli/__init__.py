"""The command line: files in, files out, exit codes."""

import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Runs one command and ends the process with its exit code.

    The program itself is read in here: until that is done, some half a second, signals already end us as promised.
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(143)

    signal.signal(signal.SIGTERM, end)
    try:
        from mediasvc.cli.main import run

        sys.exit(run())
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["main"]
