"""The command line: files in, files out, exit codes."""

import signal
import sys
from types import FrameType
from typing import NoReturn

from mediasvc.startup import collector_paused
from mediasvc.system import broken_library, refusal


def main() -> NoReturn:
    """Runs one command and ends the process with its exit code.

    The program is loaded inside this function, so that signals have their exit codes during that tenth of a
    second too.
    """

    why = refusal(sys.version_info[:3], sys.platform)
    if why is not None:
        _refuse(why)

    def end(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    try:
        with collector_paused():
            from mediasvc.cli.main import run
        sys.exit(run())
    except ImportError as error:
        why = broken_library(error)
        if why is None:
            raise
        _refuse(why)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        # CPython quirk: after a KeyboardInterrupt inside exec() of a string, which dataclasses use, `python
        # -m` ends by SIGINT instead of our exit code. Another exec() resets that.
        exec("")  # noqa: S102


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(f"mediasvc: {why}\n")
    sys.exit(2)


__all__ = ["main"]
