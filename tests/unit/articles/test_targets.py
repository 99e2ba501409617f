"""What references ask for, decided without a network."""

import pytest

from mediasvc.articles.options import ArticleOptions, Links
from mediasvc.articles.rows import ImageRow, Status
from mediasvc.articles.targets import MAX_REFERENCES, Target, is_local, is_relative, sort_references
from mediasvc.config.policies import make_addresses
from mediasvc.config.settings import Settings
from mediasvc.core.addresses.host_patterns import parse_host_pattern
from mediasvc.core.addresses.lookup import Addresses
from mediasvc.core.geometry import Size
from mediasvc.core.text.picture_address import is_template, looks_like_picture
from mediasvc.core.text.reference import Why
from mediasvc.core.text.references import ArticleType
from mediasvc.errors import InvalidRequest, SourceRefused

HASH = "0" * 64


@pytest.fixture(scope="module")
def addresses() -> Addresses:
    return make_addresses(Settings())


def sorted_references(text: str, addresses: Addresses, **options: object) -> tuple[Target | ImageRow, ...]:
    chosen = ArticleOptions(**{"type": ArticleType.HTML, **options})  # type: ignore[arg-type]  # by name
    return sort_references(text.encode(), chosen, addresses, prefix="assets/", public_url="").targets


def test_the_front_matter_thumbnail_has_the_size_that_the_body_declares(addresses: Addresses) -> None:
    url = "http://news.example/a.jpg?x=1&y=2"
    text = f'---\nthumbnail: "{url}"\n---\n<img src="{url.replace("&", "&amp;")}" data-size="60,40">'

    first, second = sorted_references(text, addresses)

    assert isinstance(first, Target)
    assert isinstance(second, Target)
    assert first.declared_size == second.declared_size == Size(60, 40)
    assert first.spec == second.spec


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"assets/{HASH}.jpg", True),
        (f"../assets/{HASH}.png?v=1", True),
        (f"http://elsewhere.example/{HASH}.jpg", False),
        ("assets/photo.jpg", False),
        (f"/img/unsafe/600x400/{'a' * 20}", True),
        (f"/img/{'s' * 43}/600x400,cover,q70,dpr2/{'a' * 20}", True),
        (f"/img/{'s' * 43}/original/{'a' * 20}", True),
        ("/img/2024/10/26/lake.jpg", False),
        ("/img/2024/10/lake", False),
        (f"/img/unsafe/600x400/{'a' * 20}.jpg", False),
        ("http://[", False),
    ],
)
def test_what_we_wrote_is_known_again(address: str, expected: bool) -> None:
    assert is_local(address, "assets/", "") is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"https://cdn.example/a%20b/图/{HASH}.jpg", True),
        (f"https://cdn.example/a%20b/%E5%9B%BE/{HASH}.jpg", True),
        (f"https://cdn.example/a%20c/图/{HASH}.jpg", False),
        ("https://cdn.example/a%20b/图/photo.jpg", False),
    ],
)
def test_what_we_wrote_is_known_again_where_the_prefix_was_encoded(address: str, expected: bool) -> None:
    assert is_local(address, "https://cdn.example/a b/图/", "") is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [("a.jpg", True), ("/a.jpg", True), ("//a.example/b", False), ("http://a/b", False)],
)
def test_what_needs_a_base_is_told_from_what_does_not(address: str, expected: bool) -> None:
    assert is_relative(address) is expected


def test_relative_addresses_without_a_base_are_left(addresses: Addresses) -> None:
    (left,) = sorted_references('<img src="a.jpg">', addresses)
    (led,) = sorted_references('<img src="a.jpg">', addresses, base_url="http://news.example/x/")

    assert isinstance(left, ImageRow)
    assert left.status is Status.LEFT
    assert isinstance(led, Target)
    assert led.resolution.origin == "http://news.example/x/a.jpg"


def test_a_base_needs_an_absolute_prefix(addresses: Addresses) -> None:
    with pytest.raises(InvalidRequest):
        sorted_references('<base href="http://news.example/"><img src="a.jpg">', addresses)


def test_answers_for_addresses_are_kept_up_to_a_number(addresses: Addresses) -> None:
    own = Addresses(addresses.resolver, addresses.policy)
    first = own.lead("http://news.example/a.jpg")

    assert own.lead("http://news.example/a.jpg") is first
    assert isinstance(own.lead("http://127.0.0.1/a.jpg"), SourceRefused)
    for number in range(5000):
        own.lead(f"http://news.example/{number}.jpg")
    assert own.lead("http://news.example/a.jpg") is not first
    assert len(own._answers) <= 4096


@pytest.mark.parametrize(
    ("href", "base_url", "expected"),
    [
        ("/", None, ["http://elsewhere.example/a.jpg", None]),
        ("", None, ["http://elsewhere.example/a.jpg", None]),
        ("http://", None, ["http://elsewhere.example/a.jpg", None]),
        ("ftp://news.example/", None, ["http://elsewhere.example/a.jpg", None]),
        ("//news.example/x/", None, ["http://elsewhere.example/a.jpg", "https://news.example/x/b.jpg"]),
        ("/", "http://news.example/x/y", ["http://elsewhere.example/a.jpg", "http://news.example/b.jpg"]),
        ("", "http://news.example/x/y", ["http://elsewhere.example/a.jpg", "http://news.example/x/b.jpg"]),
    ],
)
def test_absolute_addresses_need_no_base_that_can_be_read(
    addresses: Addresses, href: str, base_url: str | None, expected: list[str | None]
) -> None:
    page = f'<base href="{href}"><img src="http://elsewhere.example/a.jpg"><img src="b.jpg">'
    options = ArticleOptions(type=ArticleType.HTML, base_url=base_url)

    found = sort_references(
        page.encode(), options, addresses, prefix="https://cdn.example/", public_url=""
    ).targets

    assert [one.resolution.origin if isinstance(one, Target) else None for one in found] == expected
    assert all(isinstance(one, Target) or one.status is Status.LEFT for one in found)


def test_what_still_names_a_picture_elsewhere_is_left_with_a_reason(addresses: Addresses) -> None:
    page = (
        "---\nfoo: http://pics.example/1.jpg\n# http://pics.example/no.jpg\n---\n"
        "<p data-note='see http://pics.example/2.jpg'>http://pics.example/3.jpg, <code>http://pics.example/no.jpg</code></p>"
        "<!-- http://pics.example/no.jpg --><script>'http://pics.example/no.jpg'</script><textarea>http://pics.example/no.jpg</textarea>"
        "<a href=http://pics.example/4.jpg>x</a><a href=http://news.example/page>x</a>"
        "<img src='http://pics.example/{width}/5.jpg'><img src='http://pics.example/{1A}/localised.jpg'>"
        "<meta property=og:image content=http://pics.example/6.jpg>"
        "<style>a{--x: 'http://pics.example/7.jpg'} /* http://pics.example/no.jpg */</style>"
        "<div data-mediasvc=skip><img src=http://pics.example/8.jpg><b>http://pics.example/9.jpg</b></div>"
        "<p>https://cors.relay.workers.dev/?http://pics.example/10.jpg</p><img src=relative.jpg>"
    )

    rows = [one for one in sorted_references(page, addresses) if not isinstance(one, Target)]

    assert [(one.where, one.source.rpartition("/")[2], one.why) for one in rows] == [
        ("front-matter:foo", "1.jpg", Why.NOT_READ),
        ("data-note", "2.jpg", Why.NOT_READ),
        ("text", "3.jpg", Why.NOT_READ),
        ("a[href]", "4.jpg", Why.LINK),
        ("img[src]", "5.jpg", Why.TEMPLATE),
        ("meta[content]", "6.jpg", Why.READ_ELSEWHERE),
        ("style", "7.jpg", Why.NOT_READ),
        ("img[src]", "8.jpg", Why.SKIPPED),
        ("text", "9.jpg", Why.SKIPPED),
        ("text", "10.jpg", Why.NOT_READ),
        ("img[src]", "relative.jpg", None),
    ]
    assert all(one.status is Status.LEFT for one in rows)


def test_code_and_known_tags_in_markdown_are_not_told_of(addresses: Addresses) -> None:
    text = (
        "`http://pics.example/no.jpg`\n\n```\nhttp://pics.example/no.jpg\n```\n\n"
        "Bare http://pics.example/1.jpg and <http://pics.example/2.jpg> and [a](http://pics.example/3.jpg).\n"
    )

    found = sorted_references(text, addresses, type=ArticleType.MARKDOWN)

    rows = [one for one in found if isinstance(one, ImageRow)]
    assert [(one.where, one.source[-5:]) for one in rows] == [
        ("text", "1.jpg"),
        ("text", "2.jpg"),
        ("markdown-link", "3.jpg"),
    ]


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        (Links.PICTURE, {"1.jpg": None, "2.jpg": None, "3": "absent", "4.jpg": Why.LINK, "File:5.jpg": Why.NO_PICTURE}),  # noqa: E501
        (Links.SAME, {"1.jpg": None, "2.jpg": Why.LINKS, "3": "absent", "4.jpg": Why.LINK, "File:5.jpg": Why.LINKS}),  # noqa: E501
        (Links.NONE, {"1.jpg": Why.LINKS, "2.jpg": Why.LINKS, "3": "absent", "4.jpg": Why.LINKS, "File:5.jpg": Why.LINKS}),  # noqa: E501
    ],
)  # fmt: skip
def test_links_around_pictures_follow_the_choice(
    addresses: Addresses, links: Links, expected: dict[str, object]
) -> None:
    names = ["1.jpg", "2.jpg", "3", "File:5.jpg"]
    page = "".join(
        f"<a href=http://pics.example/{name}><img src=http://pics.example/1.jpg></a>" for name in names
    )

    found = sorted_references(page + "<a href=http://pics.example/4.jpg>x</a>", addresses, links=links)

    seen: dict[str, object] = dict.fromkeys(expected, "absent")
    for one in found:
        if isinstance(one, Target) and one.reference.same_as is not None:
            seen[one.reference.address.rpartition("/")[2]] = None
        elif isinstance(one, ImageRow):
            seen[one.source.rpartition("/")[2]] = one.why
    assert seen == expected


@pytest.mark.parametrize("pattern", ["pics.example", "*.example", "cors.relay.workers.dev"])
def test_hosts_to_leave_are_left(addresses: Addresses, pattern: str) -> None:
    page = (
        "<img src=https://cors.relay.workers.dev/?http://pics.example/a.jpg><img src=http://news.test/b.jpg>"
    )

    left, led = sorted_references(page, addresses, leave=(parse_host_pattern(pattern),))

    assert isinstance(left, ImageRow)
    assert left.why == Why.HOST
    assert isinstance(led, Target)


def test_of_too_many_references_the_first_are_handled(addresses: Addresses) -> None:
    found = sorted_references("<img src=http://pics.example/a.jpg>" * (MAX_REFERENCES + 3), addresses)

    assert [isinstance(one, Target) for one in found[MAX_REFERENCES - 1 :]] == [True, False, False, False]
    assert isinstance(found[-1], ImageRow)
    assert found[-1].why == Why.TOO_MANY


@pytest.mark.parametrize(
    ("address", "looks_so"),
    [
        ("https://a.example/b.jpg", True), ("https://a.example/b.JPEG!custom", True), ("https://a.example/b.webp/640", True),  # noqa: E501
        ("https://a.example/b?wx_fmt=png", True), ("https://a.example/b?x=1&format=webp", True), ("https://a.example/b?fm=jpg&w=3", True),  # noqa: E501
        ("https://a.example/s1600-h/IMG_1", True), ("https://a.example/x=w640-h400", True),
        ("https://a.example/b", False), ("https://photo.png.example/b", False), ("https://a.example/b?next=c.jpg", False),  # noqa: E501
        ("https://a.example/b.jpgs", False), ("https://a.example/s12/e3", False), ("https://a.example/b#c.jpg", False),  # noqa: E501
    ],
)  # fmt: skip
def test_an_address_looks_like_a_pictures_by_its_path_or_query(address: str, looks_so: bool) -> None:
    assert looks_like_picture(address) is looks_so


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("http://a/${x}", True), ("http://a/{{ x }}", True), ("{% asset x %}", True), ("http://a/{width}/b", True), ("http://a/%7Bwidth%7D", True),  # noqa: E501
        ("http://a/%7B%7Bx%7D%7D", True), ("http://a/{Width}", False), ("http://a/{1a-2b}", False), ("http://a/%7B%20%7D", False), ("http://a/{a-b}", False),  # noqa: E501
    ],
)  # fmt: skip
def test_templates_are_told_from_braces(address: str, is_one: bool) -> None:
    assert is_template(address) is is_one
