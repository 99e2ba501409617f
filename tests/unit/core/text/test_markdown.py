"""Destinations in Markdown, against the parser that renders it."""

import re

import pyromark
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.text.encoding import read_source
from mediasvc.core.text.markdown import _OPTIONS, find_in_markdown
from mediasvc.core.text.reference import Reference


def _images(article: bytes) -> list[Reference]:
    return [one.item for one in find_in_markdown(read_source(article), 0, None).images]


@pytest.mark.parametrize(
    ("article", "written", "address"),
    [
        ("![](u)", "u", "u"),
        ("![]( <u v> )", "u v", "u v"),
        ("![](u(v)w)", "u(v)w", "u(v)w"),
        ("![](u\\)v)", "u\\)v", "u)v"),
        ("![](a&amp;b&copy;)", "a&amp;b&copy;", "a&b©"),
        ("![](a&copy=1)", "a&copy=1", "a&copy=1"),
        ("![a](\n  u\n  'title')", "u", "u"),
        ("> ![a](\n> u)", "u", "u"),
        ("- ![a](\n  u)", "u", "u"),
        ("![a](u 'b](c)')", "u", "u"),
        ("![a](<u\\>v>)", "u\\>v", "u>v"),
        ("![`](x)`](u)", "u", "u"),
        ("![a <b title='](x)'>](u)", "u", "u"),
        ("|![a](u\\|v)|\n|-|", "u\\|v", "u|v"),
        ("![a]\n\n[a]: u 'title'", "u", "u"),
        ("![a]\n\n[A]:\n   <u v>\n", "u v", "u v"),
        ("![a b][ A\n B ]\n\n[a b]: u", "u", "u"),
        ("![中]\n\n[中]: u", "u", "u"),
        ("![a][]\n\n> - [a]:\n>   u", "u", "u"),
    ],
)
def test_a_destination_is_found_as_written(article: str, written: str, address: str) -> None:
    (one,) = _images(article.encode())

    assert article.encode()[one.start : one.end].decode() == written
    assert one.address == address


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "big5"])
def test_labels_that_differ_in_characters_beyond_ascii_are_apart(encoding: str) -> None:
    article = "![x][港口] ![y][夜晚] 我們走了很久\n\n[港口]: u\n[夜晚]: v\n".encode(encoding)

    assert [article[one.start : one.end] for one in _images(article)] == [b"u", b"v"]


def test_offsets_are_those_of_the_article_in_long_texts_that_are_no_utf_8() -> None:
    article = ("港口的夜晚，碼頭。" * 400 + "![](u1) ").encode("big5") * 3

    assert [article[one.start : one.end] for one in _images(article)] == [b"u1"] * 3


fragments = st.sampled_from(
    ["![", "[", "]", "](", "(", ")", "<", ">", "`", "``", "\\", "\n", "\n\n", " ", "a", "中", "u", "http://a/b.jpg",
     "&amp;", "&", "> ", "- ", "    ", "|", "|-|\n", "# ", "```\n", "![a](u)", "[a]: u\n", "![a]", "<b>", "<!--", "-->",  # noqa: E501
     "'t'", '"', "*", "_", "\r\n", "\r", "\t", "\0", "![x](<u v>)", "[^1]: "]
)  # fmt: skip


@given(st.lists(fragments, max_size=24).map("".join))
def test_every_image_of_the_parser_is_found_with_its_address(text: str) -> None:
    if "\r" in text.replace(
        "\r\n", ""
    ):  # the finder reads a lone CR as a line end, the parser only sometimes
        return
    options = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH
    options |= pyromark.Options.ENABLE_FOOTNOTES | pyromark.Options.ENABLE_TASKLISTS
    wanted = {
        event["Start"]["Image"]["dest_url"]
        for event in pyromark.events(text, options=options)
        if not isinstance(event, str)
        and "Start" in event
        and isinstance(event["Start"], dict)
        and "Image" in event["Start"]
    }

    found = find_in_markdown(read_source(text.encode()), 0, None)

    assert found.warnings == []
    assert {one.item.address for one in found.images} == {address for address in wanted if address.strip()}


_PIECES = st.sampled_from(
    [
        "<div>", "<DIV ", "<p>", "</div>", "<p", "<h1>", "<table\n", "<ul\t", "<!--", "-->", "![a](u)", "[a]: u\n",  # noqa: E501
        "`", "```", "    ", "   ", " ", "\t", "\v", "\f", "\r", "\n", "\n\n", "\n \t\n", "- ", "> ", "# ", "---\n",  # noqa: E501
        "[^1]: ", "a", "é", "\0", "\x1c", "&#10;", "\\",
    ]
)  # fmt: skip


@given(st.sampled_from(["", "\n", " \n", "   ", "    "]), st.lists(_PIECES, max_size=12).map("".join))
def test_what_is_one_block_of_html_is_what_the_parser_passes_through(before: str, text: str) -> None:
    article = (before + "<div>" + text).encode()

    found = find_in_markdown(read_source(article), 0, None)

    passed = set[int]()
    as_parsed = re.sub("\r(?!\n)", "\n", article.decode())
    for event, span in pyromark.events_with_range(as_parsed, options=_OPTIONS, merge_text=True):
        if "Html" in event or "InlineHtml" in event:
            passed.update(range(span["start"], span["end"]))
    blanks = {at for at, byte in enumerate(article) if byte in b" \t\n\v\f\r"}
    assert {at for start, end in found.html for at in range(start, end)} - blanks == passed - blanks
