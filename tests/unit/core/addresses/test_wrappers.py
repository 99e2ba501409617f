"""The table of wrappers and its grammar: every entry does what it says, every broken one is named with its
line.
"""

import base64
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from mediasvc.core.addresses.urls import Resolver, normalise, parse_rules
from mediasvc.core.addresses.wrappers.fields import FRAGMENTS
from mediasvc.core.addresses.wrappers.rules import KEYS, Rule
from mediasvc.errors import InvalidRequest, InvalidSettings, MediaError, SourceRefused

BUILT_IN = (Path(__file__).parents[4] / "mediasvc/core/addresses/wrappers/wrappers.toml").read_text(
    encoding="utf-8"
)
RULES = parse_rules(BUILT_IN, "wrappers.toml")
RESOLVER = Resolver(RULES)

MANUAL = (Path(__file__).parents[4] / "docs/wrappers.md").read_text(encoding="utf-8")

GOOD = """\
[[wrapper]]
name = "ours"
place = "parameter"
hosts = ["img.corp.example"]
parameters = ["u"]
examples = [["https://img.corp.example/?u=https%3A%2F%2Fex.com%2Fa.jpg", "https://ex.com/a.jpg"]]
"""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_entry_holds_its_examples_among_all_the_others(rule: Rule) -> None:
    assert rule.examples
    for wrapped, carried in rule.examples:
        resolution = RESOLVER.resolve(wrapped)
        assert resolution.origin == carried
        assert [layer.wrapper for layer in resolution.layers] == ([] if rule.place == "none" else [rule.name])


@pytest.mark.parametrize(
    "address",
    [
        # tracking and share links, redirects, log-ins
        "https://ex.com/login/element?url=https%3A%2F%2Fex.org%2Fa.jpg",
        "https://ex.com/proxy/login?url=https%3A%2F%2Fex.org%2F",
        "https://ex.com/vi/dQw4w9WgXcQ/hqdefault.jpg",
        "https://i.ytimg.com/vi/dQw4w9WgXcQ/maxres.jpg",
        "https://ex.com/img/abc.png",
        "https://ex.com/search?mediaurl=https%3A%2F%2Fex.org%2Fa.jpg",
        "https://lh3.googleusercontent.com/proxy/7w7Xf2jTT=s0-d-e1-ft",
        "https://www.oschina.net/action/GoToLink?url=https%3A%2F%2Fnginx.org%2F",
        "https://link.zhihu.com/?target=https%3A//ex.com/a.jpg",
        "https://l.facebook.com/l.php?u=https%3A%2F%2Fex.com%2Fa.jpg&h=AT0",
        "https://www.facebook.com/sharer/sharer.php?u=https%3A%2F%2Fex.com%2Fa.jpg",
        "https://twitter.com/intent/tweet?url=https%3A%2F%2Fex.com%2Fa.jpg",
        "https://www.pinterest.com/pin/create/button/?url=https%3A%2F%2Fex.com%2F&media=https%3A%2F%2Fex.com%2Fa.jpg",
        "https://www.google.com/url?q=https://ex.com/a.jpg&sa=U",
        "https://adclick.g.doubleclick.net/aclk?sa=l&adurl=https://ex.com/a.jpg",
        "https://ad.ex.com/track?url=https%3A%2F%2Fex.org%2Fa.jpg&w=300&h=200",
        "https://href.li/?https://ex.com/a.jpg",
        "https://ex.com/redirect.php?https://ex.org/a.jpg",
        "https://ex.com/share?url=https%3A%2F%2Fex.org%2Fa.jpg",
        "https://accounts.ex.com/login?next=https%3A%2F%2Fex.com%2Fa.jpg",
        "https://login.ex.com/oauth/authorize?redirect_uri=https%3A%2F%2Fex.com%2Fcb&client_id=1",
        "https://ezproxy.uni.example/login?url=https://ex.com/a.jpg",
        "https://proxy.lib.uni.example/login?url=https://ex.com/a.jpg",
        "https://steamcommunity.com/linkfilter/?url=https://ex.com/a.jpg",
        "https://x.r.us-east-1.awstrack.me/L0/https:%2F%2Fex.com%2Fa.jpg/1/0100/x=1",
        "https://urldefense.com/v3/__https://ex.com/a.jpg__;!!x",
        # a picture of a page, a copy, a fallback
        "https://web.archive.org/web/2020im_/https://ex.com/a.jpg",
        "https://image.thum.io/get/width/600/https://ex.com/a.png",
        "https://s0.wp.com/mshots/v1/https%3A%2F%2Fex.com%2F?w=300",
        "https://img.shields.io/website?url=https%3A%2F%2Fex.com",
        "https://api.qrserver.com/v1/create-qr-code/?data=https://ex.com/a.jpg",
        "https://www.gravatar.com/avatar/0a1b?d=https%3A%2F%2Fex.com%2Fa.jpg",
        "https://validator.w3.org/check?uri=https%3A%2F%2Fex.com%2Fa.jpg",
        # plain pictures on hosts of wrappers, or with half of a shape
        "https://res.cloudinary.com/demo/image/upload/w_300/a.jpg",
        "https://cdn.statically.io/gh/user/repo/main/a.png",
        "https://s.yimg.com/os/creatr/a.jpg",
        "https://img1.daumcdn.net/relation/a.jpg",
        "https://www.google.com/images/a.png",
        "https://image.baidu.com/img/a.png",
        "https://media.discordapp.net/attachments/1/2/a.png?width=300",
        "https://images.weserv.nl/logo.png",
        "https://blog.someone.workers.dev/a.jpg",
        "https://blog.someone.workers.dev/?httpbin=1",
        "https://blog.someone.workers.dev/share?url=https%3A%2F%2Fex.com%2Fa.jpg",
        "https://ex.com/unsafe/a.jpg",
        "https://ex.com/image/fetch/a.jpg",
        "https://ex.com/x/y.jpg",
        "https://ex.com/proxy/a.jpg",
        "https://proxy.example.com/a.jpg",
        "https://corsair.example.com/?https://ex.com/a.jpg",
        "https://ex.com/_next/image?w=64",
        "https://ex.com/aHR0cDovLw",
        "https://ex.com/aHR0cDovL2V4LmNvbS9hLmpwZw/edit",
        "https://ex.com/0f6def1cb147b0e84f39cbddc5ea10c80253a6f3/a.jpg",
        "https://ex.com/0f6def1cb147b0e84f39cbddc5ea10c80253a6f3?url=http%3A%2F%2Fex.org%2Fa.jpg",
        "https://ex.com/0f6def1cb147b0e84f39cbddc5ea10c80253a6f3/687474703a2f2f7",
        "https://ex.com/D23vHLFHsOhPOcvdxeoQyAJTpvM/aHR0cDovL____w",
        "https://ex.com/plain/a.jpg",
        "https://ex.com/resize?url=https%3A%2F%2Fex.org%2Fa.jpg",
        "https://ex.com/resize?url=https%3A%2F%2Fex.org%2Fa&w=300",
        "https://ex.com/cdn-cgi/image/w=300/%5C%5C[",
        "https://ex.com/insecure/plain/s3://bucket/a.jpg",
        "https://wiki.ex.com/http:_a_title",
        "https://wiki.ex.com/wiki/http://ex.com/page",
        "https://i.pixiv.re/123456.png",
        "https://www.zhihu.com/equation?tex=a%2Fb",
        "https://upload-images.jianshu.io/a?imageMogr2/auto-orient/strip|imageView2/2/w/120",
    ],
)
def test_a_url_that_only_looks_like_a_wrapper_is_left_alone(address: str) -> None:
    assert RESOLVER.resolve(address).layers == ()
    assert RESOLVER.resolve(address).origin == address


@pytest.mark.parametrize(
    ("wrapped", "origin"),
    [
        ("https://any-name.workers.dev/?https://ex.com/a.jpg", "https://ex.com/a.jpg"),
        ("https://any-name.workers.dev/p?HTTPS%3A%2F%2Fex.com/a.jpg", "https://ex.com/a.jpg"),
        ("https://any-name.workers.dev/https://ex.com/a.jpg", "https://ex.com/a.jpg"),
        ("https://corsproxy.ex.org/?https://ex.com/a.jpg", "https://ex.com/a.jpg"),
        ("https://my-cors-anywhere.herokuapp.com/https://ex.com/a.jpg?x=1", "https://ex.com/a.jpg?x=1"),
        ("http://127.0.0.1:8080/https:/ex.com/a.jpg", "https://ex.com/a.jpg"),
        ("https://ex.org/api/image-proxy?url=https%3A%2F%2Fex.com%2Fa.jpg&w=1", "https://ex.com/a.jpg"),
        ("https://ex.org/cdn/w_300,h_200/https%3A%2F%2Fex.com%2Fa.webp", "https://ex.com/a.webp"),
        ("https://ex.org/_ipx/f_webp/https:/ex.com/a.png", "https://ex.com/a.png"),
        (
            "https://ghproxy.example/https://raw.githubusercontent.com/u/r/m/a.png",
            "https://raw.githubusercontent.com/u/r/m/a.png",
        ),
        ("https://cors.zfour.workers.dev/?%20http://ex.com/a.jpg%20", "http://ex.com/a.jpg"),
        ("https://wsrv.nl/?w=1&url=//ex.com/a.jpg", "http://ex.com/a.jpg"),
        ("https://wsrv.nl/?url=http%253A%252F%252Fex.com%252Fa.jpg", "http://ex.com/a.jpg"),
        ("https://wsrv.nl/?url=http://ex.com/%D6%D0.jpg", "http://ex.com/%D6%D0.jpg"),
        (
            "https://ex.org/unsafe/fit-in/300x200/filters:watermark(http://ex.org/w.png,0,0)/ex.com/a.jpg",
            "http://ex.com/a.jpg",
        ),
        (
            "https://thumbor.ex.org/abcdefghijklmnopqrstuvwxyz_=/300x/smart/https://ex.com/a.jpg",
            "https://ex.com/a.jpg",
        ),
    ],
)
def test_a_wrapper_of_a_known_kind_is_recognised_under_any_host(wrapped: str, origin: str) -> None:
    assert RESOLVER.resolve(wrapped).origin == origin


@pytest.mark.parametrize(
    ("wrapped", "kind"),
    [
        ("https://cors.zfour.workers.dev/", InvalidRequest),
        ("https://cors.zfour.workers.dev/?a.jpg", InvalidRequest),
        ("https://wsrv.nl/?w=300", InvalidRequest),
        ("https://wsrv.nl/?url=", InvalidRequest),
        ("https://wsrv.nl/?url=localhost/a.jpg", InvalidRequest),
        ("https://wsrv.nl/?url=https://wsrv.nl/", InvalidRequest),
        ("https://corsproxy.io/?", InvalidRequest),
        ("https://i0.wp.com/", InvalidRequest),
        (
            "https://camo.githubusercontent.com/0f6def1cb147b0e84f39cbddc5ea10c80253a6f3/687474703a2f2f75403a",
            SourceRefused,
        ),
        ("https://wsrv.nl/?url=javascript:alert(1)", SourceRefused),
        ("https://relay.ex.org/https://user:pw@ex.com/a.jpg", SourceRefused),
        ("https://wsrv.nl/?url=http://ex.com/%00", InvalidRequest),
    ],
)
def test_a_wrapper_around_nothing_usable_is_refused(wrapped: str, kind: type[MediaError]) -> None:
    with pytest.raises(kind):
        RESOLVER.resolve(wrapped)


def test_the_operators_rules_come_first() -> None:
    own = GOOD.replace("img.corp.example", "wsrv.nl").replace("?u=", "?url=x&u=")

    resolver = Resolver((*parse_rules(own, "own.toml"), *RULES))

    resolution = resolver.resolve("https://wsrv.nl/?url=http://ex.com/b.jpg&u=http://ex.com/a.jpg")
    assert resolution.origin == "http://ex.com/a.jpg"
    assert resolution.layers[0].wrapper == "ours"


def test_the_operator_can_leave_a_wrapper_on() -> None:
    own = '[[wrapper]]\nname="keep"\nplace="none"\nhosts=["*.nl"]\nexamples=[["https://wsrv.nl/?url=ex.com","https://wsrv.nl/?url=ex.com"]]'

    resolver = Resolver((*parse_rules(own, "own.toml"), *RULES))

    assert resolver.resolve("https://images.weserv.nl/?url=ex.com").layers == ()


def test_a_text_that_a_wrapper_must_hold_is_looked_for_in_its_url_alone() -> None:
    own = (
        '[[wrapper]]\nname="ours"\nplace="path"\npath="/"\ncontains=["None"]\nscheme="http"\n'
        'examples=[["https://a.example/ex.com/none.jpg","http://ex.com/none.jpg"]]'
    )
    resolver = Resolver(parse_rules(own, "own.toml"))

    assert resolver.resolve("https://a.example/ex.com/a.jpg").layers == ()


@pytest.mark.parametrize("escaped", ["%3A%2F%2F", "%3a%2f%2f", "%3a%2F%2f", "%3A//", ":%2f%2F"])
def test_escapes_are_read_in_either_case(escaped: str) -> None:
    resolution = RESOLVER.resolve(f"https://wsrv.nl/?url=http{escaped}ex.com%2Fa.jpg&w=1")

    assert resolution.origin == "http://ex.com/a.jpg"


def test_a_rule_that_sends_an_address_to_itself_is_refused() -> None:
    own = (
        '[[wrapper]]\nname="a"\nplace="host"\nhosts=["*.ex.com"]\nto="a.ex.com"\n'
        'examples=[["https://b.ex.com/x","https://a.ex.com/x"]]'
    )

    with pytest.raises(InvalidSettings, match="itself"):
        parse_rules(own, "own.toml")


def test_rules_that_send_an_address_in_a_circle_are_refused() -> None:
    own = "\n".join(
        f'[[wrapper]]\nname="{a}"\nplace="host"\nhosts=["{a}.ex.com"]\nto="{b}.ex.com"\n'
        f'examples=[["https://{a}.ex.com/x","https://{b}.ex.com/x"]]'
        for a, b in ("ab", "ba")
    )

    with pytest.raises(InvalidRequest) as caught:
        Resolver(parse_rules(own, "own.toml")).resolve("https://a.ex.com/x")

    assert caught.value.reason == "depth"


def test_a_rule_may_use_fragments_of_its_file() -> None:
    own = """\
[fragments]
size = '\\d+x\\d+'

[[wrapper]]
name = "sized"
place = "path"
hosts = ["img.corp.example"]
path = '/{size}/{url}'
examples = [["https://img.corp.example/30x20/https://ex.com/a", "https://ex.com/a"]]
"""

    assert (
        Resolver(parse_rules(own, "own.toml")).resolve("https://img.corp.example/3x2/http://ex.com/").layers
    )


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL))
def test_the_manuals_examples_work(block: str) -> None:
    assert parse_rules(block, "docs/wrappers.md")


def test_the_manual_names_every_key_and_fragment_and_no_other() -> None:
    keys = set(re.findall(r"^\| `([a-z_0-9]+)` \|", MANUAL, re.MULTILINE))
    fragments = set(re.findall(r"^\| `\{(\w+)\}` \|", MANUAL, re.MULTILINE))

    assert keys == KEYS
    assert fragments == set(FRAGMENTS)


def _own(body: str) -> str:
    return f'[[wrapper]]\nname = "ours"\n{body}'


@pytest.mark.parametrize(
    ("body", "wrapped", "carried"),
    [
        (
            'place = "fragment"\nhosts = ["m.ex"]',
            "https://m.ex/p/x=s0#https://ex.com/a?b=1&c",
            "https://ex.com/a?b=1&c",
        ),
        (
            'place = "fragment"\nhosts = ["m.ex"]',
            "https://m.ex/#https%3A%2F%2Fex.com%2Fa",
            "https://ex.com/a",
        ),
        (
            'place = "template"\nhosts = ["*.m.ex"]\nhost = \'(?P<host>[^.]+)\\.m\\.ex\'\nspelling = "hyphens"\n'  # noqa: E501
            'template = "https://{host}{path}"\nscheme_parameter = "s"\ndrop = ["s", "t_*"]\nquery = "carried"',  # noqa: E501
            "https://a--b-ex-com.m.ex/x/y?t_1=1&v=2&s=http&t_2",
            "http://a-b.ex.com/x/y?v=2",
        ),
        (
            'place = "template"\nhosts = ["m.ex"]\ntemplate = "https://{?h}/{?p}"\nquery = "own"',
            "https://m.ex/?p=a%2Fb.jpg&h=ex.com&w=3",
            "https://ex.com/a/b.jpg",
        ),
        (
            'place = "path"\nhosts = ["m.ex"]\npath = "/"\nending = "/(?:fit|crop)"\nquery = "own"',
            "https://m.ex/https://ex.com/fit/a.jpg/crop?w=3",
            "https://ex.com/fit/a.jpg",
        ),
        (
            'place = "path"\nhosts = ["m.ex"]\npath = "/"\ndrop = ["w"]\nquery = "carried"',
            "https://m.ex/https://ex.com/a.jpg?w=3",
            "https://ex.com/a.jpg",
        ),
    ],
)
def test_the_parts_of_a_carried_url_are_found_where_the_rule_says(
    body: str, wrapped: str, carried: str
) -> None:
    text = _own(f'{body}\nexamples = [["{wrapped}", "{carried}"]]\n')

    assert Resolver(parse_rules(text, "own.toml")).resolve(wrapped).origin == carried


@pytest.mark.parametrize(
    "url", ["https://ex.com/a?b=~~~???>>>&c", "http://ex.com/日本.png", "https://ex.com/a.jpg"]
)
@pytest.mark.parametrize("alphabet", ["standard", "standard, escaped", "url", "url, unpadded", "split"])
def test_base64_is_read_in_every_way_it_is_written(url: str, alphabet: str) -> None:
    standard = base64.b64encode(url.encode()).decode()
    safe = base64.urlsafe_b64encode(url.encode()).decode()
    written = {
        "standard": standard,
        "standard, escaped": quote(standard, safe=""),
        "url": safe,
        "url, unpadded": safe.rstrip("="),
        "split": "/".join(re.findall(".{1,16}", safe)),
    }[alphabet]
    body = 'place = "path"\nhosts = ["m.ex"]\npath = "/e/"\ncoded = "base64"\nquery = "own"'
    rules = parse_rules(
        _own(body + '\nexamples = [["https://m.ex/e/aHR0cDovL2V4LmNvbS8", "http://ex.com/"]]\n'), "o"
    )

    assert Resolver(rules).resolve(f"https://m.ex/e/{written}?w=3").origin == normalise(url)


def test_a_carried_url_of_another_host_leaves_the_address_alone() -> None:
    for host in ("evil.example", "i.ytimg.com.evil.example", "x@evil.example", "127.0.0.1"):
        address = f"https://piped.example.org/vi/dQw4w9WgXcQ/a.jpg?host={host}&x=host=i.ytimg.com"

        assert RESOLVER.resolve(address).layers == ()


BROKEN = [
    ('parameters = ["u"]', 'parameters = ["u"]\ntemplate = "https://{x}/"', 6, "template belongs"),
    ('parameters = ["u"]', 'parameters = ["u"]\nhost = "a"', 6, "host belongs"),
    ('parameters = ["u"]', 'parameters = ["u"]\nending = "("', 6, "regular expression"),
    ('parameters = ["u"]', 'parameters = ["u"]\nspelling = "dots"', 6, "one of"),
    ('parameters = ["u"]', 'parameters = ["u"]\ncarried_hosts = ["a b"]', 6, "host"),
    (
        'place = "parameter"\nhosts = ["img.corp.example"]\nparameters = ["u"]',
        'place = "template"\nhosts = ["a.b"]\ntemplate = "{x}"',
        5,
        "http",
    ),
    ("", "[[wrapper]\n", 1, ""),
    ("", "x = 1\n" + GOOD, 1, "only"),
    ("", "\n[server]\nport = 1\n", 2, "only"),
    ("", "wrapper = 1\n", 1, "only"),
    ('name = "ours"\n', "", 1, "name is missing"),
    ('name = "ours"', "name = 7", 2, "text"),
    ('place = "parameter"', 'place = "pocket"', 3, "one of"),
    ('place = "parameter"\n', "", 1, "place is missing"),
    ('place = "parameter"', 'place = "query"', 5, "parameters"),
    ('parameters = ["u"]\n', "", 1, "parameters"),
    ('parameters = ["u"]', "parameters = []", 5, "not empty"),
    ('parameters = ["u"]', 'parameters = [""]', 5, "not empty"),
    ('hosts = ["img.corp.example"]', 'hosts = "img.corp.example"', 4, "list"),
    ('hosts = ["img.corp.example"]', 'hosts = ["a b"]', 4, "host"),
    ('hosts = ["img.corp.example"]', 'hosts = ["ex.com/path"]', 4, "host"),
    ('hosts = ["img.corp.example"]\n', "", 1, "contains"),
    ('hosts = ["img.corp.example"]', 'hosts = ["a.b"]\nlabels = ["x"]', 5, "hosts and labels"),
    ('hosts = ["img.corp.example"]', 'labels = ["a.b"]\ncontains = ["x"]', 4, "label"),
    ('parameters = ["u"]', 'parameters = ["u"]\npath = "("', 6, "regular expression"),
    ('parameters = ["u"]', 'parameters = ["u"]\npath = "(?P<x>a)"', 6, "unknown group"),
    ('parameters = ["u"]', 'parameters = ["u"]\npath = "{nothing}"', 6, "unknown fragment"),
    ('parameters = ["u"]', 'parameters = ["u"]\ndecode = 2', 6, "decode"),
    ('parameters = ["u"]', 'parameters = ["u"]\ndecode = [2, 1]', 6, "decode"),
    ('parameters = ["u"]', 'parameters = ["u"]\ndecode = [true, 1]', 6, "decode"),
    ('parameters = ["u"]', 'parameters = ["u"]\nlast = "yes"', 6, "true or false"),
    ('parameters = ["u"]', 'parameters = ["u"]\nrelative = "ftp://x/"', 6, "relative"),
    ('parameters = ["u"]', 'parameters = ["u"]\nrelative = "x"', 6, "relative"),
    ('parameters = ["u"]', 'parameters = ["u"]\nto = "ex.com"', 6, "to belongs"),
    ('parameters = ["u"]', 'parameters = ["u"]\nparamters = ["v"]', 6, "unknown key"),
    (
        'place = "parameter"\nhosts = ["img.corp.example"]\nparameters = ["u"]',
        'place = "path"\nhosts = ["a.b"]',
        1,
        "path",
    ),
    (
        'place = "parameter"\nhosts = ["img.corp.example"]\nparameters = ["u"]',
        'place = "host"\nhosts = ["a.b"]\nto = "*.c"',
        5,
        "one host",
    ),
    (
        'place = "parameter"\nhosts = ["img.corp.example"]\nparameters = ["u"]',
        'place = "host"\nhosts = ["a.b"]\nto = "a b"',
        5,
        "host",
    ),
    ('"https://ex.com/a.jpg"]]', '"https://ex.com/b.jpg"]]', 1, "gives"),
    ('"https://ex.com/a.jpg"]]', '"ftp://ex.com/b.jpg"]]', 1, "gives"),
    (GOOD[GOOD.index("examples") :], "examples = []\n", 6, "example"),
    (GOOD[GOOD.index("examples") :], 'examples = ["x"]\n', 6, "pairs"),
    (GOOD[GOOD.index("examples") :], 'examples = "x"\n', 6, "pairs"),
    (GOOD[GOOD.index("examples") :], "", 1, "example"),
    (GOOD, GOOD + "\n" + GOOD, 9, "taken"),
    (GOOD, "[fragments]\nurl = 'x'\n" + GOOD, 2, "taken"),
    (GOOD, "[fragments]\nx = '('\n" + GOOD, 2, "regular expression"),
    (GOOD, "[fragments]\nx = 7\n" + GOOD, 2, "regular expression"),
    (GOOD, "[fragments]\nx = '{y}'\n" + GOOD, 2, "regular expression"),
    (GOOD, "fragments = 7\n" + GOOD, 1, "fragments"),
]


@pytest.mark.parametrize(("old", "new", "line", "words"), BROKEN)
def test_a_broken_rule_is_refused_with_file_and_line(old: str, new: str, line: int, words: str) -> None:
    text = GOOD.replace(old, new) if old else new

    with pytest.raises(InvalidSettings) as caught:
        parse_rules(text, "own.toml")

    assert str(caught.value).startswith(f"own.toml:{line}: ")
    assert words in str(caught.value)


def test_all_broken_entries_are_named_together() -> None:
    text = GOOD.replace('"parameter"', '"pocket"') + GOOD.replace("ours", "more").replace('"u"', '""')

    with pytest.raises(InvalidSettings) as caught:
        parse_rules(text, "own.toml")

    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == ["own.toml:3", "own.toml:11"]


def test_what_one_entry_lacks_is_not_looked_for_in_the_next() -> None:
    with pytest.raises(InvalidSettings) as caught:
        parse_rules(GOOD.replace('name = "ours"\n', "") + GOOD, "own.toml")

    assert str(caught.value).startswith("own.toml:1: wrapper '?': name is missing")


def test_an_empty_file_has_no_rules() -> None:
    assert parse_rules("", "own.toml") == ()
