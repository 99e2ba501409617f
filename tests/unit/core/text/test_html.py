"""Image references in HTML."""

import pytest

from mediasvc.core.geometry import Size
from mediasvc.core.text.elements.values import FoundInHtml
from mediasvc.core.text.encoding import read_source
from mediasvc.core.text.html import find_in_html, html_page
from mediasvc.core.text.reference import Reference, Syntax, Wants


def _found(article: str, *, size: Size | None = None) -> FoundInHtml:
    source = read_source(article.encode())
    return find_in_html(source, html_page(source.page), size)


def _images(article: str, *, size: Size | None = None) -> list[Reference]:
    return _found(article, size=size).images


@pytest.mark.parametrize(
    ("article", "written", "form"),
    [
        ('<img src="u">', "u", (Syntax.HTML_DOUBLE,)),
        ("<img src='u'>", "u", (Syntax.HTML_SINGLE,)),
        ("<img src=u>", "u", (Syntax.HTML_BARE,)),
        ("<img src = 'u'/>", "u", (Syntax.HTML_SINGLE,)),
        ("<img\r\n\r\nalt=x\rsrc='u'>", "u", (Syntax.HTML_SINGLE,)),
        ("é中<p>\0</p><img alt='\0' src='u'>", "u", (Syntax.HTML_SINGLE,)),
        ('<img srcset="u 2x">', "u", (Syntax.SRCSET, Syntax.HTML_DOUBLE)),
        ("<img srcset=u>", "u", (Syntax.SRCSET, Syntax.HTML_BARE_PART)),
        ("<p style=background:url(u)>", "u", (Syntax.CSS_BARE, Syntax.HTML_BARE_PART)),
        ("<p style='background:url(\"u\")'>", "u", (Syntax.CSS_DOUBLE, Syntax.HTML_SINGLE)),
        ('<p style="background:url(&apos;u&apos;)">', "u", (Syntax.CSS_SINGLE, Syntax.HTML_DOUBLE)),
        ('<p style="background:url&#40;u&rpar;">', "u", (Syntax.CSS_BARE, Syntax.HTML_DOUBLE)),
        ("<style>a{b:url('u')}</style>", "u", (Syntax.CSS_SINGLE,)),
    ],
)
def test_the_span_is_that_of_the_value_and_the_form_its_notation(
    article: str, written: str, form: tuple[Syntax, ...]
) -> None:
    (one,) = _images(article)

    assert article.encode()[one.start : one.end].decode() == written
    assert one.form == form


def test_an_address_is_decoded_once() -> None:
    article = '<img src="u?a=1&amp;amp;b=&eacute;&copy=2" srcset="x?a&amp;b 1x" style="background:url(&quot;y\\26 amp;&quot;)">'  # noqa: E501

    assert [one.address for one in _images(article)] == ["u?a=1&amp;b=é&copy=2", "x?a&b", "y&amp;"]


def test_a_declared_size_holds_for_every_single_address_of_its_tag() -> None:
    found = _images(
        '<img src=a data-src=b srcset="c 1x" data-size="60,40"><input type=image src=d width=3 height=2>'
    )

    assert [(one.address, one.declared_size, one.wants) for one in found] == [
        ("a", Size(60, 40), Wants.THUMBNAIL),
        ("b", Size(60, 40), Wants.THUMBNAIL),
        ("c", None, Wants.ORIGINAL),
        ("d", Size(3, 2), Wants.THUMBNAIL),
    ]


def test_what_is_not_read_of_a_size_is_said() -> None:
    (one,) = _images('<img src=a data-size="large" width=100%>')

    assert one.declared_size is None
    assert one.wants is Wants.ORIGINAL
    assert len(one.warnings) == 2


def test_the_default_box_holds_where_none_is_declared() -> None:
    found = _images("<img src=a><img src=b width=3 height=2><video poster=c>", size=Size(9, 6))

    assert [one.declared_size for one in found] == [Size(9, 6), Size(3, 2), None]


@pytest.mark.parametrize(
    ("article", "base"),
    [
        ("<img src=a>", None),
        ("<base href='http://a/b/'>", "http://a/b/"),
        ("<base target=x><base href=http://a/><base href=http://b/>", "http://a/"),
        ("<!-- <base href=x> --><base>", None),
        ("<base href>", ""),
    ],
)
def test_a_base_address_is_reported(article: str, base: str | None) -> None:
    assert _found(article).base_href == base


@pytest.mark.parametrize(
    ("article", "inside"),
    [
        ("<a href=u>in</a>out", "in"),
        ("<a href=u>in<a href=v></a>", "in"),
        ("<a href=u>in", "in"),
        ("<a href=u><p>in</p></a>", "<p>in</p>"),
    ],
)
def test_a_link_knows_what_it_encloses(article: str, inside: str) -> None:
    link = _found(article).links[0]

    assert article[link.inner_start : link.inner_end] == inside


def test_a_tag_that_becomes_two_elements_is_one_reference() -> None:
    found = _found("<a href=u><div><img src=v></a><p>x</p></div><b><p><img src=w></b><img src=y></p>")

    assert [link.reference.address for link in found.links] == ["u"]
    assert [one.address for one in found.images] == ["v", "w", "y"]


@pytest.mark.parametrize(
    ("article", "at", "form"),
    [
        ("<img src=a>", 4, ()),
        ("<IMAGE src=a>", 6, ()),
        ("<img/src=a>", 4, ()),
        ("<img style='color:red' src=a>", 12, (Syntax.HTML_SINGLE,)),
        ('<img src=a style="">', 18, (Syntax.HTML_DOUBLE,)),
    ],
)
def test_a_placeholder_has_its_place_in_the_tag(article: str, at: int, form: tuple[Syntax, ...]) -> None:
    background = _images(article)[0].background

    assert background is not None
    assert (background.at, background.form) == (at, form)


def test_a_tag_with_a_style_without_quotes_takes_no_placeholder() -> None:
    assert _images("<img style=color:red src=a>")[0].background is None


N = 20_000


@pytest.mark.parametrize(
    ("article", "found"),
    [
        ("<div>" * N + "<img src=a>", 1),
        ("<div>" * N + "<img src=a>" * N, N),
        ("<img src=a " + " ".join(f"a{n}=b" for n in range(N)) + ">", 1),
        ("<img " + "src=a " * N + ">", 1),
        ("<img src='", 0),
        ("<" * N, 0),
        ("<a href=u><table>" * 2000 + "<img src=a>" * 2000, 2000),
        ("".join(f"<body a{n}=b>" for n in range(N)) + "<img src=a>", 1),
        ("".join(f"<HTML a{n}=b>" for n in range(N)) + "<img src=a>", 1),
        ("<svg><foreignObject>" * 5000 + "<img src=a>", 1),
        ("<b><i>" * 5000 + "<p>" * 5000 + "<img src=a>", 1),
        ("<!--" * N + "<img src=a>", 0),
        (f'<img srcset="{"a 1x," * N}">', N),
        (f'<img srcset="{"(" * N}">', 1),
        (f'<p style="{"background:url(a);" * N}">', N),
        (f'<p style="background:url({"&quot;" * N}">', 0),
        (f"<style>{'a{b:url(c)}' * N}", N),
        ("<template>" * N + "<img src=a>", 1),
        ("&" * N + "<img src='" + "&amp" * N + "'>", 1),
    ],
    ids=lambda value: str(value)[:24],
)
def test_hostile_pages_are_read(article: str, found: int) -> None:
    assert len(_images(article)) == found
