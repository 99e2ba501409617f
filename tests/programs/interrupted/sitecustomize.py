"""Python reads this module at start where its folder is in PYTHONPATH.

The first module that is executed once mediasvc handles SIGTERM sends the signal of INTERRUPT to the process
instead.
"""

import builtins
import os
import signal
from typing import Any

_execute = builtins.exec


def _interrupt(code: Any, *names: Any) -> None:
    if getattr(signal.getsignal(signal.SIGTERM), "__name__", "") == "terminate":
        builtins.exec = _execute
        code = f"import signal; signal.raise_signal({os.environ['INTERRUPT']})\nfor _ in range(9): pass"
    _execute(code, *names)


builtins.exec = _interrupt  # type: ignore[assignment]  # the same call, with one more effect
