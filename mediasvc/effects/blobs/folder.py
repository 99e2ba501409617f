"""One folder of blob files: writing, checking, setting aside, sweeping. Everything here blocks."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mediasvc import logs, metrics
from mediasvc.effects.blobs.quota import PINNED_NS, RESERVED, Quota, footprint, scan

_CHECKED: Final = 8192  # some 300 bytes each; others are checked again when they are read
_QUARANTINED: Final = 20  # files, at most; they are not counted in the limit
_STRAY_AGE_S: Final = 3600.0
_TOUCH_NS: Final = 1_000_000  # how exact times of use are: a popular blob is not touched for every reader

_MARK: Final = struct.Struct("=QQq")  # inode, size, time of last change
Mark = bytes  # of _MARK, packed: thousands are kept, and three numbers would take three times as much


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a folder stores.

    bytes: of the blobs.
    disk_bytes: the same in whole blocks, which the limit counts.
    quarantined, temporary: files.
    """

    blobs: int
    bytes: int
    disk_bytes: int
    quarantined: int
    temporary: int


@dataclass(frozen=True, slots=True)
class Verified:
    """A check of all blobs.

    damaged: digests of the blobs that were set aside.
    """

    checked: int
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collected:
    """How many files were removed, by reason."""

    evicted: int
    temporary: int
    quarantined: int


class BlobFolder:
    """`folder/ab/<digest>`, written to `folder/tmp` first and renamed; damaged ones go to
    `folder/quarantine`.

    Safe for several processes and threads. Digests come checked. Raises OSError.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Does nothing to the disk before the first use."""
        self._folder = folder
        self._prefix = f"{folder}/"  # a path made of one text costs a third of one joined with "/"
        self._quota = Quota(folder, max_bytes)
        self._checked: dict[str, Mark] = {}

    def close(self) -> None:
        """Closes open files."""
        self._quota.close()

    def path(self, digest: str) -> Path:
        """Where a blob is, if there is one."""
        return Path(f"{self._prefix}{digest[:2]}/{digest}")

    def temporary(self, prefix: str = "") -> tuple[Path, int]:
        """A new file and its handle. The lock on it tells sweepers that its process lives."""
        while True:
            path = Path(f"{self._prefix}tmp/{prefix}{os.getpid()}-{secrets.token_hex(8)}")
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # a sweeper is removing it
                os.close(handle)
                continue
            except OSError:  # a file system without locks, where sweeping goes by age
                return path, handle
            if os.fstat(handle).st_nlink:
                return path, handle
            os.close(handle)  # swept between the two calls

    def put(self, data: bytes) -> str:
        """Stores bytes; their digest."""
        digest = hashlib.sha256(data).hexdigest()
        self.store(digest, data, len(data))
        return digest

    def store(self, digest: str, data: bytes | tuple[Path, int], size: int) -> None:
        """Stores bytes under their digest.

        data: bytes, or a file that `temporary` made with its handle, which stays open.
        """
        if self.known(digest) is not None:
            return
        if isinstance(data, bytes):
            path, handle = self.temporary(RESERVED)
            try:
                os.truncate(handle, size)
                self._move_in(digest, path, handle, size, data)
            except OSError:
                path.unlink(missing_ok=True)
                raise
            finally:
                os.close(handle)
        else:
            path, handle = data
            reserved = path.with_name(RESERVED + path.name)
            path.replace(reserved)
            try:
                self._move_in(digest, reserved, handle, size, b"")
            except OSError:
                reserved.replace(path)  # its bytes are still wanted, to be served without being stored
                raise

    def _move_in(self, digest: str, path: Path, handle: int, size: int, data: bytes) -> None:
        """Writes data, if there is any, to a temporary file, and renames the file to its place."""
        target = self.path(digest)
        self._quota.reserve(size)
        try:
            _write_all(handle, data)
            now_ns = time.time_ns()
            os.utime(handle, ns=(now_ns, now_ns))  # equal: not used yet
            mark = _mark(os.fstat(handle))
            replaced = _stat(target)
            try:
                path.replace(target)
            except FileNotFoundError:
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        except OSError:
            self._quota.release(size)
            raise
        if replaced is not None:
            self._quota.release(replaced.st_size)
        self._remember(digest, mark)

    def known(self, digest: str, *, pin: bool = False) -> int | None:
        """Length in bytes of a blob that was checked before, marked as used. Costs one stat. None: check it.

        pin: a reader will open it soon, so eviction must spare it.
        """
        mark = self._checked.get(digest)
        return _size(mark) if mark is not None and _touch(self.path(digest), mark, pin=pin) else None

    def read(self, digest: str) -> bytes | None:
        """The blob, checked unless it was before; None: absent or damaged."""
        path = self.path(digest)
        try:
            with path.open("rb", buffering=0) as file:
                mark = _mark(os.fstat(file.fileno()))
                data = file.readall()
        except FileNotFoundError:
            return None
        if self._checked.get(digest) != mark:
            if hashlib.sha256(data).hexdigest() != digest:
                self._set_aside(digest, mark)
                return None
            self._remember(digest, mark)
        _touch(path, mark)
        return data

    def check(self, digest: str, *, pin: bool = False) -> int | None:
        """Length in bytes of a blob, after reading all of it; None: absent or damaged.

        pin: as in known.
        """
        path = self.path(digest)
        try:
            with path.open("rb", buffering=0) as file:
                mark = _mark(os.fstat(file.fileno()))
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    self._set_aside(digest, mark)
                    return None
        except FileNotFoundError:
            return None
        self._remember(digest, mark)
        return _size(mark) if _touch(path, mark, pin=pin) else None

    def _remember(self, digest: str, mark: Mark) -> None:
        if len(self._checked) >= _CHECKED:
            with contextlib.suppress(KeyError, StopIteration, RuntimeError):  # other threads remember too
                del self._checked[next(iter(self._checked))]
        self._checked[digest] = mark

    def _set_aside(self, digest: str, mark: Mark) -> None:
        path = self.path(digest)
        found = _stat(path)
        if found is None or _mark(found) != mark:
            return  # another process has put a whole one in its place
        folder = self._folder / "quarantine"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.replace(folder / f"{digest}.{secrets.token_hex(4)}")
            for old in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)[:-_QUARANTINED]:
                old.unlink(missing_ok=True)
            self._quota.release(found.st_size)
        except OSError as error:  # a read-only disk: the file stays where it is, and is still not served
            logs.get().warning("blob.not_set_aside", digest=digest, error=str(error))
        metrics.cache_evictions.labels(reason="damaged").inc()
        logs.get().warning("blob.damaged", digest=digest, bytes=found.st_size)

    def delete(self, digest: str) -> bool:
        """Removes a blob; whether there was one."""
        path = self.path(digest)
        found = _stat(path)
        self._checked.pop(digest, None)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        if found is not None:
            self._quota.release(found.st_size)
        return True

    def try_writing(self) -> None:
        """Raises OSError where a small blob cannot be written."""
        path, handle = self.temporary()
        try:
            _write_all(handle, bytes(64 * 1024))
        finally:
            os.close(handle)
            path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Removes temporary files of processes that died, and recounts the total; how many files."""
        swept = self._remove_strays()
        self._quota.recount()
        return swept

    def _remove_strays(self) -> int:
        swept = 0
        for path in _files(self._folder / "tmp"):
            with contextlib.suppress(FileNotFoundError):
                handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    if _is_stray(handle):
                        path.unlink()  # under the lock, so that an owner that comes now sees it
                        swept += 1
                finally:
                    os.close(handle)
        if swept:
            logs.get().info("blobs.swept", files=swept)
        return swept

    def trim(self) -> int:
        """Evicts down to the limit; how many blobs."""
        return self._quota.trim()

    def usage(self) -> Usage:
        """How much is stored, by a look at every file."""
        sizes = [blob.size for blob in scan(self._folder)]
        return Usage(
            blobs=len(sizes),
            bytes=sum(sizes),
            disk_bytes=sum(map(footprint, sizes)),
            quarantined=len(_files(self._folder / "quarantine")),
            temporary=len(_files(self._folder / "tmp")),
        )

    def verify(self) -> Verified:
        """Reads and checks every blob; damaged ones are set aside."""
        checked = 0
        damaged = []
        for blob in scan(self._folder):
            path = Path(blob.path)
            digest = path.name
            try:
                with path.open("rb", buffering=0) as file:
                    found = os.fstat(file.fileno())
                    whole = hashlib.file_digest(file, "sha256").hexdigest() == digest
                    # A check is no use: the order of eviction stays.
                    with contextlib.suppress(OSError):  # read-only
                        os.utime(file.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
            except FileNotFoundError:
                continue
            checked += 1
            if not whole:
                damaged.append(digest)
                self._set_aside(digest, _mark(found))
        return Verified(checked, tuple(damaged))

    def collect(self) -> Collected:
        """Evicts down to the limit, and removes stray temporary files and everything that was set aside."""
        temporary = self._remove_strays()
        quarantined = _files(self._folder / "quarantine")
        for path in quarantined:
            path.unlink(missing_ok=True)
        return Collected(self._quota.shrink(), temporary, len(quarantined))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _mark(found: os.stat_result) -> Mark:
    return _MARK.pack(found.st_ino, found.st_size, found.st_mtime_ns)


def _size(mark: Mark) -> int:
    size: int = _MARK.unpack(mark)[1]
    return size


def _touch(path: Path, mark: Mark, *, pin: bool = False) -> bool:
    """Marks a file as used now, or as pinned; False: it is another file than the one with this mark."""
    found = _stat(path)
    if found is None or _mark(found) != mark:
        return False
    used_ns = time.time_ns() + (PINNED_NS if pin else 0)
    if used_ns - found.st_atime_ns > _TOUCH_NS or found.st_atime_ns <= found.st_mtime_ns:
        with contextlib.suppress(OSError):  # read-only
            os.utime(path, ns=(used_ns, found.st_mtime_ns))
    return True


def _is_stray(handle: int) -> bool:
    """Locks a temporary file unless its process lives."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - os.fstat(handle).st_mtime > _STRAY_AGE_S
    return True


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
