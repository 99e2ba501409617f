"""Per-host request headers and stand-ins: the grammar of the table, and the table in the package."""

from importlib import resources
from urllib.parse import urlsplit

import pytest

from mediasvc.core.http.host_headers import (
    NO_RULE,
    HostHeaders,
    HostRule,
    has_passed,
    parse_rules,
    request_fields,
    request_head,
)
from mediasvc.errors import InvalidSettings

BUILT_IN = resources.files("mediasvc.core.http").joinpath("hotlink.toml").read_text(encoding="utf-8")
AGENT = "mediasvc/1 (+https://example.org)"


@pytest.fixture(scope="module")
def table() -> HostHeaders:
    return HostHeaders(parse_rules(BUILT_IN, "hotlink.toml"))


@pytest.mark.parametrize(
    ("host", "referer"),
    [
        ("wx1.sinaimg.cn", "https://weibo.com/"),
        ("tvax4.sinaimg.cn", "https://weibo.com/"),
        ("sinaimg.cn", "https://weibo.com/"),
        ("evilsinaimg.cn", None),
        ("sinaimg.cn.evil.test", None),
        ("f.video.weibocdn.com", "https://weibo.com/"),
        ("i.pximg.net", "https://www.pixiv.net/"),
        ("I.PXIMG.NET", "https://www.pixiv.net/"),
        ("i.pximg.net.", "https://www.pixiv.net/"),
        ("x.i.pximg.net", None),
        ("cdnfile.sspai.com", "https://sspai.com/"),
        ("moyu.im", "https://i.jandan.net/"),
        ("img.moyu.im", "https://i.jandan.net/"),
        ("appinn.com", "https://appinn.com/"),
        ("scontent.cdninstagram.com", "https://www.instagram.com/"),
        ("mmbiz.qpic.cn", ""),
        ("example.org", None),
        ("", None),
    ],
)
def test_the_package_knows_the_hosts_that_are_sure(
    table: HostHeaders, host: str, referer: str | None
) -> None:
    assert table.rule_for(host).headers.get("Referer") == referer


def test_even_an_agent_that_must_look_like_a_browser_says_who_we_are(table: HostHeaders) -> None:
    fields = request_fields(table.rule_for("wx1.sinaimg.cn"), AGENT, "mediasvc", {})

    assert fields["User-Agent"] == f"Mozilla/5.0 (compatible; {AGENT})"


def test_a_request_says_who_we_are_and_nothing_else() -> None:
    assert request_fields(NO_RULE, AGENT, "mediasvc", {"If-None-Match": '"1"'}) == {
        "User-Agent": AGENT,
        "Accept": "image/*,*/*;q=0.5",
        "Accept-Encoding": "identity",
        "Via": "1.1 mediasvc",
        "If-None-Match": '"1"',
    }


def test_a_rule_takes_the_place_of_our_fields_in_whatever_letters_it_names_them() -> None:
    (rule,) = parse_rules(
        "[[host]]\nhosts = ['a.test']\nheaders = { user-agent = 'x', ACCEPT = '' }", "my.toml"
    )

    fields = request_fields(rule, AGENT, "mediasvc", {})

    assert fields == {"User-Agent": "x", "Accept-Encoding": "identity", "Via": "1.1 mediasvc"}


def test_an_empty_value_takes_a_field_away() -> None:
    rule = HostRule(("a.test",), {"Accept": "", "Referer": "https://a.test/"})

    fields = request_fields(rule, AGENT, "mediasvc", {})

    assert "Accept" not in fields
    assert fields["Referer"] == "https://a.test/"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://wx1.sinaimg.cn/images/default_d_h_mw600.gif#101", True),
        ("https://ww1.sinaimg.cn/images/default_s_large.gif", True),
        ("https://ww1.sinaimg.cn/large/a.jpg", False),
        ("https://i.imgur.com/removed.png", True),
        ("https://i.imgur.com/removed.png?1", True),
        ("https://i.imgur.com/removed.png.jpg", False),
        ("https://i.imgur.com/abc.png", False),
        ("https://other.test/removed.png", False),
    ],
)
def test_known_stand_ins_are_known_by_their_address(table: HostHeaders, url: str, expected: bool) -> None:
    parts = urlsplit(url)

    assert table.rule_for(parts.hostname or "").is_stand_in(parts.path) is expected


def test_the_first_table_that_names_a_host_decides() -> None:
    mine = parse_rules('[[host]]\nhosts = ["*.example.com"]\nheaders = { Referer = "mine" }', "mine.toml")
    theirs = parse_rules('[[host]]\nhosts = ["a.example.com"]\nheaders = { Referer = "theirs" }', "built-in")

    assert HostHeaders((*mine, *theirs)).rule_for("a.example.com").headers == {"Referer": "mine"}
    assert HostHeaders((*theirs, *mine)).rule_for("a.example.com").headers == {"Referer": "theirs"}
    assert HostHeaders((*theirs, *mine)).rule_for("b.a.example.com").headers == {"Referer": "mine"}


def test_digests_of_stand_ins_go_by_host() -> None:
    digest = "ab" * 32
    table = HostHeaders(parse_rules(f'[[host]]\nhosts = ["a.test"]\nplaceholder_digests = ["{digest}"]', "t"))

    assert table.rule_for("a.test").stand_in_digests == {digest}
    assert table.rule_for("b.test").stand_in_digests == frozenset()


BAD = {
    "host = 1": "write [[host]]",
    "[host]\nhosts = ['a.test']": "write [[host]]",
    "x = 1": "unknown key 'x'",
    "[[host]\n": "line 1",
    "[[host]]": "entry 1: hosts is missing",
    "[[host]]\nhosts = 'a.test'": "entry 1: hosts is not a list",
    "[[host]]\nhosts = [1]": "every item must be text",
    "[[host]]\nhosts = ['a.test']\n[[host]]\nhosts = ['A.test']": "entry 2: 'A.test'",
    "[[host]]\nhosts = ['*']": "no host name",
    "[[host]]\nhosts = ['a.*.test']": "no host name",
    "[[host]]\nhosts = ['http://a.test']": "no host name",
    "[[host]]\nhosts = ['a.test']\nreferer = 'x'": "unknown key 'referer'",
    "[[host]]\nhosts = ['a.test']\nheaders = 'x'": "headers is not a table",
    "[[host]]\nhosts = ['a.test']\nheaders = { Referer = 1 }": "printable ASCII",
    '[[host]]\nhosts = ["a.test"]\nheaders = { Referer = "a\\r\\nHost: b" }': "printable ASCII",
    "[[host]]\nhosts = ['a.test']\nheaders = { 'A B' = 'x' }": "may not be set",
    "[[host]]\nhosts = ['a.test']\nheaders = { Host = 'x' }": "may not be set",
    "[[host]]\nhosts = ['a.test']\nheaders = { COOKIE = 'x' }": "may not be set",
    "[[host]]\nhosts = ['a.test']\nheaders = { Authorization = 'x' }": "may not be set",
    "[[host]]\nhosts = ['a.test']\nheaders = { Accept-Encoding = 'gzip' }": "may not be set",
    "[[host]]\nhosts = ['a.test']\nheaders = { Referer = 'x', referer = 'y' }": "named twice",
    "[[host]]\nhosts = ['a.test']\nplaceholder_paths = ['x']": "no path",
    "[[host]]\nhosts = ['a.test']\nplaceholder_paths = ['/*']": "no path",
    "[[host]]\nhosts = ['a.test']\nplaceholder_paths = ['/a*b']": "no path",
    "[[host]]\nhosts = ['a.test']\nplaceholder_digests = ['abc']": "no SHA-256",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_table_is_told_with_its_file_and_entry(text: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        parse_rules(text, "my.toml")

    assert str(refusal.value).startswith("my.toml: ")
    assert BAD[text] in str(refusal.value)


def test_a_request_is_its_line_its_fields_in_order_and_an_empty_line() -> None:
    head = request_head("/a?b", {"Host": "a.test"}, {"Via": "1.1 mediasvc", "If-None-Match": '"\u00e9"'})

    assert head == (
        b'GET /a?b HTTP/1.1\r\nHost: a.test\r\nVia: 1.1 mediasvc\r\nIf-None-Match: "\xc3\xa9"\r\n\r\n'
    )


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0", "\r\nX: y\r\n\r\nGET / HTTP/1.1"])
def test_what_would_make_another_request_is_never_sent(end: str) -> None:
    for target, fields in (("/a" + end, {}), ("/a", {"A": "b" + end}), ("/a", {"A" + end: "b"})):
        with pytest.raises(ValueError, match="line break"):
            request_head(target, {"Host": "a.test"}, fields)


@pytest.mark.parametrize(
    ("via", "expected"),
    [
        (None, False),
        ("", False),
        ("1.1 mediasvc", True),
        ("HTTP/1.1 mediasvc", True),
        ("1.1 MediaSvc (comment)", True),
        ("1.0 fred, 1.1 mediasvc", True),
        ("1.1 mediasvc-2", False),
        ("mediasvc", False),
        ("1.1 other", False),
    ],
)
def test_a_request_of_our_own_that_came_back_is_known(via: str | None, expected: bool) -> None:
    assert has_passed(via, "mediasvc") is expected
