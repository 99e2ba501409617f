"""Articles as a whole: kinds, options, links, and those that mean harm."""

import time

import pytest

from mediasvc.core.geometry import Size
from mediasvc.core.text.references import ArticleType, FindOptions, Wants, detect_type, find_references
from mediasvc.errors import InvalidRequest

P = "http://pics.example/"


@pytest.mark.parametrize(
    ("article", "kind"),
    [
        ("", ArticleType.MARKDOWN),
        ("Words.", ArticleType.MARKDOWN),
        ("# Title\n\n<p>x</p>", ArticleType.MARKDOWN),
        ("<!DOCTYPE html><p># x", ArticleType.HTML),
        ("\n <!-- x --> <HTML>\n# x\n", ArticleType.HTML),
        ("<p>fragment</p>\n", ArticleType.HTML),
        ("\ufeff<p>fragment</p>\n", ArticleType.HTML),
        ("---\na: b\n---\n<div>\n<p>x</p></div>", ArticleType.HTML),
        ("<div>\n\n![](u)\n\n</div>", ArticleType.MARKDOWN),
        ("<p>one</p>\n\n- item\n", ArticleType.MARKDOWN),
        ("<p>one</p>\n\n```\nx\n```\n", ArticleType.MARKDOWN),
        ("---\na: b\n---\ntext", ArticleType.MARKDOWN),
        ("a <b>c</b>", ArticleType.MARKDOWN),
    ],
)
def test_the_kind_of_an_article_is_told_by_its_body(article: str, kind: ArticleType) -> None:
    assert detect_type(article.encode()) is kind


@pytest.mark.parametrize(
    "run", ["<!-- -->", "<!--", "\n", "<p>![", "<p>](", "<p>[", "<p>\n[x", "---\r\n", "\r\n", "<p>](a"]
)
def test_the_kind_of_a_hostile_article_is_told_in_bounded_time(run: str) -> None:
    started = time.process_time()

    detect_type((run * 100_000).encode())

    assert time.process_time() - started < 2


@pytest.mark.parametrize("kind", ArticleType)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_utf_16_is_refused(kind: ArticleType, encoding: str) -> None:
    with pytest.raises(InvalidRequest):
        find_references("<p>text enough</p>".encode(encoding), kind)


@pytest.mark.parametrize("kind", ArticleType)
def test_references_come_in_the_order_of_the_article(kind: ArticleType) -> None:
    article = f"---\ncover: {P}1\n---\n<p style='background:url({P}2)'><a href={P}3><img src={P}3 srcset='{P}4 1x'></a><style>a{{b:url({P}5)}}</style>"  # noqa: E501

    found = find_references(article.encode(), kind)

    assert [one.where for one in found.references] == [
        "front-matter:cover", "style", "a[href]", "img[src]", "srcset", "style",
    ]  # fmt: skip
    assert [one.start for one in found.references] == sorted(one.start for one in found.references)


def test_a_base_address_in_markdown_counts_where_it_is_html() -> None:
    assert find_references(b"`<base href=x>`\n\n<base href='y'>\n", ArticleType.MARKDOWN).base_href == "y"


def test_a_default_box_is_for_body_images_that_declare_none() -> None:
    article = f"---\nthumbnail: {P}1\n---\n![]({P}1) <img src={P}2> <img src={P}3 width=3 height=2 srcset='{P}4 2x'>"  # noqa: E501

    found = find_references(article.encode(), ArticleType.MARKDOWN, FindOptions(default_size=Size(9, 6)))

    assert [(one.wants, one.declared_size) for one in found.references] == [
        (Wants.THUMBNAIL, None),
        (Wants.THUMBNAIL, Size(9, 6)),
        (Wants.THUMBNAIL, Size(9, 6)),
        (Wants.THUMBNAIL, Size(3, 2)),
        (Wants.ORIGINAL, None),
    ]


def test_front_matter_fields_may_be_chosen() -> None:
    article = f"---\nthumbnail: {P}1\nheadimg: {P}2\nphoto: {P}3\n---\n".encode()
    options = FindOptions(front_matter={"thumbnail": "original", "headimg": "skip", "photo": "thumbnail"})

    found = find_references(article, ArticleType.MARKDOWN, options)

    assert [(one.where, one.wants) for one in found.references] == [
        ("front-matter:thumbnail", Wants.ORIGINAL),
        ("front-matter:photo", Wants.THUMBNAIL),
    ]


@pytest.mark.parametrize(
    ("article", "links"),
    [
        (f"<a href={P}1><img src={P}2 srcset='{P}3 2x'></a>", [(f"{P}1", (f"{P}2", f"{P}3"))]),
        (f"<a href={P}1.jpg>x</a><img src={P}2>", [(f"{P}1.jpg", ())]),
        (f"<a href={P}1>x</a><img src=https://w.example/?{P}1>", [(f"{P}1", ())]),
        (f"<a href={P}1>x</a><img src={P}2>", []),
        (f"<a href={P}1.jpg>x</a>", []),
        ("<a href=#x><img src=u></a><a><img src=u></a><a href=mailto:x><img src=u></a>", []),
        (f"[![]({P}1)]({P}2)", [(f"{P}2", (f"{P}1",))]),
        (f"[![][a]][b]\n\n[a]: {P}1\n[b]: {P}2", [(f"{P}2", (f"{P}1",))]),
        (f"[x]({P}1) ![]({P}1)", [(f"{P}1", ())]),
        (f"<a href='{P}2'>\n\n![]({P}1)\n\n</a>", [(f"{P}2", (f"{P}1",))]),
    ],
)
def test_links_that_may_lead_to_an_image_are_reported(
    article: str, links: list[tuple[str, tuple[str, ...]]]
) -> None:
    found = find_references(article.encode(), ArticleType.MARKDOWN)

    assert [(one.address, one.same_as) for one in found.references if one.same_as is not None] == links


N = 10_000


@pytest.mark.parametrize(
    ("article", "found"),
    [
        ("![[" * N, 0),
        ("![a](u)" * N, N),
        ("![a]" * N + "\n\n[a]: u", 1),
        ("[![a](u)](u)" * 5_000, 10_000),
        ("![" * N + "a" + "](u)" * N, N),
        ("`" * N + " " + "`" * (N - 1) + "![a](u)", 1),
        ("`a" * N + "``![a](u)", 1),
        ("<" * N + "![a](u)", 1),
        ("<a " * N + "![a](u)", 1),
        ("> " * 5_000 + "![a](u)", 1),
        ("<div>\n\n" * 5_000 + "<img src=u>", 1),
        ("<a href=u>" * N + "![a](u)", N + 1),
        ("![a](" * N + "(" * N, 0),
        ("![a](u\\" * N, 0),
        ("[a]: u\n" * N + "![a]", 1),
        ("".join(f"[a{n}]: u\n" for n in range(5_000)) + "![a1]", 1),
        ("- " * 3000 + "![a](u)", 1),
        ("|a" * 2000 + "|\n" + "|-" * 2000 + "|\n" + "|![a](u)" * 2000 + "|\n", 2000),
        ("&" * N + "![a](" + "&a" * N + ")", 1),
        ("<!--" * N + "-->![a](u)", 0),
        ("<img src=u>\n" * N, N),
        ("\r" * N + "![a](u)", 1),
        ("\r\n" * N + "---x", 0),
        ("---\r\n" + "\r\n" * N + "a\r\n---\r\n![a](u)", 1),
        ("---\n" + "# \r\n" * N + "a\n---\n![a](u)", 1),
        ("---\nx: y\ncover: |\n  a" + " " * 5 * N + "b\n c\n---\n![a](u)", 1),
        ("---\nx: y\ncover: |\n  \n" + "  \r\n" * N + "---\n![a](u)", 1),
        ("+++\nimage = " + "[" * 20 * N + "\n+++\n![a](u)", 1),
        ("+++\nimage = " + "[1," * N + "\n+++\n![a](u)", 1),
        ("+++\n" + "image={\n" * N + "\n+++\n![a](u)", 1),
        ("+++\n" + "image=[\n" * N + "\n+++\n![a](u)", 1),
        ("+++\nimage=" + "'''\n" * N + "\n+++\n![a](u)", 1),
        ("+++\nimage=" + '"\\' * N + "\n+++\n![a](u)", 1),
        ("+++\n" + "[image.image]\n" * N + "\n+++\n![a](u)", 1),
        ("+++\nimage" + ".image" * N + "=1\n+++\n![a](u)", 1),
        ('{"image":' + "[" * 20 * N + "]" * 20 * N + "}\n![a](u)", 1),
        ('{"image":' * N + "1" + "}" * N + "\n![a](u)", 1),
        ('{"a":' * N + "![a](u)", 1),
        ('{"image":"' + "\\" * 2 * N + '"}\n![a](u)', 2),
        (
            "---\nt: 'it's'\n"
            + "".join(" " * (n % 900) + "- x:\n" for n in range(N))
            + "image:\n---\n![a](u)",
            1,
        ),
        ("---\nimages:\n" + "- a b\n" * N + "...\n![a](u)", N + 1),
        ("---\nimages:\n- >\n" + " http://a/b\n" * 1000 + "...\n![a](u)", 1001),
        ("---\nx: '" + "\r\n " * N + "'\n---\n![a](u)", 1),
        ("\0" * 7 + "a\0![a](u)" * N, N),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_hostile_markdown_is_read_in_bounded_time(article: str, found: int) -> None:
    started = time.process_time()

    references = find_references(article.encode(), ArticleType.MARKDOWN).references

    assert len(references) == found
    assert time.process_time() - started < 10
