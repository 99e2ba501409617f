"""File systems in files, whose power bench/power_cut.py cuts."""

import contextlib
import ctypes
import fcntl
import os
import random
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

CLONE_NEWNS = 0x20000
SHUTDOWN, NOLOGFLUSH = 0x8004587D, struct.pack("I", 2)
FILE_SYSTEMS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], "commit=1"),
    "ext4 writeback": (["mkfs.ext4", "-q", "-F"], "commit=1,data=writeback"),
    "xfs": (["mkfs.xfs", "-q", "-f"], ""),
}


def run_tool(*command: str) -> str:
    """What it said; RuntimeError where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


def stand_alone() -> None:
    """From here on, what this process mounts is seen by nobody else, who could keep it, and ends with it."""
    system = ctypes.CDLL(None, use_errno=True)
    if system.unshare(CLONE_NEWNS) != 0:
        sys.exit(f"cannot have mounts of its own: {os.strerror(ctypes.get_errno())}")
    run_tool("mount", "--make-rprivate", "/")


class Disk:
    """A file system in a file.

    Context manager: unmounts, which lets go of the loop device, whatever happened.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.mount = folder / "mount"
        self._file = folder / "disk"
        self._kind = kind

    def __enter__(self) -> "Disk":
        make, _ = FILE_SYSTEMS[self._kind]
        self.mount.mkdir()
        with self._file.open("wb") as file:
            file.truncate(512 * 1024 * 1024)
        run_tool(*make, str(self._file))
        self.attach()
        return self

    def __exit__(self, *_: object) -> None:
        if os.path.ismount(self.mount):
            self.detach()

    def attach(self) -> None:
        options = FILE_SYSTEMS[self._kind][1]
        run_tool("mount", "-o", f"loop,{options}" if options else "loop", str(self._file), str(self.mount))

    def detach(self) -> None:
        for patience in range(100):
            try:
                run_tool("umount", str(self.mount))
                return
            except RuntimeError as error:
                if "busy" not in str(error) or patience == 99:
                    raise
                time.sleep(0.05)

    def cut(self) -> None:
        """What is not on the device by now is gone."""
        handle = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, NOLOGFLUSH)
        finally:
            os.close(handle)


class Writeback:
    """Sends the data of random files below a folder to the device, without their metadata, until the end of
    the context.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.05):
            with contextlib.suppress(OSError):
                found = [os.path.join(top, name) for top, _, names in os.walk(self._folder) for name in names]
                for path in self._chance.sample(found, min(10, len(found))):
                    handle = os.open(path, os.O_RDONLY)
                    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(handle)
