"""Front matter: where it stands, and its fields, valid YAML or not."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.text.encoding import read_source
from mediasvc.core.text.front_matter import find_front_matter, find_in_front_matter
from mediasvc.core.text.reference import Reference, Syntax, Wants

FIELDS = {"cover": Wants.ORIGINAL, "thumbnail": Wants.THUMBNAIL}


def _found(front: str, *, fields: dict[str, Wants] = FIELDS) -> list[Reference]:
    article = f"---\n{front}\n---\n".encode()
    source = read_source(article)
    front_matter = find_front_matter(source.page)
    return list(find_in_front_matter(source, front_matter, fields)) if front_matter is not None else []


@pytest.mark.parametrize(
    ("article", "body"),
    [
        (b"---\na: b\n---\nrest", b"rest"),
        (b"\n  \n\r\n---\na: b\n---\nrest", b"rest"),
        (b"\xef\xbb\xbf---\na: b\n---\nrest", b"rest"),
        (b"--- \r\na: b\r\n---\t\r\nrest", b"rest"),
        (b"---\ra: b\r---\rrest", b"rest"),
        (b"---\na: b\n---", b""),
        (b"---\n\n# remark\na: b\n---\nrest", b"rest"),
        (b"---\n---\nrest", b"rest"),
        (b"---\n{a: b}\n---\nrest", b"rest"),
        (b"---\na: b\n --- \n---- \n---x\n---\nrest", b"rest"),
    ],
)
def test_the_body_begins_behind_the_second_line_of_dashes(article: bytes, body: bytes) -> None:
    front = find_front_matter(article)

    assert front is not None
    assert article[front.body :] == body


@pytest.mark.parametrize(
    "article",
    [
        b"", b"---", b"---\n", b"---\na: b\n", b"text\n---\na: b\n---\n", b" ---\na: b\n---\n", b"----\na: b\n---\n",
        b"---\nProse without a key.\n---\n", b"---\n\n- a list\n---\n", b"---\n<p>a: b</p\n---\n",
    ],
)  # fmt: skip
def test_what_is_no_front_matter_is_body(article: bytes) -> None:
    assert find_front_matter(article) is None


@pytest.mark.parametrize(
    ("front", "address", "syntax"),
    [
        ("cover: http://a/b", "http://a/b", Syntax.YAML_PLAIN),
        ("cover:   http://a/b  # remark", "http://a/b", Syntax.YAML_PLAIN),
        ("cover: http://a/b#c", "http://a/b#c", Syntax.YAML_PLAIN),
        ("cover: 'http://a/''b'''", "http://a/'b'", Syntax.YAML_SINGLE),
        ('cover: "http://a/b"', "http://a/b", Syntax.YAML_DOUBLE),
        ('cover: "http:\\/\\/a\\x2f\\u0062\\U00000063\\t"', "http://a/bc", Syntax.YAML_DOUBLE),
        ('cover: "http://a/\\\n  b"', "http://a/b", Syntax.YAML_DOUBLE),
        ("cover: 'http://a/\n  b'", "http://a/ b", Syntax.YAML_SINGLE),
        ("cover: |\n  http://a/b", "http://a/b", Syntax.YAML_BLOCK),
        ("cover: >-\n  http://a/b\n\n", "http://a/b", Syntax.YAML_BLOCK),
        ("cover: !!str &x 'http://a/b'", "http://a/b", Syntax.YAML_SINGLE),
        ("'cover': http://a/b", "http://a/b", Syntax.YAML_PLAIN),
        ("? cover\n: http://a/b", "http://a/b", Syntax.YAML_PLAIN),
        ("{x: [cover, y], cover: http://a/b}", "http://a/b", Syntax.YAML_PLAIN),
        ("? [cover, x]\n: y\ncover: http://a/b", "http://a/b", Syntax.YAML_PLAIN),
        ("x: *y\ncover: http://a/b", "http://a/b", Syntax.YAML_PLAIN),
        ("cover: 'http://a/&#123;b&#125;&amp;c&lt;'", "http://a/{b}&c&lt;", Syntax.YAML_SINGLE),
        ("x: 'it's'\ncover: 'http://a/b'", "http://a/b", Syntax.LINE),
        ("x: 'it's'\ncover: http://a/b # remark", "http://a/b", Syntax.LINE),
        ("x: 'it's'\ncover: \"http://a/b\" ", "http://a/b", Syntax.LINE),
        ("x: 'it's'\ncover: 'http://a/b", "http://a/b", Syntax.LINE),
        ("x: 'it's'\n\"cover\" : 'http://a/b'", "http://a/b", Syntax.LINE),
        ("x: @y\ncover: 'http://a/b'", "http://a/b", Syntax.LINE),
    ],
)
def test_a_field_is_read_in_each_notation(front: str, address: str, syntax: Syntax) -> None:
    (one,) = _found(front)

    assert (one.address, one.form) == (address, (syntax,))
    assert one.where == "front-matter:cover"


@pytest.mark.parametrize(
    "front",
    [
        "cover:", "cover: ''", "cover: ~", "cover: true", "cover: No", "cover: 12.5", "cover: '#fff'",
        "cover: data:image/png;base64,AA", "cover: [http://a/b]", "cover:\n  url: http://a/b", "cover:\n - http://a/b",
        "Cover: http://a/b", "x:\n  cover: http://a/b", "x: |\n  cover: http://a/b", "- cover: http://a/b",
        "cover: *x", "# cover: http://a/b", "x: cover", "x: 'it's'\ncover: [http://a/b]", "x: 'it's'\n cover: http://a/b",
        "uncover: http://a/b", "cover2: http://a/b", "cover:http://a/b",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_top_level_field_is_left_alone(front: str) -> None:
    assert _found("a: b\n" + front) == []


def test_what_a_field_gets_is_the_callers_choice() -> None:
    found = _found("thumbnail: http://a/1\n封面: http://a/2", fields={"封面": Wants.THUMBNAIL})

    assert [(one.address, one.wants, one.where) for one in found] == [
        ("http://a/2", Wants.THUMBNAIL, "front-matter:封面")
    ]


scalars = st.one_of(
    st.text(alphabet="abz/.:# -'\"\\[{&*!|>%@`?,\t~0é中", max_size=12),
    st.sampled_from(
        [
            "http://a/b",
            "'http://a/b'",
            '"http://a/b"',
            "'it''s'",
            "Fri, 1 Mar 2024 10:00",
            "",
            "''",
            "| ",
            ">",
        ]
    ),
)
lines = st.one_of(
    st.tuples(st.sampled_from(["cover", "thumbnail", "x", "'cover'", "标题", "a b"]), st.sampled_from([": ", ":", ":  ", ":\t"]), scalars).map("".join),
    scalars.map(" - {}".format),
    scalars.map("- {}".format),
    scalars.map("  {}".format),
    st.sampled_from(["", "# remark", " ", "..."]),
)  # fmt: skip


@given(st.lists(lines, max_size=6).map("\n".join))
def test_fields_are_what_a_yaml_parser_reads(front: str) -> None:
    """Where it is YAML at all; the short cut for simple lines must not be seen."""
    try:
        documents = list(yaml.load_all(front, Loader=yaml.CBaseLoader))
    except (yaml.YAMLError, ValueError):
        return
    if len(documents) != 1 or not isinstance(documents[0], dict):
        return

    for one in _found("a: b\n" + front):
        value = documents[0][one.where.removeprefix("front-matter:")]
        values = [value] if isinstance(value, str) else []
        assert (
            one.address in [text.strip(" \t\r\n").replace("&amp;", "&") for text in values]
            or front.count(one.where.removeprefix("front-matter:")) > 1
        )


@pytest.mark.parametrize(
    "bomb",
    [
        "x: " + "[" * 100_000,
        "x: " + "{" * 100_000,
        "x:\n" + "- " * 30_000,
        "x:\n" + "? " * 30_000,
        "[" * 30 + "]" * 30,
        "x: [" * 40 + "]" * 40,
        "a: &a [x,x]\n" + "".join(f"b{n}: &b{n} [*a,*a,*a]\n" for n in range(3000)),
        "x: '" * 20_000,
        "a: b\n" * 20_000,
        "<<: *x\n" * 10_000,
        "%YAML 1.1\n" * 1000,
        "\t" * 50_000,
        "x: " + "&a " * 20_000,
        "x: 'it's'\n" + "cover: '" * 20_000,
        "x: " + "''" * 30_000,
        "x: " + "a " * 30_000 + ":",
        "x:\n" + " - a\n" * 10_000 + "  - b: c: d",
    ],
)
def test_hostile_front_matter_is_read_line_by_line(bomb: str) -> None:
    found = _found(f"cover: 'http://a/b'\n{bomb}")

    assert [one.address for one in found if one.address == "http://a/b"] == ["http://a/b"]
