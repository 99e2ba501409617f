"""Spans of an article replaced by new bytes, and the way back."""

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple


class Edit(NamedTuple):
    """Bytes start to end of an article become `new`; start == end inserts."""

    start: int
    end: int
    new: bytes


_SPAN = attrgetter("start", "end")


def splice(article: bytes, edits: Sequence[Edit]) -> bytes:
    """The article with every edit made, in whatever order they come; nothing to change returns the same object.

    ValueError if edits overlap or leave the article.
    """
    if not edits:
        return article
    pieces: list[bytes] = []
    done = 0
    changed = False
    for edit in _in_order(article, edits):
        pieces.append(article[done : edit.start])
        pieces.append(edit.new)
        changed = changed or article[edit.start : edit.end] != edit.new
        done = edit.end
    if not changed:
        return article
    pieces.append(article[done:])
    return b"".join(pieces)


def restorable(edits: Sequence[Edit], article: bytes) -> list[list[int | str]]:
    """What restore() needs, ready for JSON: of each edit [offset in the spliced article, its bytes, the old bytes].

    Bytes are written as Latin-1 text, so that any byte survives. Edits that change nothing are left out.
    """
    steps: list[list[int | str]] = []
    shift = 0
    for edit in _in_order(article, edits):
        old = article[edit.start : edit.end]
        if old != edit.new:
            steps.append([edit.start + shift, edit.new.decode("latin-1"), old.decode("latin-1")])
        shift += len(edit.new) - len(old)
    return steps


def restore(rewritten: bytes, steps: Sequence[Sequence[int | str]]) -> bytes:
    """The article as it was before splice(), byte for byte.

    steps: from restorable(), perhaps read back from a file. ValueError if they are not of that shape, or the text
    no longer holds at their offsets what was written there; no steps return the same object.
    """
    pieces: list[bytes] = []
    done = 0
    for step in steps:
        if (
            len(step) != 3
            or type(step[0]) is not int
            or not isinstance(step[1], str)
            or not isinstance(step[2], str)
        ):
            raise ValueError("not a record of edits")
        offset, new, old = step[0], step[1].encode("latin-1"), step[2].encode("latin-1")
        if offset < done or not rewritten.startswith(new, offset):
            raise ValueError(f"byte {offset} no longer begins with what was written there")
        pieces += (rewritten[done:offset], old)
        done = offset + len(new)
    if not pieces:
        return rewritten
    if done > len(rewritten):
        raise ValueError("the text is shorter than what was written")
    pieces.append(rewritten[done:])
    return b"".join(pieces)


def _in_order(article: bytes, edits: Sequence[Edit]) -> list[Edit]:
    ordered = sorted(edits, key=_SPAN)
    done = 0
    for edit in ordered:
        if not done <= edit.start <= edit.end <= len(article):
            raise ValueError(
                f"edit of bytes {edit.start} to {edit.end} overlaps another or leaves the article"
            )
        done = edit.end
    return ordered
