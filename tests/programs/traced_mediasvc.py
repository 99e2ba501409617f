"""Runs mediasvc and notes in which order it makes, syncs and names files: `traced_mediasvc LOG DEADLY
ARGUMENTS...`.

LOG: gets a line for each event: `made TEMPORARY`, `synced`, `named TEMPORARY NAME`.
DEADLY: the process dies just before it names the article of this number; 0: it lives; -1: it lives, and every
sync fails as on a broken disk.
"""

import errno
import os
import runpy
import signal
import sys
from typing import Any


def watch(log: str, deadly: int) -> None:
    notes = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    named = 0

    def note(event: str, details: tuple[Any, ...]) -> None:
        nonlocal named
        match event:
            case "open":
                path = details[0] if isinstance(details[0], str | bytes) else ""
                if not os.fsdecode(path).endswith(".tmp"):
                    return
                line = f"made {path!s}"
            case "ctypes.dlsym":
                if details[1] != "syncfs":
                    return
                line = "synced"
                if deadly == -1:
                    raise OSError(errno.EIO, "Input/output error")
            case "os.rename":
                line = f"named {os.fspath(details[0])} {os.fspath(details[1])}"
                named += line.endswith(".md")
                if named == deadly > 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            case _:
                return
        os.write(notes, f"{line}\n".encode())

    sys.addaudithook(note)


if __name__ == "__main__":
    watch(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["mediasvc", *sys.argv[3:]]
    runpy.run_module("mediasvc", run_name="__main__")
