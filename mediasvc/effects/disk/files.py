"""Articles and assets on the user's disk: read whole, written whole or not at all."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mediasvc.errors import BodyTooLarge, InvalidRequest, StoreFailed

# Without setuid, setgid and sticky: what another file may do is not handed on to bytes that came from
# elsewhere.
_PERMISSIONS = 0o777
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

    BodyTooLarge over max_bytes; InvalidRequest where it is not there or cannot be read; StoreFailed where it
    does not stop changing.
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
    # By the system's own calls: a file object costs as much again, and a run may look at 100,000 files.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise InvalidRequest(f"{shown(path)} is not a regular file")
        data = _read(handle, before.st_size, most)
        after = os.fstat(handle)
    finally:
        os.close(handle)
    if _mark(before) != _mark(after):
        return None
    return Seen(data, _mark(after), _permissions(after))


def _read(handle: int, size: int, most: int) -> bytes:
    """Up to most bytes. size: what the file is believed to have, so that no more room is made than it needs."""  # noqa: E501
    parts = []
    while most and (part := os.read(handle, min(size + 1, most))):
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


@dataclass(slots=True)
class Staged:
    """A file that is whole and has not got its name yet. Its lock tells others that its run lives."""

    path: Path
    temporary: Path | None
    handle: int


def write_whole(path: Path, data: bytes, mode: int | None = None, *, durable: bool = False) -> None:
    """Temporary file, then rename; the folder is made. A file that is replaced hands on its mode.

    mode: of a file that was not there; None is the usual one. durable: the bytes have reached the disk before
    they get their name, so that a power cut leaves the old file or the new one. StoreFailed where it cannot
    be written; the old file is whole then, and nothing else is left.
    """
    publish(stage(path, data, mode, settled=lambda _: not durable))


def copy_whole(source: Path, target: Path, mode: int | None = None, *, durable: bool = False) -> None:
    """A copy of a file, in the place of the one that had its name. As write_whole."""
    publish(stage_copy(source, target, mode, settled=lambda _: not durable))


def stage(path: Path, data: bytes, mode: int | None = None, *, settled: Callable[[int], bool]) -> Staged:
    """The first half of write_whole. To be published or discarded.

    settled: whether the caller sees to it that files of a device (st_dev) reach the disk before they are
    published; those of others do here.
    """
    return _stage(path, lambda handle: _write_all(handle, data), mode, settled)


def stage_copy(
    source: Path, target: Path, mode: int | None = None, *, settled: Callable[[int], bool]
) -> Staged:
    """The first half of copy_whole. As stage."""
    try:
        original = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreFailed(f"cannot write {shown(target)}: {reason(error)}") from error
    try:
        return _stage(target, lambda handle: _copy(original, handle), mode, settled)
    finally:
        os.close(original)


def publish(staged: Staged) -> None:
    """Gives a file its name, in the place of the one that had it.

    StoreFailed where it cannot; it is discarded then.
    """
    try:
        if staged.temporary is not None:
            staged.temporary.replace(staged.path)
            staged.temporary = None
    except OSError as error:
        raise StoreFailed(f"cannot write {shown(staged.path)}: {reason(error)}") from error
    finally:
        discard(staged)


def discard(staged: Staged) -> None:
    """Removes a file that was not published."""
    if staged.temporary is not None:
        with contextlib.suppress(OSError):
            staged.temporary.unlink()
        staged.temporary = None
    if staged.handle >= 0:
        os.close(staged.handle)
        staged.handle = -1


def _stage(
    path: Path, fill: Callable[[int], None], mode: int | None, settled: Callable[[int], bool]
) -> Staged:
    """fill: writes all there is to an open file, by its handle."""
    staged: Staged | None = None
    try:
        with contextlib.suppress(FileNotFoundError):
            mode = _permissions(path.stat())
        # What the umask leaves of a new file's mode is the system's to know; a given mode is set before the
        # rename.
        temporary, handle = _temporary(path, 0o666 if mode is None else 0o600)
        staged = Staged(path, temporary, handle)
        fill(handle)
        if mode is not None:
            os.fchmod(handle, mode & _PERMISSIONS)
        if not settled(os.fstat(handle).st_dev):
            os.fsync(handle)
    except OSError as error:
        if staged is not None:
            discard(staged)
        raise StoreFailed(f"cannot write {shown(path)}: {reason(error)}") from error
    return staged


def _permissions(found: os.stat_result) -> int:
    return found.st_mode & _PERMISSIONS


def _temporary(target: Path, mode: int) -> tuple[Path, int]:
    """A new file beside the one that it is to become, and its handle, locked; the folder is made where it is
    missing.

    Its name follows from the target's, so that the next who writes it clears away what one who was killed
    left.
    """
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    path = target.with_name(f".mediasvc-{name}.tmp")
    try:
        handle = _make(path, mode)
    except FileExistsError:
        # Not to be cleared away: somebody else is writing the same file.
        return _temporary(target, mode) if _clear(path) else _elsewhere(target, mode)
    try:
        if _lock(handle):
            return path, handle
    except OSError:  # a file system without locks: under that name it could be taken for a leftover
        other = _other(target)
        path.replace(other)
        return other, handle
    os.close(handle)  # somebody was at clearing it away between the two calls
    return _elsewhere(target, mode)


def _elsewhere(target: Path, mode: int) -> tuple[Path, int]:
    other = _other(target)
    return other, _make(other, mode)


def _other(target: Path) -> Path:
    """A name that nobody else has."""
    return target.with_name(f".mediasvc-{secrets.token_hex(8)}.tmp")


def _make(path: Path, mode: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, mode)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, mode)


def _lock(handle: int) -> bool:
    """Whether a file is ours alone, and still has a name."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(handle).st_nlink > 0


def _clear(path: Path) -> bool:
    """Removes a temporary file whose run is gone; whether it did."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # The name may be another file's by now, whose run lives.
        if not _lock(handle) or os.fstat(handle).st_ino != path.lstat().st_ino:
            return False
        path.unlink()
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)


def _copy(source: int, target: int) -> None:
    """By the system where it can: some file systems then share the blocks until either file is changed."""
    size = os.fstat(source).st_size
    copied = 0
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):  # between two file systems, or one of a kind that cannot
            while count := os.copy_file_range(source, target, size - copied):
                copied += count
    # Both stand where that came to; nothing is left where it came to the end.
    while part := os.read(source, _PIECE):
        _write_all(target, part)


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def check_writable(folder: Path) -> None:
    """InvalidRequest where files cannot be made in a folder; makes the folder."""
    try:
        path, handle = _temporary(folder / secrets.token_hex(8), 0o600)
        path.unlink()
        os.close(handle)
    except OSError as error:
        raise InvalidRequest(f"cannot write into {shown(folder)}: {reason(error)}") from error


def check_folder(folder: Path) -> None:
    """InvalidRequest where a file stands in the way of a folder; makes nothing."""
    try:
        there = next(path for path in (folder, *folder.parents, Path()) if path.exists())
        is_in_the_way = not there.is_dir()
    except OSError as error:
        raise InvalidRequest(f"cannot write into {shown(folder)}: {reason(error)}") from error
    if is_in_the_way:
        raise InvalidRequest(f"cannot write into {shown(folder)}: {shown(there)} is not a folder")


def shown(path: Path) -> str:
    """A path as it can be printed, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def reason(error: OSError) -> str:
    """Why, in the system's own words."""
    return os.strerror(error.errno).lower() if error.errno is not None else "it failed"
