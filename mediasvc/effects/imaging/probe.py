"""Asks a process of its own which engines work on this machine: a library for another machine ends that
process alone.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import mediasvc
from mediasvc.core.pictures.engine import OPTIONAL_MODULES

_MAIN = "mediasvc.effects.imaging.show_engines"
_TIMEOUT_S = 60.0


def engines_in_use() -> dict[str, tuple[str, str | None]]:
    """For each kind of work the library that does it, and why it is not a faster one that is installed."""
    found = _asked(())
    if isinstance(found, int):
        trouble = f"a library of the extra `standard` ends the process ({found})"
        found = _asked(OPTIONAL_MODULES)
        if isinstance(found, int):
            return {"images": ("none", f"the image process ends at its start ({found})")}
        found["images"] = ("Pillow", trouble)
    return found


def _asked(without: tuple[str, ...]) -> dict[str, tuple[str, str | None]] | int:
    """The answer, or the exit code of a process that gave none."""
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-P", "-W", "ignore", "-m", _MAIN, *without],
        env=os.environ | {"PYTHONPATH": str(Path(mediasvc.__file__).parents[1])},
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        return done.returncode
    return {kind: (name, trouble) for kind, (name, trouble) in json.loads(done.stdout).items()}
