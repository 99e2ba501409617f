"""The report file of a run: one line for each article, written as the run proceeds."""

import contextlib
import fcntl
import io
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from mediasvc.batch.json_lines import from_line, to_line
from mediasvc.batch.rows import ArticleRow
from mediasvc.effects.disk.files import reason, shown
from mediasvc.errors import InvalidRequest, StoreFailed

_BEGINNING = b'{"path":'  # of every report


class ReportFile:
    """A report that is being written.

    Rows are appended in one write each, so a kill tears at most the last line.

    Two runs may write a report of the same name at once: both files are whole, and the later run's has the
    name.
    """

    def __init__(self, path: Path) -> None:
        """Raises InvalidRequest where the file cannot be written, or has content that is no report, such as
        an
        article whose name was given to --report by mistake."""
        self._path = path
        self._whole = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _may_be_report(path):
                raise InvalidRequest(
                    f"{shown(path)} exists and is not a report; remove it, or give --report another name"
                )
            self._file = _begin(path)
        except OSError as error:
            raise InvalidRequest(f"cannot write the report {shown(path)}: {reason(error)}") from error

    def add(self, rows: Sequence[ArticleRow]) -> None:
        """Appends rows. Raises StoreFailed where the disk is full or gone."""
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
        """Closes the report and syncs it to the disk. Raises StoreFailed where the sync fails."""
        with self._file:
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                return
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise StoreFailed(f"cannot write the report {shown(self._path)}: {reason(error)}") from error


def _may_be_report(path: Path) -> bool:
    """Whether a report may be written there: a report, an empty file, a pipe or device, or no file at all."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        begins = file.read(len(_BEGINNING))
    return _BEGINNING.startswith(begins)


def _begin(path: Path) -> io.FileIO:
    """Opens an empty file of that name, or the pipe or device that has the name."""
    file = path.open("ab", buffering=0)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return _take_over(path.resolve())
    except OSError:
        pass  # a file system without locks
    file.truncate(0)
    return file


def _take_over(path: Path) -> io.FileIO:
    """Opens a new file under the name, while another run goes on writing the file that had it."""
    beside = path.with_name(f".mediasvc-{secrets.token_hex(8)}.tmp")
    file = beside.open("xb", buffering=0)
    try:
        beside.chmod(path.stat().st_mode & 0o777)
        fcntl.flock(file, fcntl.LOCK_EX)
        beside.replace(path)
    except OSError:
        file.close()
        beside.unlink(missing_ok=True)
        raise
    return file


def read_report(path: Path) -> Iterator[ArticleRow]:
    """The rows of a report, one at a time.

    Ignores a last line without a line end: a kill leaves such a line behind.
    Raises InvalidRequest with the number of a line that is no row.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = from_line(line)
                except ValueError as error:
                    if not line.endswith(b"\n"):
                        return
                    message = f"{shown(path)}, line {number}: not a line of a mediasvc report"
                    raise InvalidRequest(message) from error
                yield row
    except OSError as error:
        raise InvalidRequest(f"cannot read the report {shown(path)}: {reason(error)}") from error


def inside(root: Path, name: str) -> Path:
    """The file that a report names below a folder.

    Raises InvalidRequest where the name leads out of the folder.
    """
    path = root / name
    real_root = os.path.realpath(root)
    if os.path.isabs(name) or os.path.commonpath([os.path.realpath(path), real_root]) != real_root:  # noqa: PTH117
        raise InvalidRequest(f"the report names {name!r}, which is outside {shown(root)}")
    return path
