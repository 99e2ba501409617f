"""Undoing a run from its report: the source URLs are put back, byte for byte."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mediasvc.batch.report import digest, inside, read_report
from mediasvc.core import rewrite
from mediasvc.effects import files
from mediasvc.errors import MediaError

_MAX_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Restored:
    """One article. state: "restored", "as it was" (nothing to undo) or "failed", then with the reason."""

    name: str
    state: str
    reason: str = ""


def restore(report_file: Path, root: Path) -> Iterator[Restored]:
    """Every article of a report whose paths are relative to root, one at a time.

    An article that was changed since the run is left alone and told as failed. InvalidRequest where the
    report cannot be read.
    """
    for told in read_report(report_file):
        name = told["out"]
        if not told.get("edits"):
            yield Restored(name, "as it was")
            continue
        try:
            path = inside(root, name)
            seen = files.read_whole(path, _MAX_BYTES)
            found = digest(seen.data)
            if found == told["digest_in"]:
                yield Restored(name, "as it was")
                continue
            if found != told["digest_out"]:
                yield Restored(
                    name, "failed", "it was changed after the run; only the file of that run can be restored"
                )
                continue
            original = rewrite.restore(seen.data, told["edits"])
            if digest(original) != told["digest_in"]:
                yield Restored(name, "failed", "the report does not lead back to the text it was made from")
                continue
            files.write_whole(path, original, seen.mode)
        except (MediaError, ValueError, KeyError, TypeError) as error:
            yield Restored(name, "failed", str(error) or "the report's edits cannot be read")
            continue
        yield Restored(name, "restored")
