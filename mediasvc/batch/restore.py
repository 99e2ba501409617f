"""Undoes a run from its report: puts the source URLs back, byte for byte."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mediasvc.batch.report import inside, read_report
from mediasvc.batch.rows import ArticleRow, digest
from mediasvc.core.text import edits
from mediasvc.effects.disk import files
from mediasvc.errors import MediaError

_MAX_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Restored:
    """The result for one article.

    state: "restored", "as it was" (nothing to undo) or "failed".
    reason: why it failed.
    """

    name: str
    state: str
    reason: str = ""


def restore(report_file: Path, roots: Sequence[Path]) -> Iterator[Restored]:
    """Restores every article of a report, one at a time.

    roots: output folders of the run.
    Keeps text that was added since the run. An article in which text of the run was changed or moved stays as
    it is and counts as failed. Raises InvalidRequest where the report cannot be read.
    """
    for row in read_report(report_file):
        if not row.undo:
            yield Restored(row.out, "as it was")
            continue
        try:
            yield _restore(row, _root_of(row, roots))
        except (MediaError, ValueError, TypeError) as error:
            yield Restored(row.out, "failed", str(error) or "the report's edits cannot be read")


def _root_of(row: ArticleRow, roots: Sequence[Path]) -> Path:
    for root in roots:
        if os.path.realpath(root) == row.root:
            return root
    return next((root for root in roots if (root / row.out).exists()), roots[0])


def _restore(row: ArticleRow, root: Path) -> Restored:
    path = inside(root, row.out)
    seen = files.read_whole(path, _MAX_BYTES)
    found = digest(seen.data)
    if found == row.digest_in:
        return Restored(row.out, "as it was")
    try:
        original = edits.restore(seen.data, row.undo)
    except ValueError:
        return Restored(
            row.out,
            "failed",
            "text that the run wrote was changed or moved since; the article stays as it is",
        )
    if found == row.digest_out and digest(original) != row.digest_in:
        return Restored(
            row.out,
            "failed",
            "undoing the report's edits does not give the input of the run; the article stays as it is",
        )
    files.write_whole(path, original, seen.mode, durable=True)
    return Restored(row.out, "restored")
