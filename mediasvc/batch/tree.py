"""Copies the files that are no articles, so that the output tree works where the input tree worked."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mediasvc.batch.output import leads_inside
from mediasvc.batch.scan import Plan, other_files
from mediasvc.effects.disk import files
from mediasvc.errors import InvalidRequest, MediaError, StoreFailed

_FAILURES_KEPT = 20


@dataclass(slots=True)
class Copied:
    """The result of copying.

    count: files that were copied; files that were there already do not count.
    failures: the first failures.
    failed: number of failures.
    """

    count: int = 0
    failures: list[MediaError] = field(default_factory=list)
    failed: int = 0

    def fail(self, error: MediaError) -> None:
        """Counts a failure."""
        self.failed += 1
        if len(self.failures) < _FAILURES_KEPT:
            self.failures.append(error)


def copy_tree(where: Plan, copied: Copied) -> Iterator[None]:
    """Copies every file below the plan's folders that is no article; yields after each file.

    A file whose copy has its size and its time of change is not copied again. Copies keep mode and times.
    """
    root = os.path.realpath(where.root)
    inputs = tuple(f"{os.path.realpath(path)}/" for path in where.paths if path.is_dir())
    seen: set[int] = set()
    for path, relative in other_files(where):
        mark = hash(relative)
        try:
            if mark in seen:
                raise InvalidRequest(
                    f"{files.shown(path)} is not copied: another input folder has {relative}"
                )
            copied.count += _copy(path, where.root / relative, root, inputs)
        except MediaError as error:
            copied.fail(error)
        if len(where.paths) > 1:
            seen.add(mark)
        yield


def _copy(source: Path, target: Path, root: str, inputs: tuple[str, ...]) -> bool:
    """Copies one file. Returns False where the copy was there. Raises InvalidRequest, StoreFailed."""
    try:
        found = source.stat()
        if not leads_inside(target, root):
            raise StoreFailed(f"{files.shown(target)} is behind a link that leads out of the output folder")
        if os.path.realpath(target).startswith(inputs):
            raise InvalidRequest(f"{files.shown(target)} is input; give --out another folder")
        if _is_there(target, found):
            return False
        files.copy_whole(source, target, stat.S_IMODE(found.st_mode))
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    except OSError as error:
        raise StoreFailed(f"cannot copy {files.shown(source)}: {files.reason(error)}") from error
    return True


def _is_there(target: Path, source: os.stat_result) -> bool:
    try:
        found = target.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (
        source.st_size,
        source.st_mtime_ns,
    )
