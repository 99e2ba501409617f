"""Articles and assets on the user's disk: read whole, written whole or not at all."""

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mediasvc.errors import BodyTooLarge, InvalidRequest, StoreFailed

_UMASK_MODE = 0o666


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was when it was read; mark changes when the file does. mode: permission bits."""

    data: bytes
    mark: tuple[int, int, int]
    mode: int


def read_whole(path: Path, max_bytes: int) -> Seen:
    """A regular file. BodyTooLarge over max_bytes; InvalidRequest where it is not there or cannot be read."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise InvalidRequest(f"{shown(path)} is not a regular file")
            data = file.read(max_bytes + 1)
            found = os.fstat(file.fileno())
    except OSError as error:
        raise InvalidRequest(f"cannot read {shown(path)}: {reason(error)}") from error
    if len(data) > max_bytes:
        raise BodyTooLarge(f"{shown(path)} is larger than {max_bytes} bytes (MEDIASVC_MAX_ARTICLE_BYTES)")
    return Seen(data, _mark(found), stat.S_IMODE(found.st_mode))


def is_unchanged(path: Path, seen: Seen) -> bool:
    """Whether the file is still the one that was read."""
    try:
        return _mark(path.stat()) == seen.mark
    except OSError:
        return False


def _mark(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def write_whole(path: Path, data: bytes, mode: int | None = None) -> None:
    """Temporary file, then rename. mode: None takes that of the file it replaces, else the usual one.

    StoreFailed where it cannot be written; the old file is whole then, and nothing else is left.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".mediasvc-", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(_mode_of(path) if mode is None else mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise StoreFailed(f"cannot write {shown(path)}: {reason(error)}") from error


def copy_whole(source: Path, target: Path) -> None:
    """A copy of a stored blob beside the articles, unless a file of that name and size is there. As write_whole."""
    temporary = ""
    try:
        if target.exists() and target.stat().st_size == source.stat().st_size:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".mediasvc-", suffix=".tmp", dir=target.parent)
        with os.fdopen(handle, "wb") as file, source.open("rb") as original:
            shutil.copyfileobj(original, file, 1024 * 1024)
        Path(temporary).chmod(_mode_of(target))
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise StoreFailed(f"cannot write {shown(target)}: {reason(error)}") from error


def check_writable(folder: Path) -> None:
    """InvalidRequest where files cannot be made in a folder; makes the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".mediasvc-", suffix=".tmp", dir=folder)
        os.close(handle)
        Path(name).unlink()
    except OSError as error:
        raise InvalidRequest(f"cannot write into {shown(folder)}: {reason(error)}") from error


def _mode_of(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return _UMASK_MODE & ~_umask()


def _umask() -> int:
    # Linux tells without changing it; elsewhere it can only be read by setting it.
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    current = os.umask(0o022)
    os.umask(current)
    return current


def shown(path: Path) -> str:
    """A path as it can be printed, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def reason(error: OSError) -> str:
    """Why, in the system's own words."""
    return os.strerror(error.errno).lower() if error.errno is not None else "it failed"
