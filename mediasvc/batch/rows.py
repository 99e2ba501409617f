"""The report's row of one article, and how rows are made from results."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from mediasvc import errors
from mediasvc.articles.rows import Counts, ImageRow, Status, UndoRecord
from mediasvc.batch.chunks import Done
from mediasvc.batch.scan import Item
from mediasvc.core.text import edits
from mediasvc.effects.disk.files import reason
from mediasvc.errors import Failure, InvalidRequest


class ArticleStatus(StrEnum):
    """What happened to one article."""

    REWRITTEN = "rewritten"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ArticleRow:
    """One article of a report. JSON form: batch.json_lines.

    path: the input file, as this run was given it.
    out: the output file, relative to root, with "/" between its parts.
    root: the output folder, absolute; "" in reports that do not have it.
    failure: set if and only if status is FAILED.
    digest_in, digest_out: SHA-256 of the input and of the output; None where there is none.
    undo: the steps that bring the input back; empty where the run wrote nothing.
    """

    path: str
    out: str
    root: str
    status: ArticleStatus
    failure: Failure | None = None
    digest_in: str | None = None
    digest_out: str | None = None
    images: tuple[ImageRow, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    undo: UndoRecord = field(default_factory=list)

    @property
    def counts(self) -> Counts:
        """How many references there are, by status."""
        return Counts.of(self.images)

    @property
    def has_failed_images(self) -> bool:
        """Whether one of its images failed."""
        return any(image.status is Status.FAILED for image in self.images)

    @property
    def exit_code(self) -> errors.ExitCode:
        """Zero, or the worst of the article's failures."""
        return exit_code_of(self.images, self.failure)


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_done(item: Item, content: bytes, done: Done) -> ArticleRow:
    """The row of an article that was read. content: the input; unchanged articles have two equal digests."""
    digest_in = digest(content)
    changed = done.content is not None
    status = ArticleStatus.REWRITTEN if changed else ArticleStatus.UNCHANGED
    return ArticleRow(
        path=str(item.path),
        out=item.name,
        root=item.root,
        status=ArticleStatus.FAILED if done.failure else status,
        failure=done.failure,
        digest_in=digest_in,
        digest_out=digest(done.content) if done.content is not None else digest_in,
        images=done.images,
        warnings=done.warnings,
        seconds=round(done.seconds, 4),
        undo=done.undo,
    )


def unread(item: Item, failure: Failure) -> ArticleRow:
    """The row of an article that could not be read."""
    return ArticleRow(str(item.path), item.name, item.root, ArticleStatus.FAILED, failure)


def unread_folder(folder: Path, error: OSError) -> ArticleRow:
    """A row for messages only: no report has it, because the articles of the folder are unknown."""
    failure = Failure.of(InvalidRequest(f"cannot read the folder: {reason(error)}"))
    return ArticleRow(str(folder), "", "", ArticleStatus.FAILED, failure)


def unwritten(row: ArticleRow, failure: Failure) -> ArticleRow:
    """The row of an article that was rewritten and then could not be written: it has its old text."""
    return replace(
        row,
        status=ArticleStatus.FAILED,
        failure=failure,
        digest_out=None,
        images=tuple(map(_unwritten, row.images)),
        undo=[],
    )


def _unwritten(image: ImageRow) -> ImageRow:
    if image.status is not Status.LOCALISED:
        return image
    return image._replace(
        status=Status.LEFT,
        original=None,
        thumbnail=None,
        width=None,
        height=None,
        bytes=None,
        original_bytes=None,
    )


def is_output_of(content: bytes, row: ArticleRow) -> bool:
    """Whether an article still has everything that the row's run wrote into it."""
    try:
        return edits.restore(content, row.undo) is not content
    except ValueError:
        return False


def joined(first: ArticleRow, second: ArticleRow, content: bytes) -> ArticleRow:
    """The row of an article that two runs in place changed one after the other; undoing it undoes both.

    content: the input of the second run.
    ValueError where content is not the output of the first run.
    """
    done = [image for image in first.images if image.status is Status.LOCALISED]
    ours = {_name(path) for image in done for path in (image.original, image.thumbnail) if path}
    more = [
        image for image in second.images if image.status is not Status.LEFT or _name(image.source) not in ours
    ]
    return replace(
        second,
        status=ArticleStatus.FAILED if second.failure else ArticleStatus.REWRITTEN,
        digest_in=digest(edits.restore(content, first.undo)),
        images=(*done, *more),
        undo=edits.join(first.undo, second.undo, content),
    )


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def exit_code_of(images: Iterable[ImageRow], failure: Failure | None) -> errors.ExitCode:
    """The exit code of one article: zero, or the worst of its failures."""
    codes = [errors.kind_of(image.code).exit_code for image in images if image.status is Status.FAILED]
    # An address in the article that cannot be read is a permanent failure, not wrong usage of the command.
    codes = [errors.ExitCode.PERMANENT if code is errors.ExitCode.USAGE else code for code in codes]
    return errors.worst_exit_code([*codes, failure.kind.exit_code] if failure else codes)
