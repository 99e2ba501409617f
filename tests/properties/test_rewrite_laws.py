"""The laws of rewriting, over generated articles, with html5lib and a Markdown renderer as the readers."""

import json
import random
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import html5lib
import pyromark
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.text.front_matter.formats import FRONT_MATTER_FORMATS
from mediasvc.core.text.references import (
    ArticleType,
    Edit,
    Found,
    Reference,
    find_references,
    restorable,
    restore,
    splice,
    write,
)
from mediasvc.errors import InvalidRequest

P = "http://pics.example/"
html_pieces = st.sampled_from(
    [
        f'<img src="{P}a.jpg">', f"<img src='{P}b.jpg' data-size='60,40'>", f"<img alt=x src={P}c.jpg>", f"<IMG SRC={P}d/>",  # noqa: E501
        f'<img alt="x"src="{P}e.jpg"onclick>', f'<img srcset="{P}f,1.jpg 1x, {P}g.jpg 2x">', f"<img data-original='{P}h?a=1&amp;b=2'>",  # noqa: E501
        f'<video poster="{P}i.jpg"></video>', f"<svg><image xlink:href='{P}j.jpg'/></svg>", f'<p style="background:url(&quot;{P}k.jpg&quot;)">',  # noqa: E501
        f"<style>a{{b:url({P}l.jpg)}}</style>", f'<a href="{P}a.jpg">', "</a>", f'<input type=image src="{P}m.jpg">',  # noqa: E501
        f"<noscript><img src={P}n.jpg></noscript>", f"<template><img src={P}o.jpg></template>", f"<!-- <img src={P}no.jpg> -->",  # noqa: E501
        f"<textarea><img src={P}no.jpg></textarea>", f"<script>'<img src={P}no.jpg>'</script>", f"<title><img src={P}no.jpg></title>",  # noqa: E501
        "<p>", "</p>", "<div>", "</div>", "<table>", "<td>", "</table>", "<b>", "</b>", "<i><p>", "</i>", "<li>", "<h1>", "<svg>", "</svg>",  # noqa: E501
        "<body class=x>", "<head>", "<br/>", "text", "é中", "&amp;", "&", "<", ">", "<3", "\n", "\r\n", "\0", " ", "'", '"', "<img", "<img src='",  # noqa: E501
        "=", "<!doctype html>", "<!--", "-->", "<math>", "<title>", "</title>", "<style>", "</style>", "`",
    ]
)  # fmt: skip
markdown_pieces = st.sampled_from(
    [
        f"![x]({P}a.jpg)", f"![x](<{P}b.jpg> 't')", f"[![x]({P}c.jpg)]({P}c.jpg)", "![x][ref]", "![ref]", f"\n\n[ref]: {P}d.jpg\n\n",  # noqa: E501
        f'<img src="{P}e.jpg">', f"<img src='{P}f.jpg' width=3 height=2>", f"\n\n<div>\n<img src={P}g.jpg>\n", "\n</div>\n", "\n\n",  # noqa: E501
        f"`![x]({P}no.jpg)`", f"\n```\n![x]({P}no.jpg)\n```\n", f"\n\n    ![x]({P}no.jpg)\n\n", f"\\![x]({P}h.jpg)", "`", "``",  # noqa: E501
        "\n", "\r\n", "\n> ", "\n- ", "\n1. ", "\n# ", "\n|a|b|\n|-|-|\n|", "|", "**", "_", "[", "]", "(", ")", "![", "](", "<", ">", "<b>", "</b>",  # noqa: E501
        "<!--", "-->", "<textarea>", "</textarea>", "text", "é中", "&", "\\", "\n---\n", "\t", " ", f"<{P}i.jpg>", f"<a href='{P}a.jpg'>", "</a>",  # noqa: E501
        f"\n\n<p>\n<img alt='x'src={P}j.jpg>\n\n", f"<p style='background:url({P}k.jpg)'>", "![x](", f"{P}l.jpg)",  # noqa: E501
    ]
)  # fmt: skip
FRONT_MATTER = {
    "YAML": [
        f"\n---\ntitle: 'x'\ncover: '{P}fm.jpg'\n---\n", f"---\nthumbnail: {P}a.jpg\n---\n", f"---\nt: 'it's'\ncover: \"{P}fm.jpg\"\n---\n",  # noqa: E501
        f"---\r\ncover: {P}fm.jpg\r\n---\r\n", f"---\ncover:\n  image: {P}a.jpg\nimages: [{P}b.jpg, '{P}c.jpg']\n...\n",  # noqa: E501
        f"---\nphotos:\n- {P}a.jpg {P}b.jpg \"t\"\n- >-\n  {P}c.jpg\n  {P}d.jpg\n---\n",
    ],
    "TOML": [
        f"+++\nimage = \"{P}fm.jpg\"\n[cover]\nimage = '{P}a.jpg'\n+++\n", f"\r\n+++\r\nimages = [\"{P}a.jpg\",\r\n'{P}b.jpg']\r\n+++\r\n",  # noqa: E501
        f"+++\ncover = {{ image = \"{P}a.jpg\" }}\n[[gallery]]\nurl = '{P}b.jpg'\n+++\n",
    ],
    "JSON": [
        f'{{"image": "{P}fm.jpg", "images": ["{P}a.jpg", "{P}b.jpg"]}}\n', f'{{\n"cover": {{"image": "{P}fm.jpg"}}\n}}\n\n',  # noqa: E501
    ],
}  # fmt: skip
front_matter = st.sampled_from(["", "+++\n", *(text for texts in FRONT_MATTER.values() for text in texts)])
# html5lib keeps `</p>` inside SVG and MathML; since 2020 the standard leaves them there, and so do browsers.
html_articles = (
    st.lists(html_pieces, max_size=14)
    .map("".join)
    .filter(lambda text: re.search(r"<(?:svg|math)>.*</p>", text, re.DOTALL) is None)
)
markdown_articles = st.lists(markdown_pieces, max_size=14).map("".join)
mixtures = (
    st.lists(st.one_of(html_pieces, markdown_pieces), max_size=14)
    .map("".join)
    .filter(lambda text: "<svg>" not in text and "<math>" not in text)
)
encodings = st.sampled_from(["utf-8", "utf-8-sig", "gbk", "big5", "latin-1"])
articles = st.builds(
    lambda front, body, encoding: (front + body).encode(encoding, "replace"),
    front_matter,
    st.one_of(html_articles, markdown_articles, mixtures),
    encodings,
)
any_bytes = st.builds(
    lambda left, right, cut: left[: cut % (len(left) + 1)] + right,
    articles,
    st.binary(max_size=40),
    st.integers(0, 999),
)
kinds = st.sampled_from(list(ArticleType))


def _plan(found: Found, seed: int) -> list[Edit]:
    """Some of the references, each with a value of its own."""
    choice = random.Random(seed)
    return [
        write(one, f"assets/{number:04}.jpg")
        for number, one in enumerate(found.references)
        if one.left is None and one.address.startswith("http") and choice.random() < 0.8
    ]


def test_each_format_of_front_matter_is_held_to_these_laws() -> None:
    found = {
        format.name: [
            find_references(text.encode(), ArticleType.MARKDOWN).references
            for text in FRONT_MATTER[format.name]
        ]
        for format in FRONT_MATTER_FORMATS
    }

    assert all(references for texts in found.values() for references in texts)


@given(st.one_of(articles, any_bytes), kinds, st.integers(0, 99))
def test_only_planned_spans_differ_and_restore_undoes_them(
    article: bytes, kind: ArticleType, seed: int
) -> None:
    try:
        found = find_references(article, kind)
    except InvalidRequest:
        return
    edits = _plan(found, seed)

    rewritten = splice(article, edits)

    assert splice(article, []) is article
    outside, start = [], 0
    for one in found.references:
        assert start <= one.start <= one.end <= len(article)
        start = one.end
    start = 0
    for edit in edits:
        outside.append(article[start : edit.start])
        start = edit.end
    outside.append(article[start:])
    position = 0
    for piece, following in zip(outside, [*edits, None], strict=True):
        assert rewritten.startswith(piece, position)
        position += len(piece)
        if following is not None:
            assert rewritten.startswith(following.new, position)
            position += len(following.new)
    assert position == len(rewritten)
    assert restore(rewritten, json.loads(json.dumps(restorable(edits, article)))) == article


@given(articles, kinds)
def test_rewriting_a_rewritten_article_changes_nothing(article: bytes, kind: ArticleType) -> None:
    found = _images(article, kind)
    edits = [write(one, "assets/x.jpg") for one in found if one.address.startswith("http")]
    rewritten = splice(article, edits)

    again = _images(rewritten, kind)

    assert [one.address for one in again if one.address.startswith("http")] == []
    assert len(again) == len(found)


def _images(article: bytes, kind: ArticleType) -> list[Reference]:
    """Links and what is left apart."""
    references = find_references(article, kind).references
    return [one for one in references if one.same_as is None and one.left is None]


@given(html_articles, st.integers(0, 99))
def test_a_reader_of_html_sees_exactly_the_planned_change(text: str, seed: int) -> None:
    article = text.encode()
    found = find_references(article, ArticleType.HTML)
    edits = _plan(found, seed)

    _compare(text, splice(article, edits).decode(), edits)


@given(html_articles)
def test_no_image_that_a_reader_of_html_sees_is_missed(text: str) -> None:
    found = find_references(text.encode(), ArticleType.HTML)
    rewritten = splice(
        text.encode(), [write(one, "assets/x.jpg") for one in found.references if one.left is None]
    ).decode()

    assert _remote_images(rewritten) == []


@given(markdown_articles | mixtures, st.integers(0, 99))
def test_a_reader_of_markdown_sees_exactly_the_planned_change(text: str, seed: int) -> None:
    article = text.encode()
    if text.startswith(("---", "\n---", "\r\n---")):
        return
    edits = _plan(find_references(article, ArticleType.MARKDOWN), seed)

    _compare(_rendered(text), _rendered(splice(article, edits).decode()), edits)


@given(markdown_articles | mixtures)
def test_no_image_that_a_reader_of_markdown_sees_is_missed(text: str) -> None:
    if text.startswith(("---", "\n---", "\r\n---")):
        return
    found = find_references(text.encode(), ArticleType.MARKDOWN)
    rewritten = splice(
        text.encode(), [write(one, "assets/x.jpg") for one in found.references if one.left is None]
    ).decode()

    assert _remote_images(_rendered(rewritten)) == []


def _rendered(text: str) -> str:
    options = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH
    options |= pyromark.Options.ENABLE_FOOTNOTES | pyromark.Options.ENABLE_TASKLISTS
    return pyromark.html(text, options=options)


def _elements(text: str) -> Iterator[ElementTree.Element]:
    tree = html5lib.parse(text, treebuilder="etree", namespaceHTMLElements=False)
    yield from tree.iter()


def _compare(before: str, after: str, edits: list[Edit]) -> None:
    """Same elements, texts and attributes, but for values that now are, or hold, a planned value."""
    values = {edit.new.decode() for edit in edits}
    old, new = list(_elements(before)), list(_elements(after))
    assert [element.tag for element in old] == [element.tag for element in new]
    for one, other in zip(old, new, strict=True):
        assert one.tail == other.tail
        assert list(one.attrib) == list(other.attrib)
        pairs = [(one.get(name), other.get(name)) for name in one.attrib]
        pairs.append((one.text, other.text))
        for was, now in pairs:
            if was != now:
                assert was is not None
                assert now is not None
                assert P in was
                assert any(value in now for value in values)


SEEN = {
    ("img", "src"), ("img", "srcset"), ("img", "data-original"), ("source", "srcset"), ("video", "poster"),
    ("{http://www.w3.org/2000/svg}image", "{http://www.w3.org/1999/xlink}href"), ("input", "src"),
}  # fmt: skip


def _remote_images(text: str) -> list[str]:
    return [
        value
        for element in _elements(text)
        for name, value in element.attrib.items()
        if (element.tag, name) in SEEN
        and value.strip().startswith("http")
        and (element.tag != "input" or element.get("type") == "image")
    ]
