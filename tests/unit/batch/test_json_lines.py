"""A row of the report survives its JSON line, whichever version wrote it."""

import json
from dataclasses import replace

import pytest

from mediasvc.articles.rows import ImageRow, Status
from mediasvc.batch.json_lines import from_line, to_line
from mediasvc.batch.rows import ArticleRow, ArticleStatus
from mediasvc.core.geometry import Size
from mediasvc.errors import Failure

LOCALISED = ImageRow(
    source="https://cors.example/?http://news.example/a.jpg",
    origin="http://news.example/a.jpg",
    where="img[src]",
    declared_size=Size(600, 400),
    status=Status.LOCALISED,
    original="assets/a.jpg",
    thumbnail="assets/b.jpg",
    width=600,
    height=400,
    bytes=38_000,
    original_bytes=160_400,
    original_size=(1200, 800),
    thumbhash="3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    dominant="#7f6f5f",
    warnings=('width="x" is not a size',),
)
FAILED = ImageRow("http://news.example/b.jpg", None, "srcset", None, Status.FAILED, "source_missing")
LEFT = ImageRow("{{ a }}", None, "text", None, Status.LEFT, why="a template")
ROW = ArticleRow(
    path="posts/秋\udcff.md",
    out="秋\udcff.md",
    root="/site",
    status=ArticleStatus.REWRITTEN,
    digest_in="0" * 64,
    digest_out="1" * 64,
    images=(LOCALISED, FAILED, LEFT),
    warnings=("a warning",),
    seconds=0.25,
    undo=[[3, "assets/b.jpg", "http://news.example/a.jpg"]],
)
LINE = to_line(replace(ROW, path="a.md", out="a.md"))
UNREAD = ArticleRow("a.md", "a.md", "/site", ArticleStatus.FAILED, Failure("body_too_large", "too large"))


@pytest.mark.parametrize("row", [ROW, UNREAD])
def test_a_row_survives_its_line(row: ArticleRow) -> None:
    assert from_line(to_line(row)) == row


def test_a_line_has_the_members_of_the_report_in_their_order() -> None:
    members = json.loads(to_line(ROW))

    assert list(members) == [
        "path",
        "out",
        "root",
        "status",
        "error",
        "message",
        "digest_in",
        "digest_out",
        "images",
        "counts",
        "warnings",
        "seconds",
        "edits",
    ]
    assert members["counts"] == {"references": 3, "localised": 1, "left": 1, "failed": 1}
    assert list(members["images"][0]) == list(ImageRow._fields[:16])
    assert members["images"][0]["declared_size"] == [600, 400]
    assert members["images"][2]["why"] == "a template"


def test_what_few_references_have_is_written_where_it_is_set() -> None:
    some = LEFT._replace(why=None, via="https://web.archive.org/", media_type="video/mp4")
    first, second = json.loads(
        to_line(ArticleRow("a", "a", "", ArticleStatus.UNCHANGED, images=(some, FAILED)))
    )["images"]

    assert (first["via"], first["media_type"]) == ("https://web.archive.org/", "video/mp4")
    assert not {"why", "via", "media_type"} & (set(second) | {name for name in first if name == "why"})


def test_a_line_of_an_earlier_version_is_read() -> None:
    image = dict.fromkeys(("origin", "code", "original", "thumbnail", "width", "height", "bytes"))
    images = [image | {"source": "x", "status": "left"}]
    line = {"path": "a", "out": "a", "status": "rewritten", "error": None, "images": images}

    row = from_line(json.dumps(line).encode())

    assert (row.root, row.digest_in, row.undo, row.images[0].where) == ("", None, [], "")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"1",
        b'{"path": "a"}',
        LINE.replace(b'"rewritten"', b'"lost"'),
        LINE.replace(b'"status":"left"', b'"status":"lost"'),
        LINE.replace(b'"bytes":38000', b'"bytes":"38000"'),
        LINE.replace(b"[600,400]", b"[600]"),
        LINE.replace(b'"images":[', b'"images":[1,'),
    ],
)
def test_any_other_line_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        from_line(line)
