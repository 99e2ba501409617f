"""A value is written so that a reader of the article sees it, in each notation, and nothing else changes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.text.references import (
    ArticleType,
    Reference,
    Syntax,
    find_references,
    splice,
    write,
    write_background,
)

OLD = "http://a/b"
TEMPLATES = {
    "double": (ArticleType.HTML, '<img alt="x" src="%s" title="y">z'),
    "single": (ArticleType.HTML, "<img alt='x' src='%s' title='y'>z"),
    "bare": (ArticleType.HTML, "<img alt=x src=%s title=y>z"),
    "bare before the end": (ArticleType.HTML, "<img src=%s>z"),
    "srcset": (ArticleType.HTML, '<img srcset="%s 1x, http://a/other 2x">z'),
    "srcset single": (ArticleType.HTML, "<img srcset='http://a/other, %s'>z"),
    "srcset bare": (ArticleType.HTML, "<img srcset=%s>z"),
    "css double": (ArticleType.HTML, '<style>a{b:url("%s")}c{d:url(http://a/other)}</style>z'),
    "css single": (ArticleType.HTML, "<style>a{b:url('%s')}c{d:url(http://a/other)}</style>z"),
    "css bare": (ArticleType.HTML, "<style>a{b:url(%s)}c{d:url(http://a/other)}</style>z"),
    "css in double": (ArticleType.HTML, "<p style=\"b:url('%s');c:url(http://a/other)\">z"),
    "css in single": (ArticleType.HTML, "<p style='b:url(\"%s\");c:url(http://a/other)'>z"),
    "css entity quotes": (ArticleType.HTML, '<p style="b:url(&quot;%s&quot;);c:url(http://a/other)">z'),
    "css in bare": (ArticleType.HTML, "<p style=b:url(%s);c:url(http://a/other)>z"),
    "svg": (ArticleType.HTML, "<svg><image xlink:href='%s'/></svg>z"),
    "inline": (ArticleType.MARKDOWN, "a ![b](%s 'c') d ![](http://a/other)"),
    "angle": (ArticleType.MARKDOWN, "a ![b](<%s>) d ![](http://a/other)"),
    "linked": (ArticleType.MARKDOWN, "a [![b](%s) c](http://x/) d ![](http://a/other)"),
    "table": (ArticleType.MARKDOWN, "|a|b|\n|-|-|\n|![b](%s)|![](http://a/other)|\n"),
    "definition": (ArticleType.MARKDOWN, "![b]\n\n[b]: %s 'c'\n[d]: http://a/other\n"),
    "definition angle": (ArticleType.MARKDOWN, "![b]\n\n[b]: <%s>\n[d]: http://a/other\n"),
    "html in markdown": (ArticleType.MARKDOWN, "a <img alt=\"x\" src=\"%s\"> b `c` ![](http://a/other)"),
    "yaml plain": (ArticleType.MARKDOWN, "---\ncover: %s # x\nimage: http://a/other\n---\n"),
    "yaml single": (ArticleType.MARKDOWN, "---\ncover: '%s'\nimage: http://a/other\n---\n"),
    "yaml double": (ArticleType.MARKDOWN, '---\ncover: "%s"\nimage: http://a/other\n---\n'),
    "yaml block": (ArticleType.MARKDOWN, "---\ncover: >-\n  %s\nimage: http://a/other\n---\n"),
    "yaml flow": (ArticleType.MARKDOWN, "---\n{cover: %s, image: http://a/other}\n---\n"),
    "yaml nested": (ArticleType.MARKDOWN, "---\ncover:\n  image: %s\n  x: y\nimage: http://a/other\n---\n"),
    "yaml item": (ArticleType.MARKDOWN, "---\nimages: [%s, http://a/other]\n---\n"),
    "yaml part": (ArticleType.MARKDOWN, "---\nimages:\n- http://a/other %s title\n- http://a/other x\n---\n"),
    "yaml part in flow": (ArticleType.MARKDOWN, "---\nimages: [%s http://a/other x]\n---\n"),
    "yaml part single": (ArticleType.MARKDOWN, "---\nimages:\n- 'http://a/other %s x'\n---\n"),
    "yaml part block": (ArticleType.MARKDOWN, "---\nimages:\n- >-\n  http://a/other\n  %s\n  x\n---\n"),
    "toml basic": (ArticleType.MARKDOWN, '+++\nimage = "%s" # x\ncover.image = "http://a/other"\n+++\n'),
    "toml literal": (ArticleType.MARKDOWN, "+++\nimages = ['%s', 'http://a/other']\n+++\n"),
    "toml long": (ArticleType.MARKDOWN, '+++\nimage = """%s"""\ncover.image = "http://a/other"\n+++\n'),
    "json": (ArticleType.MARKDOWN, '{"image": "%s", "images": ["http://a/other"]}\n'),
    "line nested": (ArticleType.MARKDOWN, "---\nt: 'it's'\nimages:\n- %s\n- http://a/other\n---\n"),
    "tag bare": (ArticleType.MARKDOWN, "{% img left %s 300 'x' %} ![](http://a/other)"),
    "tag commas": (ArticleType.MARKDOWN, "{% image %s, alt=x %} ![](http://a/other)"),
    "tag double": (ArticleType.MARKDOWN, '{{< figure src="%s" alt="x" >}} ![](http://a/other)'),
    "tag single": (ArticleType.MARKDOWN, "{% include x.html src='%s' %} ![](http://a/other)"),
    "tag raw": (ArticleType.MARKDOWN, "{{% figure `%s` %}} ![](http://a/other)"),
    "tag jsx": (ArticleType.MARKDOWN, "<Image src={'%s'} /> ![](http://a/other)"),
    "sized": (ArticleType.MARKDOWN, "![x](%s =30x20) ![](http://a/other)"),
    "line plain": (ArticleType.MARKDOWN, "---\nt: 'it's'\ncover: %s # x\nimage: http://a/other\n---\n"),
    "line single": (ArticleType.MARKDOWN, "---\nt: 'it's'\ncover: '%s'\nimage: http://a/other\n---\n"),
    "line double": (ArticleType.MARKDOWN, "---\nt: 'it's'\ncover: \"%s\" \nimage: http://a/other\n---\n"),
}  # fmt: skip
FRONT_MATTER = ("yaml", "line", "toml", "json")
values = st.text(alphabet="ab/.:;,#?&=%+-_~!*'()[]{}|\\^$@é中\U0001f4f7", max_size=12).map(
    "assets/{}z".format
) | st.text(alphabet="ab&#12;ampcopy\\'\"()<>` \n\t", max_size=12).map("/media/{}z".format)


def test_each_notation_has_a_template_here() -> None:
    """A new Syntax whose escape is missing would fail nowhere: safe values need none."""
    seen: set[Syntax] = set()
    for kind, template in TEMPLATES.values():
        for one in find_references(template.replace("%s", f"{OLD}.jpg").encode(), kind).references:
            seen.update(one.form)

    assert set(Syntax) - seen == set()


def _one(article: bytes, kind: ArticleType, position: int) -> Reference:
    return next(one for one in find_references(article, kind).references if one.start <= position <= one.end)


def _as_url(value: str, encoding: str) -> str:
    """Without what no URL holds, and what the encoding lacks, percent-encoded."""
    value = re.sub(r"[\x00-\x20\x7f<>\"`]", lambda match: f"%{ord(match[0]):02X}", value)
    return "".join(
        char if char.encode(encoding, "ignore") else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in value
    )


@pytest.mark.parametrize("name", TEMPLATES)
@given(value=values, encoding=st.sampled_from(["utf-8", "gb18030", "big5hkscs", "cp1252"]))
def test_a_reader_sees_the_new_value_and_all_the_rest_as_before(name: str, value: str, encoding: str) -> None:
    kind, template = TEMPLATES[name]
    value += ".jpg" if name.startswith("yaml part") else ""
    label = {"big5hkscs": "big5", "cp1252": "latin1"}.get(encoding, encoding)
    template = template.rstrip("\n") + f"\n\n<meta charset={label}>"
    old = OLD
    if name.startswith("tag"):
        value, old = f"https://cdn.example/x.jpg/{value}", f"{OLD}.jpg"
    article = template.replace("%s", old).encode()
    reference = _one(article, kind, article.index(old.encode()))
    before = [one.address for one in find_references(article, kind).references]

    rewritten = splice(article, [write(reference, value)])

    expected = _as_url(value, encoding)
    if name.startswith(("line", "toml literal")) or name in ("yaml part", "yaml part in flow"):
        expected = expected.replace("'", "%27")
    if name in ("yaml part", "yaml part in flow"):
        expected = re.sub(r"[,\[\]{}\\|]|:(?![A-Za-z0-9/])", lambda match: f"%{ord(match[0]):02X}", expected)
    if name.startswith("tag"):
        expected = re.sub(r"['\\,{}|]", lambda match: f"%{ord(match[0]):02X}", expected)
    if name.startswith(FRONT_MATTER):
        expected = expected.replace("&amp;", "&")
    after = [one.address for one in find_references(rewritten, kind).references]
    assert after == [expected if address == old else address for address in before]


@pytest.mark.parametrize(
    ("article", "value", "expected"),
    [
        ("<img src=http://a/b>", "assets/c.jpg", "<img src=assets/c.jpg>"),
        ("<img src=http://a/b>", "/x?a=b", '<img src="/x?a=b">'),
        ("<img src=http://a/b>", "/it's", '<img src="/it\'s">'),
        ("<img src='http://a/b'>", "/it's&c", "<img src='/it&#39;s&amp;c'>"),
        ("<img srcset=http://a/b>", "/x?a=b,", "<img srcset=/x?a&#61;b%2C>"),
        ("<p style=b:url(http://a/b)>", "/(x)", "<p style=b:url(/\\(x\\))>"),
    ],
)
def test_quotes_and_escapes_come_only_where_they_must(article: str, value: str, expected: str) -> None:
    (one,) = find_references(article.encode(), ArticleType.HTML).references

    assert splice(article.encode(), [write(one, value)]).decode() == expected


@pytest.mark.parametrize(
    ("front", "value", "expected"),
    [
        ("cover: http://a/b", "assets/c.jpg", "cover: assets/c.jpg"),
        ("cover: http://a/b", "https://cdn/x:1/y", "cover: https://cdn/x:1/y"),
        ("cover: http://a/b", "/x#1", "cover: '/x#1'"),
        ("{cover: http://a/b}", "/x:?1", "{cover: '/x:?1'}"),
        ("cover: http://a/b", "@x/y", "cover: '@x/y'"),
        ("cover: 'http://a/b'", "/it's", "cover: '/it''s'"),
        ('cover: "http://a/b"', "/a\\b", 'cover: "/a\\\\b"'),
    ],
)
def test_front_matter_is_quoted_only_where_it_must_be(front: str, value: str, expected: str) -> None:
    article = f"---\n{front}\n---\n".encode()
    (one,) = find_references(article, ArticleType.MARKDOWN).references

    assert splice(article, [write(one, value)]) == f"---\n{expected}\n---\n".encode()


@pytest.mark.parametrize(
    ("article", "expected"),
    [
        ("<img src=http://a/b>", '<img style="background:url(&quot;d&quot;)" src=http://a/b>'),
        ("<img src=http://a/b style='c:d'>", "<img src=http://a/b style='background:url(\"d\");c:d'>"),
    ],
)
def test_a_placeholder_joins_the_declarations_that_stand_there(article: str, expected: str) -> None:
    (one,) = find_references(article.encode(), ArticleType.HTML).references

    edit = write_background(one, 'background:url("d")')

    assert edit is not None
    assert splice(article.encode(), [edit]).decode() == expected


def test_a_tag_without_a_place_for_a_placeholder_gets_none() -> None:
    (one,) = find_references(b"<img src=http://a/b style=c:d>", ArticleType.HTML).references

    assert write_background(one, "background:red") is None
