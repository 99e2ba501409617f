"""Stages files without naming them and is killed: `stage_and_die PATH...`."""

import os
import signal
import sys
from pathlib import Path

from mediasvc.effects.disk import files

if __name__ == "__main__":
    for path in sys.argv[1:]:
        files.stage(Path(path), b"torn", 0o400, settled=lambda _: True)
    os.kill(os.getpid(), signal.SIGKILL)
