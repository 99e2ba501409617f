"""What references ask for, decided without a network."""

import pytest

from mediasvc.articles.options import ArticleOptions
from mediasvc.articles.rows import ImageRow, Status
from mediasvc.articles.targets import Target, is_local, is_relative, sort_references
from mediasvc.config.policies import make_addresses
from mediasvc.config.settings import Settings
from mediasvc.core.addresses.lookup import Addresses
from mediasvc.core.geometry import Size
from mediasvc.core.text.references import ArticleType
from mediasvc.errors import InvalidRequest, SourceRefused

HASH = "0" * 64


@pytest.fixture(scope="module")
def addresses() -> Addresses:
    return make_addresses(Settings())


def sorted_references(text: str, addresses: Addresses, **options: object) -> tuple[Target | ImageRow, ...]:
    chosen = ArticleOptions(type=ArticleType.HTML, **options)  # type: ignore[arg-type]  # by name
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
