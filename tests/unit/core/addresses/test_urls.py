"""Addresses are normalised as the WHATWG URL standard says, and unwrapped to their origin."""

import html
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.addresses.policy import FetchPolicy
from mediasvc.core.addresses.urls import MAX_LAYERS, Layer, Resolver, normalise, parse_rules
from mediasvc.core.text.reference import is_fetchable
from mediasvc.errors import InvalidRequest, MediaError, SourceRefused

ROOT = Path(__file__).parents[4]
BUILT_IN = (ROOT / "mediasvc/core/addresses/wrappers/wrappers.toml").read_text(encoding="utf-8")
RESOLVER = Resolver(parse_rules(BUILT_IN, "wrappers.toml"))
WORKER = "https://cors.zfour.workers.dev/?"


def _unescape(text: str) -> str:
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\0", "\\")


def _vectors() -> list[tuple[str, str]]:
    lines = (ROOT / "tests/samples/wrappers.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [
        (html.unescape(_unescape(wrapped)) if kind == "html" else _unescape(wrapped), _unescape(expected))
        for _, wrapped, expected, kind in rows
    ]


VECTORS = _vectors()


@pytest.mark.parametrize(("wrapped", "expected"), [row for row in VECTORS if row[1].startswith("http")])
def test_a_wrapped_address_leads_to_its_origin(wrapped: str, expected: str) -> None:
    assert RESOLVER.resolve(wrapped).origin == expected


@pytest.mark.parametrize("address", [wrapped for wrapped, expected in VECTORS if expected == "=same"])
def test_an_address_that_is_not_wrapped_stays_as_it_is(address: str) -> None:
    assert not is_fetchable(address) or RESOLVER.resolve(address).origin == address


REFUSALS = {
    "scheme": SourceRefused,
    "userinfo": SourceRefused,
    "private-address": SourceRefused,
    "empty": InvalidRequest,
    "loop": InvalidRequest,
    "no-host": InvalidRequest,
    "bad-host": InvalidRequest,
    "no-http-url": InvalidRequest,
    "ambiguous-at": InvalidRequest,
}


@pytest.mark.parametrize(
    ("wrapped", "why"), [(row[0], row[1].split(":", 1)[1]) for row in VECTORS if row[1].startswith("!refuse")]
)
def test_a_wrapped_address_that_leads_nowhere_good_is_refused(wrapped: str, why: str) -> None:
    with pytest.raises(REFUSALS[why]) as caught:
        FetchPolicy().check_literal(RESOLVER.resolve(wrapped).origin)

    assert "ex.com" not in str(caught.value)


def test_the_vectors_are_all_there() -> None:
    assert len(VECTORS) >= 98


NORMAL = [
    ("HTTP://EX.COM/A.JPG", "http://ex.com/A.JPG"),
    ("http://ex.com", "http://ex.com/"),
    ("http://ex.com:80/a", "http://ex.com/a"),
    ("https://ex.com:443/a", "https://ex.com/a"),
    ("https://ex.com:80/a", "https://ex.com:80/a"),
    ("http://ex.com:00080/a", "http://ex.com/a"),
    ("http://ex.com:/a", "http://ex.com/a"),
    ("http://ex.com/a/./b/../c", "http://ex.com/a/c"),
    ("http://ex.com/a/%2e/b/%2E%2e/c", "http://ex.com/a/c"),
    ("http://ex.com/../../a", "http://ex.com/a"),
    ("http:\\\\ex.com\\a\\b", "http://ex.com/a/b"),
    ("http:/ex.com/a", "http://ex.com/a"),
    ("http:ex.com/a", "http://ex.com/a"),
    ("http:////ex.com/a", "http://ex.com/a"),
    ("  http://ex.com/a\n", "http://ex.com/a"),
    ("http://ex.com/a\n\t\rb", "http://ex.com/ab"),
    ("ht\ntp://ex.com/a", "http://ex.com/a"),
    ("http://ex.com/a b", "http://ex.com/a%20b"),
    ("http://ex.com/图.jpg", "http://ex.com/%E5%9B%BE.jpg"),
    ("http://ex.com/?q=图", "http://ex.com/?q=%E5%9B%BE"),
    ("http://ex.com/%e5%9b%be.jpg", "http://ex.com/%e5%9b%be.jpg"),
    ("http://ex.com/100%.jpg", "http://ex.com/100%.jpg"),
    ("http://ex.com/%zz", "http://ex.com/%zz"),
    ("http://ex.com/%D6%D0.jpg", "http://ex.com/%D6%D0.jpg"),
    ("http://ex.com/a\"b<c>`{d}^|'", "http://ex.com/a%22b%3Cc%3E%60%7Bd%7D%5E|'"),
    ("http://ex.com/?a\"b<c>`{d}^|'\\", "http://ex.com/?a%22b%3Cc%3E`{d}^|%27\\"),
    ("http://ex.com/a//b", "http://ex.com/a//b"),
    ("http://ex.com/a#b", "http://ex.com/a"),
    ("http://ex.com/a?", "http://ex.com/a?"),
    ("http://ex.com?a", "http://ex.com/?a"),
    ("http://ex.com/a?b#c?d", "http://ex.com/a?b"),
    ("http://ex.com/@2x.png", "http://ex.com/@2x.png"),
    ("http://例え.jp/a", "http://xn--r8jz45g.jp/a"),
    ("http://faß.de/", "http://xn--fa-hia.de/"),
    ("http://ＥＸ．ｃｏｍ/", "http://ex.com/"),
    ("http://ex。com/", "http://ex.com/"),
    ("http://e%78.com/", "http://ex.com/"),
    ("http://ex\u00adample.com/", "http://example.com/"),
    ("http://💩.la/", "http://xn--ls8h.la/"),
    ("http://a_b.ex.com/", "http://a_b.ex.com/"),
    ("http://ex.com./a", "http://ex.com./a"),
    ("http://2130706433/", "http://127.0.0.1/"),
    ("http://0x7f.1/", "http://127.0.0.1/"),
    ("http://0177.0.0.01/", "http://127.0.0.1/"),
    ("http://127.1/", "http://127.0.0.1/"),
    ("http://127.0.0.1./", "http://127.0.0.1/"),
    ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),
    ("http://１２７.0.0.1/", "http://127.0.0.1/"),
    ("http://127。0。0。1/", "http://127.0.0.1/"),
    ("http://%31%32%37.0.0.1/", "http://127.0.0.1/"),
    ("http://[0:0::1]/", "http://[::1]/"),
    ("http://[::FFFF:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
    ("//ex.com/a", "https://ex.com/a"),
]


@pytest.mark.parametrize(("address", "expected"), NORMAL)
def test_an_address_is_normalised(address: str, expected: str) -> None:
    assert normalise(address) == expected


@pytest.mark.parametrize(
    ("address", "base", "expected"),
    [
        ("a.jpg", "http://ex.com/p/q", "http://ex.com/p/a.jpg"),
        ("/a.jpg", "http://ex.com/p/q", "http://ex.com/a.jpg"),
        ("../a.jpg", "http://ex.com/p/q/r", "http://ex.com/p/a.jpg"),
        ("?x", "http://ex.com/p/q?y#z", "http://ex.com/p/q?x"),
        ("//ex.org/a", "http://ex.com/", "http://ex.org/a"),
        ("//ex.org/a", "https://ex.com/", "https://ex.org/a"),
        ("http:a.jpg", "http://ex.com/p/q", "http://ex.com/p/a.jpg"),
        ("https://ex.org/a", "http://ex.com/", "https://ex.org/a"),
        ("/a@2x.png", "http://ex.com/", "http://ex.com/a@2x.png"),
        ("a@2x.png", "http://ex.com/", "http://ex.com/a@2x.png"),
        ("\\a\\b", "http://ex.com/p/", "http://ex.com/a/b"),
    ],
)
def test_a_relative_address_is_joined_to_its_base(address: str, base: str, expected: str) -> None:
    assert normalise(address, base) == expected


@pytest.mark.parametrize(
    ("address", "kind", "reason"),
    [
        ("", InvalidRequest, "empty"),
        (" \n", InvalidRequest, "empty"),
        ("#top", InvalidRequest, "empty"),
        ("a.jpg", InvalidRequest, "relative"),
        ("/a.jpg", InvalidRequest, "relative"),
        ("http://", InvalidRequest, "unreadable"),
        ("http:///", InvalidRequest, "unreadable"),
        ("http://?a", InvalidRequest, "unreadable"),
        ("http://:80/", InvalidRequest, "unreadable"),
        ("http://ex.com:99999/", InvalidRequest, "unreadable"),
        ("http://ex.com:8o/", InvalidRequest, "unreadable"),
        ("http://ex .com/", InvalidRequest, "unreadable"),
        ("http://ex%00.com/", InvalidRequest, "unreadable"),
        ("http://1.2.3.4.5/", InvalidRequest, "unreadable"),
        ("http://256.1.1.1/", InvalidRequest, "unreadable"),
        ("http://0x100000000/", InvalidRequest, "unreadable"),
        ("http://foo.0x/", InvalidRequest, "unreadable"),
        ("http://[::1/", InvalidRequest, "unreadable"),
        ("http://[fe80::1%25eth0]/", InvalidRequest, "unreadable"),
        ("http://[::1]a/", InvalidRequest, "unreadable"),
        ("http://xn--a/", InvalidRequest, "unreadable"),
        ("http://ex..com/", InvalidRequest, "host"),
        ("http://.ex.com/", InvalidRequest, "host"),
        ("http://a'b.com/", InvalidRequest, "host"),
        (f"http://{'a' * 64}.com/", InvalidRequest, "host"),
        (f"http://{'a.' * 127}com/", InvalidRequest, "host"),
        (f"http://{'é' * 5000}.com/", InvalidRequest, "host"),
        ("http://ex.com/a\x00b", InvalidRequest, "control"),
        ("\x0bhttp://ex.com/a", InvalidRequest, "control"),
        ("http://ex.com/a\x7f", InvalidRequest, "control"),
        ("http://ex.com/\x85", InvalidRequest, "control"),
        ("http://ex.com/\udc80", InvalidRequest, "control"),
        ("ftp://ex.com/a", SourceRefused, "scheme"),
        ("file:///etc/passwd", SourceRefused, "scheme"),
        ("javascript:alert(1)", SourceRefused, "scheme"),
        ("java\nscript:alert(1)", SourceRefused, "scheme"),
        ("data:image/gif;base64,AA", SourceRefused, "scheme"),
        ("http://user:pw@ex.com/", SourceRefused, "userinfo"),
        ("http://user@ex.com/", SourceRefused, "userinfo"),
        ("http://@ex.com/", SourceRefused, "userinfo"),
        ("//user@ex.com/", SourceRefused, "userinfo"),
        ("http:\\\\user@ex.com/", SourceRefused, "userinfo"),
        ("http://ex.com:80@127.0.0.1/", SourceRefused, "userinfo"),
    ],
)
def test_what_is_no_fetchable_url_is_refused_with_its_reason(
    address: str, kind: type[MediaError], reason: str
) -> None:
    with pytest.raises(kind) as caught:
        normalise(address)

    assert caught.value.reason == reason


def test_a_base_that_is_no_http_url_is_refused() -> None:
    with pytest.raises(SourceRefused):
        normalise("a.jpg", "file:///tmp/")


def test_a_relative_address_of_a_wrapper_is_unwrapped_against_its_base() -> None:
    resolution = RESOLVER.resolve("/_next/image?url=%2Fa.png&w=64", "https://ex.com/blog/")

    assert resolution.origin == "https://ex.com/a.png"
    assert resolution.layers == (Layer("next-image", "https://ex.com/a.png"),)


def test_each_wrapper_is_one_layer_from_source_to_origin() -> None:
    source = WORKER + "https://images.weserv.nl/?url=ex.com/a.jpg&w=300"

    resolution = RESOLVER.resolve(source)

    assert resolution.source == source
    assert resolution.layers == (
        Layer("zibri", "https://images.weserv.nl/?url=ex.com/a.jpg&w=300"),
        Layer("weserv", "http://ex.com/a.jpg"),
    )


def test_a_plain_url_has_no_layers() -> None:
    assert RESOLVER.resolve("http://ex.com/a.jpg").layers == ()


def test_the_outer_fragment_is_not_carried() -> None:
    assert RESOLVER.resolve(WORKER + "http://ex.com/a.jpg#x").origin == "http://ex.com/a.jpg"


def test_what_a_worker_carries_is_taken_raw() -> None:
    assert (
        RESOLVER.resolve(WORKER + "http://ex.com/it's%2F{1}?q='").origin
        == "http://ex.com/it's%2F%7B1%7D?q=%27"
    )


def test_five_layers_come_off_and_the_sixth_is_refused() -> None:
    assert len(RESOLVER.resolve(WORKER * MAX_LAYERS + "http://ex.com/a.jpg").layers) == MAX_LAYERS

    with pytest.raises(InvalidRequest) as caught:
        RESOLVER.resolve(WORKER * (MAX_LAYERS + 1) + "http://ex.com/a.jpg")

    assert caught.value.reason == "depth"


def test_a_url_that_becomes_a_wrapper_only_when_normalised_is_unwrapped() -> None:
    assert RESOLVER.resolve("https://relay.ex.org\\https://ex.com/a.jpg").origin == "https://ex.com/a.jpg"
    assert RESOLVER.resolve("https://images.weserv.nl/x/../?url=ex.com/a.jpg").origin == "http://ex.com/a.jpg"


_PLAIN = st.builds(
    "{}://{}{}/{}{}".format,
    st.sampled_from(["http", "https", "HTTP"]),
    st.sampled_from(
        ["ex.com", "EX.org", "例え.jp", "127.1", "[::1]", "i.pximg.net", "user@ex.com", "ex..com"]
    ),
    st.sampled_from(["", ":80", ":8080"]),
    st.text(alphabet="aZ9/.%&=?#@\\'\" {}|^~-_:é图", max_size=20),
    st.sampled_from(["", ".jpg", ".png?x=1&y=2", "#f"]),
)


def _encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


_WRAP = st.sampled_from(
    [
        lambda url: WORKER + url,
        lambda url: WORKER + _encoded(url),
        lambda url: WORKER + _encoded(_encoded(url)),
        lambda url: f"https://wsrv.nl/?url={_encoded(url)}&w=300",
        lambda url: f"https://images.weserv.nl/?url={url}",
        lambda url: f"https://cors-anywhere.herokuapp.com/{url}",
        lambda url: f"http://localhost/_next/image?url={_encoded(url)}&w=64",
        lambda url: f"https://ex.org/cdn-cgi/image/w=64/{url}",
        lambda url: f"http://localhost/x/{url}",
        lambda url: f"https://i0.wp.com/{url.partition('://')[2]}?ssl=1",
        lambda url: f"https://relay.ex.org/{_encoded(url)}",
        lambda url: f"https://relay.ex.org\\{url}",
        lambda url: f"https://imgproxy.ex.org/insecure/plain/{_encoded(url)}@png",
    ]
)


@st.composite
def _addresses(draw: st.DrawFn) -> str:
    address = draw(st.one_of(_PLAIN, st.text(max_size=30), st.sampled_from([row[0] for row in VECTORS])))
    for wrap in draw(st.lists(_WRAP, max_size=6)):
        address = wrap(address)
    return address


@given(_addresses())
def test_resolving_twice_equals_once(address: str) -> None:
    try:
        first = RESOLVER.resolve(address)
    except (InvalidRequest, SourceRefused):
        return

    second = RESOLVER.resolve(first.origin)

    assert (second.origin, second.layers) == (first.origin, ())
    assert normalise(first.origin) == first.origin


@given(_addresses())
def test_the_layers_lead_from_source_to_origin(address: str) -> None:
    try:
        resolution = RESOLVER.resolve(address)
    except (InvalidRequest, SourceRefused):
        return

    assert len(resolution.layers) <= MAX_LAYERS
    assert resolution.origin.startswith(("http://", "https://"))
    for position, layer in enumerate(resolution.layers):
        onwards = RESOLVER.resolve(layer.url)
        assert onwards.layers == resolution.layers[position + 1 :]
        assert onwards.origin == resolution.origin
    if resolution.layers:
        assert resolution.layers[-1].url == resolution.origin
    else:
        assert resolution.origin == normalise(address)


@given(st.text(max_size=200))
def test_any_text_resolves_or_is_refused(address: str) -> None:
    try:
        origin = RESOLVER.resolve(address).origin
    except (InvalidRequest, SourceRefused):
        return

    assert origin.startswith(("http://", "https://"))
