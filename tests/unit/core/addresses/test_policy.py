"""What may be fetched, and what must never be, whatever way its host is spelled."""

from ipaddress import ip_network

import pytest

from mediasvc.core.addresses.ip_ranges import is_public
from mediasvc.core.addresses.policy import ConnectTo, FetchPolicy, parse_connect_to
from mediasvc.core.addresses.urls import SourceUrl, normalise
from mediasvc.errors import InvalidRequest, InvalidSettings, SourceRefused

DEFAULT = FetchPolicy()

# Each host as an article may spell it; all of them mean an address inside.
INSIDE = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "0177.0.0.1",
    "0177.0.0.01",
    "017700000001",
    "0x7f.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "0x7F000001",
    "0x7f.0x0.0x0.0x1",
    "127.0.0.0x1",
    "2130706433",
    "2130706433.",
    "0",
    "0.0",
    "0.0.0.0",
    "00",
    "0x0",
    "0x",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "１２７.0.0.1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "%31%32%37.0.0.1",
    "127%2E0%2E0%2E1",
    "127.0.0.1%2E",
    "1%327.0.0.1",
    "𝟭𝟮𝟳.𝟬.𝟬.𝟭",
    "1𝟐7.0.0.1",
    "⑫7.0.0.1",
    "⓪",
    "₁₂₇.0.0.1",
    "¹²⁷.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "LocalHost",
    "localhost.localdomain",
    "a.localhost",
    "a.b.localhost.",
    "ip6-localhost",
    "loc%61lhost",
    "ｌｏｃａｌｈｏｓｔ",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "local\xadhost",
    "10.0.0.1",
    "10.1",
    "012.0.0.1",
    "0xa.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.257",
    "0xc0a80001",
    "3232235521",
    "169.254.169.254",
    "0xa9.0xfe.0xa9.0xfe",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "100.100.100.200",
    "168.63.129.16",
    "0xa83f8110",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "4294967295",
    "0xffffffff",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[::ffff:10.0.0.1]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::10.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:7f00:1::]",
    "[2606:4700::5efe:127.0.0.1]",
    "[fe80::1]",
    "[fec0::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[100::1]",
    "[5f00::1]",
    "[2001:0:808:808:0:ffff:80ff:fffe]",
    "[::169.254.169.254]",
    "[::2]",
    "127.255.255.254",
    "0x7fffffff",
    "100.64.0.1",
    "192.0.2.1",
    "198.51.100.7",
    "203.0.113.9",
    "240.0.0.1",
    "0.0.0.1",
    "10.255.255.255",
]

# What is no host at all, or one that DNS cannot hold.
NO_HOST = [
    "127.0.0.1.1",
    "256.0.0.1",
    "1.2.3.256",
    "0x100000000",
    "4294967296",
    "1.2.3.4.5",
    "127.0.0.09",
    "08",
    "1.0g.1",
    "1.2.3.a4x.0x",
    "127.0.0.1..",
    ".127.0.0.1",
    "127..0.1",
    "[::1",
    "::1",
    "[::1]]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[::1.2.3]",
    "[v1.a]",
    "[]",
    "[1]",
    "[::%31]",
    "a..b",
    ".a",
    "ex%00.com",
    "ex%20.com",
    "ex%2fcom",
    "ex%40com",
    "ex%3acom",
    "ex%5ccom",
    "ex%ff.com",
    'a"b',
    "a'b",
    "a,b",
    "a*b",
    "a~b",
    "a!b",
    "(a)",
    "a;b",
    "a|b",
    "a^b",
    "a<b",
    "a>b",
    "xn--a",
    "xn--",
]


def test_the_table_of_hosts_is_long_enough() -> None:
    assert len(INSIDE) + len(NO_HOST) >= 150


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("form", ["http://{}/a.jpg", "https://{}:443", "http:\\\\{}\\a", "//{}/?a"])
def test_a_host_inside_is_refused_however_it_is_spelled(host: str, form: str) -> None:
    url = normalise(form.format(host))

    with pytest.raises(SourceRefused) as caught:
        DEFAULT.check_url(url)
    with pytest.raises(SourceRefused):
        DEFAULT.check_literal(url)

    assert caught.value.reason == "address"
    assert str(caught.value) == "this address is not public"


@pytest.mark.parametrize("host", NO_HOST)
def test_what_is_no_host_is_never_a_source(host: str) -> None:
    with pytest.raises((InvalidRequest, SourceRefused)):
        normalise(f"http://{host}/a.jpg")


@pytest.mark.parametrize(
    "host",
    [
        "ex.com",
        "ex.com.",
        "1.1.1.1",
        "0x01010101",
        "[2606:4700::1]",
        "localhost.ex.com",
        "mylocalhost",
        "例え.jp",
    ],
)
def test_a_public_host_may_be_fetched(host: str) -> None:
    DEFAULT.check_url(normalise(f"http://{host}/a.jpg"))


@pytest.mark.parametrize(
    "text", ["ftp://ex.com/", "file:///etc/passwd", "gopher://ex.com/", "data:,x", "", "ex.com", "http://"]
)
def test_only_http_and_https_are_fetched(text: str) -> None:
    with pytest.raises(SourceRefused):
        DEFAULT.check_url(SourceUrl(text))


def test_userinfo_is_refused_even_in_a_url_that_was_not_normalised() -> None:
    with pytest.raises(SourceRefused) as caught:
        DEFAULT.check_url(SourceUrl("http://user:pw@ex.com/"))

    assert caught.value.reason == "userinfo"
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://ex.com/", True),
        ("https://ex.com/", True),
        ("http://ex.com:443/", True),
        ("http://ex.com:8080/", False),
        ("http://ex.com:22/", False),
        ("http://ex.com:0/", False),
        ("http://ex.com:65535/", False),
    ],
)
def test_only_allowed_ports_are_fetched(url: str, allowed: bool) -> None:
    if allowed:
        DEFAULT.check_url(normalise(url))
        return

    with pytest.raises(SourceRefused) as caught:
        DEFAULT.check_url(normalise(url))
    assert caught.value.reason == "port"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://ex.com:80@127.0.0.1/", "userinfo"),
        ("http://ex.com:22/", "port"),
        ("http://ex.com.localhost/", "address"),
        ("http://ex.com\\@127.0.0.1/\ud800", "unreadable"),
        ("http://ex.com/\ud800", "unreadable"),
        ("http://ex.com:80:80/", "unreadable"),
        ("http://0x7f.1/", "address"),
    ],
)
def test_an_origin_that_was_allowed_lets_no_other_in(url: str, reason: str) -> None:
    policy = FetchPolicy()
    policy.check_url(SourceUrl("http://ex.com/a.jpg"))
    policy.check_url(SourceUrl("http://ex.com/b.jpg"))

    for _ in range(2):
        with pytest.raises(SourceRefused) as caught:
            policy.check_url(SourceUrl(url))
        assert caught.value.reason == reason


def test_other_ports_can_be_allowed() -> None:
    FetchPolicy(allowed_ports=frozenset({8080})).check_url(normalise("http://ex.com:8080/"))


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("ex.com", "ex.com", True),
        ("EX.com.", "ex.com", True),
        ("ex.com", "ex.com.", True),
        ("ex.com", "a.ex.com", False),
        ("*.ex.com", "a.ex.com", True),
        ("*.ex.com", "a.b.ex.com", True),
        ("*.ex.com", "ex.com", False),
        ("*.example.com", "evilexample.com", False),
        ("*.example.com", "example.com.evil.org", False),
        ("*.example.com", ".example.com".lstrip("."), False),
        ("*", "anything.org", True),
        ("*.2.ex.com", "1.2.ex.com", True),
        ("img*.ex.com", "img12.ex.com", True),
        ("img*.ex.com", "img.a.ex.com", False),
        ("例え.jp", "xn--r8jz45g.jp", True),
        ("*.例え.jp", "a.xn--r8jz45g.jp", True),
        ("1.1.1.1", "1.1.1.1", True),
        ("[2606:4700::1]", "[2606:4700::1]", True),
        ("2606:4700::1", "[2606:4700::1]", True),
    ],
)
def test_hosts_are_matched_label_by_label(pattern: str, host: str, matches: bool) -> None:
    url = normalise(f"http://{host}/")
    allow, deny = FetchPolicy(allowed_hosts=(pattern,)), FetchPolicy(denied_hosts=(pattern,))

    for policy, passes in ((allow, matches), (deny, not matches)):
        if passes:
            policy.check_url(url)
        else:
            with pytest.raises(SourceRefused) as caught:
                policy.check_url(url)
            assert caught.value.reason.startswith("host_")


def test_a_denied_host_is_denied_though_allowed_and_connected() -> None:
    policy = FetchPolicy(
        allowed_hosts=("*.ex.com",),
        denied_hosts=("bad.ex.com",),
        connect_to=parse_connect_to("bad.ex.com:80=1.1.1.1:80"),
    )

    with pytest.raises(SourceRefused):
        policy.check_url(normalise("http://bad.ex.com/"))


@pytest.mark.parametrize(
    "pattern", ["", "a b", "ex.com/x", "http://ex.com", "*.*x y", "a@b", "[::1", "ex..com"]
)
def test_a_host_pattern_that_cannot_be_read_is_refused_at_start(pattern: str) -> None:
    with pytest.raises(InvalidSettings):
        FetchPolicy(allowed_hosts=(pattern,))


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://media.ex.com/img/x/original/y", True),
        ("https://media.ex.com/", True),
        ("http://MEDIA.ex.com./", True),
        ("http://ex.org:8080/", True),
        ("http://ex.org/", False),
        ("http://a.media.ex.com/", False),
    ],
)
def test_our_own_addresses_are_no_sources(url: str, own: bool) -> None:
    policy = FetchPolicy(
        allowed_ports=frozenset({80, 443, 8080}), own_hosts=frozenset({"media.ex.com", "ex.org:8080"})
    )

    if not own:
        policy.check_url(normalise(url))
        return

    with pytest.raises(SourceRefused) as caught:
        policy.check_url(normalise(url))
    assert caught.value.reason == "own_host"


def test_our_own_routes_under_the_path_of_another_site_are_no_sources_and_its_images_are() -> None:
    policy = FetchPolicy(own_prefixes=("https://ex.org/media/img/",))

    policy.check_url(normalise("https://ex.org/media/a.jpg"))
    with pytest.raises(SourceRefused) as caught:
        policy.check_url(normalise("https://EX.org/x/../media/img/unsafe/original/y"))
    assert caught.value.reason == "own_host"


def test_private_ranges_can_be_allowed() -> None:
    policy = FetchPolicy(
        allowed_cidrs=(ip_network("10.1.0.0/16"), ip_network("fd00::/64"), ip_network("127.0.0.0/8"))
    )

    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00::1", "127.0.0.1", "8.8.8.8"):
        policy.check_address(address)
    for url in ("http://10.1.2.3/", "http://localhost/", "http://[fd00::1]/"):
        policy.check_url(normalise(url))
    for address in ("10.2.0.1", "fd00:0:0:1::1", "::1", "169.254.169.254"):
        with pytest.raises(SourceRefused):
            policy.check_address(address)


@pytest.mark.parametrize(
    "address", ["fe80::1%eth0", "::1%1", "", "ex.com", "127.0.0.1:80", "1.2.3", "0177.0.0.1", "8.8.8.8 "]
)
def test_an_address_that_cannot_be_read_or_has_a_zone_is_refused(address: str) -> None:
    with pytest.raises(SourceRefused) as caught:
        DEFAULT.check_address(address)

    assert caught.value.reason == "address"


def test_a_public_address_passes() -> None:
    DEFAULT.check_address("8.8.8.8")
    DEFAULT.check_address("2606:4700::1")
    assert is_public is not None


def test_connect_to_is_read_like_curls() -> None:
    assert parse_connect_to("ex.com:80=127.0.0.1:9000, *:443=[::1]:9443,[2606:4700::1]:*=inner:80,") == (
        ConnectTo("ex.com", 80, "127.0.0.1", 9000),
        ConnectTo("*", 443, "[::1]", 9443),
        ConnectTo("[2606:4700::1]", None, "inner", 80),
    )


@pytest.mark.parametrize(
    "text", ["ex.com", "ex.com:80", "ex.com:80=", "ex.com:80=a", "ex.com=a:1", "ex.com:0=a:1", "ex.com:80=a:65536",  # noqa: E501
             "ex.com:80=*:80", "*.ex.com:80=a:1", "ex.com:80=a:*", "ex.com:x=a:1", "a b:80=a:1", "ex.com:٣=a:1", ":80=a:1"]  # noqa: E501
)  # fmt: skip
def test_a_connect_to_that_cannot_be_read_is_refused_at_start(text: str) -> None:
    with pytest.raises(InvalidSettings):
        parse_connect_to(text)


def test_what_connect_to_names_is_trusted() -> None:
    policy = FetchPolicy(
        connect_to=parse_connect_to("ex.com:8080=127.0.0.1:9000,127.0.0.1:9000=127.0.0.1:9000")
    )

    policy.check_url(normalise("http://ex.com:8080/"))
    policy.check_url(normalise("http://127.0.0.1:9000/"))

    assert policy.connect_target("EX.com.", 8080) == ("127.0.0.1", 9000)
    assert policy.connect_target("ex.com", 80) is None
    assert FetchPolicy(connect_to=parse_connect_to("[2606:4700::1]:80=a:1")).connect_target(
        "2606:4700::1", 80
    )
    with pytest.raises(SourceRefused):
        policy.check_url(normalise("http://127.0.0.1:9001/"))


def test_any_host_of_connect_to_does_not_vouch_for_an_address_inside() -> None:
    policy = FetchPolicy(connect_to=parse_connect_to("*:80=[::1]:9000,*:8080=127.0.0.1:9000"))

    policy.check_url(normalise("http://ex.com:8080/"))
    assert policy.connect_target("ex.com", 80) == ("::1", 9000)

    for url in (
        "http://127.0.0.1/",
        "http://169.254.169.254/",
        "http://localhost:8080/",
        "http://[::1]:8080/",
    ):
        with pytest.raises(SourceRefused):
            policy.check_url(normalise(url))
