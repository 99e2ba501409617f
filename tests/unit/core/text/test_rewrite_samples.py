"""Every file in samples/articles: a remark, options, an article, and what becomes of it.

The pretend world of these files: an image's original is `assets/NAME.jpg`, its thumbnail
`assets/NAME-WxH.jpg`, NAME being the last name in the address; what stands behind a wrapper's `?` is the
origin; nothing fails; there is no base address. `prefix: https://cdn.example/` in the options is what stands
before names instead of `assets/`.
"""

import re
from pathlib import Path
from typing import cast, get_args

import pytest

from mediasvc.core.geometry import Size, box_text, parse_size
from mediasvc.core.text.picture_address import looks_like_picture
from mediasvc.core.text.references import (
    ArticleType,
    Edit,
    FindOptions,
    Found,
    FrontMatterUse,
    Reference,
    Wants,
    find_references,
    restorable,
    restore,
    splice,
    write,
)

SAMPLES = sorted((Path(__file__).parents[3] / "samples" / "articles").glob("*.txt"))
LINE_ENDS = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 30


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_article_becomes_what_the_sample_says(path: Path) -> None:
    head, given, expected = _read(path)
    options = _options(head)
    kind = ArticleType(head["type"])

    edits = _plan(find_references(given, kind, options), head)
    rewritten = splice(given, edits)

    encoding = head.get("encoding", "utf-8")
    assert rewritten.decode(encoding) == expected.decode(encoding)
    assert rewritten == expected
    assert restore(rewritten, restorable(edits, given)) == given


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_second_run_changes_nothing(path: Path) -> None:
    head, _, expected = _read(path)

    edits = _plan(find_references(expected, ArticleType(head["type"]), _options(head)), head)

    assert splice(expected, edits) is expected


def _read(path: Path) -> tuple[dict[str, str], bytes, bytes]:
    text = path.read_bytes().decode("utf-8")
    header, given, expected = re.split(r"^==== (?:input|expected)\n", text, flags=re.MULTILINE)
    head = dict(line.split(": ", 1) for line in header.splitlines() if not line.startswith("#"))
    line_end = LINE_ENDS[head.get("line-ends", "lf")]
    encoding = head.get("encoding", "utf-8")
    sides = [side.removesuffix("\n").replace("\n", line_end).encode(encoding) for side in (given, expected)]
    return head, sides[0], sides[1]


def _options(head: dict[str, str]) -> FindOptions:
    uses: dict[str, FrontMatterUse] = {}
    for pair in head.get("front-matter", "").split():
        name, use = pair.split("=")
        assert use in get_args(FrontMatterUse)
        uses[name] = cast(FrontMatterUse, use)
    return FindOptions(
        front_matter=uses, default_size=parse_size(head.get("size", "")), is_picture=_is_picture
    )


def _plan(found: Found, head: dict[str, str]) -> list[Edit]:
    sizes: dict[str, Size | None] = {}
    prefix = head.get("prefix", "assets/")
    references = [
        one
        for one in found.references
        if one.left is None and not (one.read_elsewhere and prefix == "assets/")
    ]
    for one in references:
        if one.same_as is None or (one.same_as and _is_picture(one.address)):
            sizes[_origin(one.address)] = sizes.get(_origin(one.address)) or one.declared_size
    return [
        write(one, prefix + _asset(one, sizes))
        for one in references
        if _is_absolute(one.address)
        and not one.address.startswith(prefix)
        and (one.same_as is None or _origin(one.address) in sizes)
    ]


def _asset(reference: Reference, sizes: dict[str, Size | None]) -> str:
    origin = _origin(reference.address)
    name = re.sub(r"\.jpe?g\b.*|[.:!].*", "", origin.split("?")[0].rstrip("/").rsplit("/", 1)[-1])
    size = reference.declared_size or sizes[origin]
    if reference.wants is Wants.ORIGINAL or size is None:
        return f"{name}.jpg"
    return f"{name}-{box_text(size)}.jpg"


def _origin(address: str) -> str:
    return re.sub(
        r"(?:https://[^/?]*workers\.dev/\?)?(?:https?:)?//", "", address, count=1, flags=re.IGNORECASE
    )


def _is_picture(address: str) -> bool:
    return looks_like_picture(f"http://{_origin(address)}")


def _is_absolute(address: str) -> bool:
    return re.match(r"(?:https?:)?//", address, re.IGNORECASE) is not None
