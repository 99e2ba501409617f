"""url() values of style sheets."""

import pytest

from mediasvc.core.text.css import find_urls, unescape_css


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("background:url(a.jpg)", ["a.jpg"]),
        ("background:URL(  a.jpg\n)", ["a.jpg"]),
        ("background:url('a b.jpg')", ["a b.jpg"]),
        ('background:url("a)b.jpg" )', ["a)b.jpg"]),
        ("background:url(a\\)b.jpg)", ["a)b.jpg"]),
        ("background:url(\\68 ttp\\3a//x)", ["http://x"]),
        ("background:url('a\\\nb')", ["ab"]),
        ("background:url('a\\'b')", ["a'b"]),
        ("background:url(a.jpg", ["a.jpg"]),
        ("background:url()", [""]),
        ("a{b:url(1)}c{d:url(2),url(3)}", ["1", "2", "3"]),
        ("background:url(a b.jpg) url(c.jpg)", ["c.jpg"]),
        ("background:url(a'b) url(c.jpg)", ["c.jpg"]),
        ("background:url('a\n') url(c.jpg)", ["c.jpg"]),
        ("content:'url(a)' url(b)", ["b"]),
        ("/* url(a) */ b:url(c) /* url(d)", ["c"]),
        ("/**/b:url(c)", ["c"]),
        ("b:xurl(c) my-url(d)", []),
        ("@import url(a);b:url(c)", ["c"]),
        ("@font-face{src:url(a)}b{c:url(d)}", ["d"]),
        ("@font-face{src:url(a)", []),
        ("@media x{@font-face{src:url(a)}b{c:url(d)}}", ["d"]),
        ("@media x{b{c:url(d)}}", ["d"]),
        ("@namespace url(a);@document url(b){c{d:url(e)}}", ["e"]),
        ("behavior:url(a);-moz-binding:url(b);filter:url(c);background:url(d)", ["d"]),
        ("mask:url(a);cursor:url(b),auto;list-style:url(c)", ["a", "b", "c"]),
        ("}}}a{b:url(c)}", ["c"]),
        ("a\\url(b)", []),
    ],
)
def test_the_values_that_may_name_pictures_are_found(text: str, values: list[str]) -> None:
    assert [unescape_css(text[url.start : url.end]) for url in find_urls(text)] == values


@pytest.mark.parametrize(
    ("written", "value"),
    [("a", "a"), ("\\41", "A"), ("\\41 b", "Ab"), ("\\000041b", "Ab"), ("\\0", "\ufffd"), ("\\d800", "\ufffd"),  # noqa: E501
     ("\\ffffff", "\ufffd"), ("\\\r\nx", "x"), ("\\41\r\nb", "Ab"), ("\\\\", "\\"), ("\\g", "g")],
)  # fmt: skip
def test_escapes_are_decoded(written: str, value: str) -> None:
    assert unescape_css(written) == value


@pytest.mark.parametrize("hostile", ["url(", "url('", "/*", "\\", "@a", "{", "'", "a:url(b),", "/", "*/ "])
def test_long_runs_end(hostile: str) -> None:
    assert len(list(find_urls(hostile * 20_000))) <= 20_000


def test_a_declaration_of_many_values_behind_many_blanks_is_read_once() -> None:
    assert len(list(find_urls(" " * 200_000 + "a:" + "url(b)," * 20_000))) == 20_000
