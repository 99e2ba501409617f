"""Spans of an article replaced by new bytes, and the way back."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple


class Edit(NamedTuple):
    """Bytes start to end of an article become `new`; start == end inserts."""

    start: int
    end: int
    new: bytes


_SPAN = attrgetter("start", "end")


def splice(article: bytes, edits: Sequence[Edit]) -> bytes:
    """The article with every edit made, in whatever order they come; nothing to change returns the same
    object.

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
    """What restore() needs, ready for JSON: of each edit [offset in the spliced article, its bytes, the old
    bytes].

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

    steps: from restorable(), perhaps read back from a file. ValueError if they are not of that shape, or the
    text no longer holds at their offsets what was written there; no steps return the same object.
    """
    pieces: list[bytes] = []
    done = 0
    for offset, new, old in _read_steps(steps):
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


def join(
    first: Sequence[Sequence[int | str]], second: Sequence[Sequence[int | str]], between: bytes
) -> list[list[int | str]]:
    """The steps that restore what `first` restores, from the article that `second` was recorded with.

    between: the article to which `second` leads back and from which `first` does. ValueError as for
    restore().
    """
    restore(between, first)
    back = [Edit(offset, offset + len(new), old) for offset, new, old in _read_steps(first)]
    forth: list[Edit] = []
    shift = 0
    for offset, new, old in _read_steps(second):
        forth.append(Edit(offset - shift, offset - shift + len(old), new))
        shift += len(new) - len(old)
    steps: list[list[int | str]] = []
    shift = 0
    for start, end, backwards, forwards in _meetings(back, forth):
        part = between[start:end]
        new, old = splice(part, forwards), splice(part, backwards)
        if new != old:
            steps.append([start + shift, new.decode("latin-1"), old.decode("latin-1")])
        shift += len(new) - len(part)
    return steps


def _meetings(back: list[Edit], forth: list[Edit]) -> Iterator[tuple[int, int, list[Edit], list[Edit]]]:
    """Spans of one article in which edits of both kinds meet or one stands alone, with their edits as of the
    span.
    """
    # Of one span, edits stay in the order in which they were recorded.
    both = sorted(
        [(edit, kind) for kind, some in enumerate((back, forth)) for edit in some], key=_span_of_first
    )
    place = 0
    while place < len(both):
        start, end, _ = both[place][0]
        found: tuple[list[Edit], list[Edit]] = ([], [])
        while place < len(both) and both[place][0].start <= end:
            edit, kind = both[place]
            found[kind].append(Edit(edit.start - start, edit.end - start, edit.new))
            end = max(end, edit.end)
            place += 1
        yield start, end, *found


def _span_of_first(pair: tuple[Edit, int]) -> tuple[int, int]:
    return pair[0].start, pair[0].end


def _read_steps(steps: Sequence[Sequence[int | str]]) -> Iterator[tuple[int, bytes, bytes]]:
    for step in steps:
        if (
            len(step) != 3
            or type(step[0]) is not int
            or not isinstance(step[1], str)
            or not isinstance(step[2], str)
        ):
            raise ValueError("not a record of edits")
        yield step[0], step[1].encode("latin-1"), step[2].encode("latin-1")


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
