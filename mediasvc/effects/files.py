"""Articles and assets on the user's disk: read whole, written whole or not at all."""

import contextlib
import io
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mediasvc.errors import BodyTooLarge, InvalidRequest, StoreFailed

_PIECE = 1024 * 1024
_READINGS = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was when it was read; mark changes when the file does. mode: permission bits."""

    data: bytes
    mark: tuple[int, int, int]
    mode: int


def read_whole(path: Path, max_bytes: int) -> Seen:
    """A regular file, as it was at one moment: what changes while it is read is read again.

    BodyTooLarge over max_bytes; InvalidRequest where it is not there or cannot be read; StoreFailed where it does
    not stop changing.
    """
    for _ in range(_READINGS):
        try:
            seen = _read_once(path, max_bytes + 1)
        except OSError as error:
            raise InvalidRequest(f"cannot read {shown(path)}: {reason(error)}") from error
        if seen is None:
            continue
        if len(seen.data) > max_bytes:
            raise BodyTooLarge(f"{shown(path)} is larger than {max_bytes} bytes (MEDIASVC_MAX_ARTICLE_BYTES)")
        return seen
    raise StoreFailed(f"{shown(path)} is being changed by somebody else; run again")


def _read_once(path: Path, most: int) -> Seen | None:
    """None: it was changed meanwhile."""
    with path.open("rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise InvalidRequest(f"{shown(path)} is not a regular file")
        data = _read(file, before.st_size, most)
        after = os.fstat(file.fileno())
    if _mark(before) != _mark(after):
        return None
    return Seen(data, _mark(after), stat.S_IMODE(after.st_mode))


def _read(file: io.FileIO, size: int, most: int) -> bytes:
    """Up to most bytes. size: what the file is believed to have, so that no more room is made than it needs."""
    parts = []
    while most and (part := file.read(min(size + 1, most))):
        parts.append(part)
        most -= len(part)
        size = _PIECE
    return parts[0] if len(parts) == 1 else b"".join(parts)


def is_unchanged(path: Path, seen: Seen) -> bool:
    """Whether the file is still the one that was read."""
    try:
        return _mark(path.stat()) == seen.mark
    except OSError:
        return False


def _mark(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def write_whole(path: Path, data: bytes, mode: int | None = None, *, durable: bool = False) -> None:
    """Temporary file, then rename; the folder is made. A file that is replaced hands on its mode.

    mode: of a file that was not there; None is the usual one. durable: the bytes have reached the disk before they
    get their name, so that a power cut leaves the old file or the new one. StoreFailed where it cannot be written;
    the old file is whole then, and nothing else is left.
    """
    _write(path, lambda file: file.write(data), mode, durable=durable)


def copy_whole(source: Path, target: Path, *, durable: bool = False) -> None:
    """A copy of a stored blob beside the articles, unless a file of that name and size is there. As write_whole."""
    try:
        if _size(target) == source.stat().st_size:
            return
        with source.open("rb", buffering=0) as original:
            _write(target, lambda file: _copy(original, file), None, durable=durable)
    except OSError as error:
        raise StoreFailed(f"cannot write {shown(target)}: {reason(error)}") from error


def _write(path: Path, fill: Callable[[BinaryIO], object], mode: int | None, *, durable: bool) -> None:
    temporary: Path | None = None
    try:
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(path.stat().st_mode)
        # What the umask leaves of a new file's mode is the system's to know; a given mode is set before the rename.
        temporary, handle = _temporary(path.parent, 0o666 if mode is None else 0o600)
        with os.fdopen(handle, "wb") as file:
            fill(file)
            if mode is not None:
                os.fchmod(handle, mode)
            if durable:
                file.flush()
                os.fsync(handle)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise StoreFailed(f"cannot write {shown(path)}: {reason(error)}") from error


def _temporary(folder: Path, mode: int) -> tuple[Path, int]:
    """A new file in a folder, which is made where it is missing, and its handle."""
    path = folder / f".mediasvc-{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return path, os.open(path, flags, mode)
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        return path, os.open(path, flags, mode)


def _copy(source: io.FileIO, target: BinaryIO) -> None:
    """By the system where it can: some file systems then share the blocks until either file is changed."""
    size = os.fstat(source.fileno()).st_size
    copied = 0
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):  # between two file systems, or one of a kind that cannot
            while part := os.copy_file_range(source.fileno(), target.fileno(), size - copied):
                copied += part
    if copied < size:
        source.seek(0)
        target.seek(0)
        shutil.copyfileobj(source, target, _PIECE)


def check_writable(folder: Path) -> None:
    """InvalidRequest where files cannot be made in a folder; makes the folder."""
    try:
        path, handle = _temporary(folder, 0o600)
        os.close(handle)
        path.unlink()
    except OSError as error:
        raise InvalidRequest(f"cannot write into {shown(folder)}: {reason(error)}") from error


def _size(path: Path) -> int | None:
    """None: there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def shown(path: Path) -> str:
    """A path as it can be printed, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def reason(error: OSError) -> str:
    """Why, in the system's own words."""
    return os.strerror(error.errno).lower() if error.errno is not None else "it failed"
