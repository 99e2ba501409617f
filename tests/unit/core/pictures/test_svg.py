"""SVG: refused unless allowed, and then only what draws passes."""

import gzip

import pytest

from mediasvc.core.formats import Format
from mediasvc.core.picture import Limits
from mediasvc.core.pictures import svg
from mediasvc.core.pictures.whole import inspect
from mediasvc.errors import MediaError, Undecodable, UnsupportedMedia

ALLOWED = Limits(allow_svg=True)
NS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def drawn(inner: str, attributes: str = "") -> str:
    """What is left of a drawing with this inside it."""
    return svg.sanitise(f"<svg {NS} {attributes}>{inner}</svg>".encode()).decode()


def test_svg_is_refused_by_default_and_described_where_it_is_allowed() -> None:
    data = f'<svg {NS} width="120" height="80px"/>'.encode()

    with pytest.raises(UnsupportedMedia):
        inspect(data, Limits())
    found = inspect(data, ALLOWED)
    assert (found.format, found.width, found.height) == (Format.SVG, 120, 80)


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('viewBox="0 0 24 32"', (24, 32)),
        ('viewBox="0,0,24.4,31.6"', (24, 32)),
        ('width="100%" height="100%" viewBox="0 0 24 32"', (24, 32)),
        ('width="10.5" height="3"', (10, 3)),
        ("", (0, 0)),
        ('width="1e9" height="1"', (0, 0)),
    ],
)
def test_the_stated_size_is_read(attributes: str, size: tuple[int, int]) -> None:
    assert svg.stated_size(svg.sanitise(f"<svg {NS} {attributes}/>".encode())) == size


@pytest.mark.parametrize(
    "prologue",
    [
        "",
        "\ufeff",
        "\n\t ",
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n',
        "<!-- made by hand -->\n",
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">',
    ],
)
def test_svg_is_recognised_behind_what_editors_write_before_it(prologue: str) -> None:
    data = (prologue + f"<svg {NS}><path d='M0 0h9'/></svg>").encode()

    assert svg.looks_like_svg(data)
    assert b'<path d="M0 0h9">' in svg.sanitise(data)
    assert b"DOCTYPE" not in svg.sanitise(data)


@pytest.mark.parametrize(
    "data",
    [
        b"<html><svg/></html>",
        b"<!-- <svg> -->",
        b"<svgx/>",
        b"text <svg/>",
        b"\x00<svg/>",
        gzip.compress(b"<svg/>", mtime=0),
        "<svg/>".encode("utf-16"),
        b"+ADw-svg/+AD4-",
    ],
)
def test_what_only_contains_svg_is_no_svg(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        svg.sanitise(data)


@pytest.mark.parametrize(
    "inner",
    [
        '<g id="a" transform="rotate(3)"><circle cx="1" cy="2" r="3" fill="#fff" stroke-width="2"></circle></g>',  # noqa: E501
        '<defs><linearGradient id="g"><stop offset="0" stop-color="red"></stop></linearGradient></defs>',
        '<rect fill="url(#g)" style="fill:url(#g);opacity:.5"></rect>',
        '<use xlink:href="#a"></use>',
        '<use href="#a"></use>',
        '<image href="data:image/png;base64,AAAA" width="3" height="3"></image>',
        "<style>.a{fill:red}.b &gt; .c{clip-path:url(#x)}</style>",
        "<text>1 &lt; 2 &amp; 3</text>",
    ],
)
def test_what_draws_stays_as_it_is(inner: str) -> None:
    assert f">{inner}</svg>" in drawn(inner)


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        "<script href='data:text/javascript,alert(1)'/>",
        "<SCRIPT>alert(1)</SCRIPT>",
        "<g onload='alert(1)' OnClick='alert(1)' onbegin='alert(1)'/>",
        "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'><iframe src='//evil'/></body></foreignObject>",  # noqa: E501
        "<iframe xmlns='http://www.w3.org/1999/xhtml' src='javascript:alert(1)'/>",
        "<a xlink:href='javascript:alert(1)'><text>x</text></a>",
        "<a href='&#x6a;avascript:alert(1)'><text>x</text></a>",
        "<use href='http://evil/x.svg#a'/>",
        "<use xlink:href='data:image/svg+xml;base64,AAAA#x'/>",
        "<image href='http://169.254.169.254/latest'/>",
        "<image xlink:href='file:///etc/passwd'/>",
        "<image href='//evil/x.png'/>",
        "<image href='data:image/svg+xml;base64,PHN2Zy8+'/>",
        "<image href='data:image/png,evil'/>",
        "<feImage href='http://evil/x.png'/>",
        "<animate attributeName='onload' to='alert(1)'/>",
        "<set attributeName='href' to='javascript:alert(1)'/>",
        "<animateTransform onbegin='alert(1)'/>",
        "<handler type='application/ecmascript'>alert(1)</handler>",
        "<style>@import url(//evil/a.css);</style>",
        "<style>@IMPORT '//evil/a.css';</style>",
        "<style>*{background:u\\72l(http://evil)}</style>",
        "<style>*{fill:url(http://evil/#x)}</style>",
        "<style>*{fill:url(/*x*/http://evil)}</style>",
        "<style>@font-face{src:url(//evil)}</style>",
        "<style>*{background:image-set('http://evil' 1x)}</style>",
        "<style>&lt;/style>&lt;script>alert(1)&lt;/script></style>",
        "<rect style='fill:url(http://evil/x)'/>",
        "<rect fill='url(http://evil/x#y)'/>",
        "<rect fill='url(javascript:alert(1))'/>",
        "<rect filter='url(\"http://evil/x#y\")'/>",
        "<rect mask='URL(//evil)'/>",
        "<g xml:base='http://evil/'/>",
        "<g xlink:actuate='onLoad' xlink:show='evil'/>",
        "<metadata><x>evil</x></metadata>",
        "<link xmlns='http://www.w3.org/1999/xhtml' rel='stylesheet' href='//evil'/>",
        "<evil:rect xmlns:evil='http://evil'/>",
        "<svg><script>alert(1)</script></svg>",
        "<text><![CDATA[</text><script>alert(1)</script>]]></text>",
        "<?xml-stylesheet href='//evil/a.css'?>",
        "<!-- --><script>alert(1)</script>",
    ],
)
def test_what_runs_loads_or_points_elsewhere_is_gone(inner: str) -> None:
    left = drawn(inner)

    live = left.replace("&lt;/text&gt;&lt;script&gt;alert(1)&lt;/script&gt;", "")  # shown as text, harmless
    for trace in ("evil", "alert", "script", "javascript", "169.254", "file:", "@import", "onload"):
        assert trace not in live.lower().removeprefix("<svg"), left


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><svg {ns}><text>&b;</text></svg>',
        '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg {ns}><text>&x;</text></svg>',
        '<!DOCTYPE svg [<!ENTITY % p SYSTEM "http://evil/x.dtd"> %p;]><svg {ns}/>',
        "<svg {ns}><text>&nbsp;</text></svg>",
        "<svg {ns}><g></svg>",
        "<svg {ns}>",
        "<svg {ns}/><svg {ns}/>",
        "<svg {ns}><g a='1' a='2'/></svg>",
    ],
)
def test_entities_and_broken_markup_are_undecodable(document: str) -> None:
    with pytest.raises(Undecodable):
        svg.sanitise(document.replace("{ns}", NS).encode())


def test_size_depth_and_number_of_elements_have_limits() -> None:
    too_deep = f"<svg {NS}>" + "<g>" * 200 + "</g>" * 200 + "</svg>"
    too_many = f"<svg {NS}>" + "<g/>" * 60_000 + "</svg>"
    too_large = f"<svg {NS}>" + " " * (3 << 20) + "</svg>"

    for document in (too_deep, too_many, too_large):
        with pytest.raises(Undecodable):
            svg.sanitise(document.encode())


def test_sanitising_again_changes_nothing() -> None:
    inner = (
        "<defs><style>.a{fill:url(#g)}</style></defs><g class='a' onclick='x'><script>x</script>"
        "<text xml:space='preserve'> a &amp; b </text><use xlink:href='#a' href='#b'/></g>"
    )
    once = drawn(inner, 'viewBox="0 0 1 1" version="1.1"').encode()

    assert svg.sanitise(once) == once


def test_no_prefix_of_an_svg_raises_anything_but_our_own_errors() -> None:
    data = f"<?xml version='1.0'?><!DOCTYPE svg><svg {NS} width='1'><style>a</style><g>é</g></svg>".encode()

    for length in range(len(data)):
        with pytest.raises(MediaError):
            inspect(data[:length], ALLOWED)
