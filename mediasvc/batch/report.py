"""The report of a run: one JSON object for each article, written as the run goes."""

import contextlib
import fcntl
import hashlib
import io
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mediasvc.batch.chunks import Done, are_images, dump, holds, load
from mediasvc.batch.scan import Item
from mediasvc.core.text import edits
from mediasvc.core.text.reference import ArticleType
from mediasvc.effects.disk.files import reason, shown
from mediasvc.errors import InvalidRequest, StoreFailed

Row = dict[str, Any]  # Any: a JSON object of the report's schema

_BEGINNING = b'{"path":'  # of every report


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def row(item: Item, content: bytes, done: Done) -> Row:
    """The object of one article. content: what was read; where nothing was changed, the digests are equal."""
    digest_in = digest(content)
    changed = done.content is not None
    return {
        "path": str(item.path),
        "out": item.name,
        "root": item.root,
        "status": "failed" if done.error else "rewritten" if changed else "unchanged",
        "error": None if done.error is None else done.error[0],
        "message": None if done.error is None else done.error[1],
        "digest_in": digest_in,
        "digest_out": digest(done.content) if done.content is not None else digest_in,
        "images": done.images,
        "counts": _counts(done.images),
        "warnings": done.warnings,
        "seconds": round(done.seconds, 4),
        "edits": done.edits,
    }


def unwritten(told: Row, trouble: dict[str, str | None]) -> Row:
    """The object of an article that was done and then could not be written: it says what it said before.

    trouble: what the object tells instead.
    """
    nothing = dict.fromkeys(("original", "thumbnail", "width", "height", "bytes", "original_bytes"))
    images = [
        image | nothing | {"status": "left"} if image["status"] == "localised" else image
        for image in told["images"]
    ]
    return told | trouble | {"images": images, "counts": _counts(images), "edits": []}


def earlier(line: str, content: bytes) -> Row | None:
    """The object of a line that an earlier run in place recorded; None: the article does not hold what that wrote."""
    try:
        told = from_line(line.encode())
        return told if edits.restore(content, told["edits"]) is not content else None
    except ValueError:
        return None


def joined(first: Row, second: Row, content: bytes) -> Row:
    """The object of an article that two runs in place have changed, one after the other: what both did, and the way
    back to what was there before the first.

    content: what the second run read. first: of earlier().
    """
    done = [image for image in first["images"] if image["status"] == "localised"]
    ours = {_name(image[kind]) for image in done for kind in ("original", "thumbnail") if image[kind]}
    more = [
        image for image in second["images"] if image["status"] != "left" or _name(image["source"]) not in ours
    ]
    return second | {
        "status": "failed" if second["error"] else "rewritten",
        "digest_in": digest(edits.restore(content, first["edits"])),
        "images": done + more,
        "counts": _counts(done + more),
        "edits": edits.join(first["edits"], second["edits"], content),
    }


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _counts(images: list[dict[str, Any]]) -> dict[str, int]:  # Any: as in Done
    statuses = [image["status"] for image in images]
    return {
        "references": len(statuses),
        "localised": statuses.count("localised"),
        "left": statuses.count("left"),
        "failed": statuses.count("failed"),
    }


def unread(item: Item, code: str, message: str) -> Row:
    """The object of an article that could not even be read."""
    return {
        "path": str(item.path),
        "out": item.name,
        "root": item.root,
        "status": "failed",
        "error": code,
        "message": message,
        "digest_in": None,
        "digest_out": None,
        "images": [],
        "counts": {"references": 0, "localised": 0, "left": 0, "failed": 0},
        "warnings": [],
        "seconds": 0.0,
        "edits": [],
    }


def unread_folder(folder: Path, error: OSError) -> Row:
    """The same of a folder, which is told of but stands in no report: nobody knows what is in it."""
    told = InvalidRequest(f"cannot read the folder: {reason(error)}")
    return unread(Item(folder, folder, "", ArticleType.HTML, ""), told.code, str(told))


def to_line(told: Row) -> bytes:
    """See chunks.dump."""
    return dump(told) + b"\n"


def from_line(line: bytes) -> Row:
    """ValueError on what is not a report's line."""
    told = load(line)
    if not isinstance(told, dict) or "out" not in told or "status" not in told:
        raise ValueError("not an article's object")
    return told


_TEXTS = ("path", "out", "status")


def _check(told: Row) -> Row:
    """ValueError where an object of a file is not of the report's shape."""
    if (
        not holds(told, str, _TEXTS)
        or not holds(told, str | None, ("error",))
        or not isinstance(told.get("root", ""), str)
        or not are_images(told.get("images"))
    ):
        raise ValueError("not an article's object")
    return told


class ReportFile:
    """A report that grows; whole lines reach the disk's cache in one write, so that a kill tears at most the last.

    Of two runs that write a report of the same name at once, the later one's has the name in the end; both are whole.
    """

    def __init__(self, path: Path) -> None:
        """InvalidRequest where the file cannot be made, or is something else than a report: an article, say, since
        --report was given no name of its own."""
        self._path = path
        self._whole = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _may_be_report(path):
                raise InvalidRequest(
                    f"{shown(path)} is there and no report; remove it, or give --report another name"
                )
            self._file = _begin(path)
        except OSError as error:
            raise InvalidRequest(f"cannot write the report {shown(path)}: {reason(error)}") from error

    def add(self, rows: Sequence[Row]) -> None:
        """StoreFailed where the disk is full or gone."""
        rest = memoryview(b"".join(map(to_line, rows)))
        size = len(rest)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            self._whole += size
        except OSError as error:
            with contextlib.suppress(OSError):  # a pipe, or a disk that is gone
                self._file.truncate(self._whole)
            raise StoreFailed(f"cannot write the report {shown(self._path)}: {reason(error)}") from error

    def close(self) -> None:
        """Ends the report, which is on the disk then. StoreFailed where that is not sure."""
        with self._file:
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                return
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise StoreFailed(f"cannot write the report {shown(self._path)}: {reason(error)}") from error


def _may_be_report(path: Path) -> bool:
    """Whether nothing is lost when a report is written there: a report, or nothing yet, or no file at all."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        begins = file.read(len(_BEGINNING))
    return _BEGINNING.startswith(begins)


def _begin(path: Path) -> io.FileIO:
    """An empty file of that name, or the pipe or device that has it."""
    file = path.open("ab", buffering=0)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return _take_over(path.resolve())
    except OSError:
        pass  # a file system that knows no locks
    file.truncate(0)
    return file


def _take_over(path: Path) -> io.FileIO:
    """Another run is writing the report, and goes on in the file that it has; ours gets the name."""
    beside = path.with_name(f".mediasvc-{secrets.token_hex(8)}.tmp")
    file = beside.open("xb", buffering=0)
    try:
        beside.chmod(stat.S_IMODE(path.stat().st_mode))
        fcntl.flock(file, fcntl.LOCK_EX)
        beside.replace(path)
    except OSError:
        file.close()
        beside.unlink(missing_ok=True)
        raise
    return file


def read_report(path: Path) -> Iterator[Row]:
    """Every object of a report, one at a time. InvalidRequest, naming the line, where it is not one.

    A last line without its line break is what a kill leaves behind, and is passed over.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    told = _check(from_line(line))
                except ValueError as error:
                    if not line.endswith(b"\n"):
                        return
                    message = f"{shown(path)}, line {number}: not a line of a mediasvc report"
                    raise InvalidRequest(message) from error
                yield told
    except OSError as error:
        raise InvalidRequest(f"cannot read the report {shown(path)}: {reason(error)}") from error


def inside(root: Path, name: str) -> Path:
    """The file that a report's path names below a folder. InvalidRequest where it would lead out of it."""
    path = root / name
    real_root = os.path.realpath(root)
    if os.path.isabs(name) or os.path.commonpath([os.path.realpath(path), real_root]) != real_root:  # noqa: PTH117
        raise InvalidRequest(f"the report names {name!r}, which lies outside of {shown(root)}")
    return path
