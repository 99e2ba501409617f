"""Front matter: where it stands, and its fields, valid YAML or not."""

import json
import tomllib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.text.encoding import read_source
from mediasvc.core.text.front_matter.fields import parse_field
from mediasvc.core.text.front_matter.formats import fields_present, find_front_matter, find_in_front_matter
from mediasvc.core.text.reference import Reference, Syntax, Wants

FIELDS = {"cover": Wants.ORIGINAL, "thumbnail": Wants.THUMBNAIL}


def _found(front: str, *, fields: dict[str, Wants] = FIELDS) -> list[Reference]:
    return _found_in(f"---\n{front}\n---\n", fields)


def _found_in(text: str, fields: dict[str, Wants]) -> list[Reference]:
    article = text.encode()
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
        (b"---\na: b\n...\nrest\n---\n", b"rest\n---\n"),
        (b"\n+++\na = 1\n+++ \r\nrest", b"rest"),
        (b"+++\n+++", b""),
        (b'{"a": "}", "b": {"c": "\\"}"}}\n\nrest', b"\nrest"),
        (b"\xef\xbb\xbf{\n}\nrest", b"rest"),
    ],
)
def test_the_body_begins_behind_the_second_line_of_dashes(article: bytes, body: bytes) -> None:
    front = find_front_matter(article)

    assert front is not None
    assert article[front.body :] == body


@pytest.mark.parametrize(
    "article",
    [
        b"", b"---", b"---\n", b"---\na: b\n", b"text\n---\na: b\n---\n", b" ---\na: b\n---\n", b"----\na: b\n---\n",  # noqa: E501
        b"---\nProse without a key.\n---\n", b"---\n\n- a list\n---\n", b"---\n<p>a: b</p\n---\n",
        b"+++\na = 1\n", b"a\n+++\na = 1\n+++\n", b"{% img http://a/b %}\n", b"{{< figure >}}\n", b'{"a": 1} text\n', b'{"a": 1\n', b"{/* x */}\n",  # noqa: E501
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


NESTED = {
    "cover.image": Wants.ORIGINAL,
    "images[]": Wants.ORIGINAL,
    "gallery[].url": Wants.THUMBNAIL,
    "resources[].params.src": Wants.ORIGINAL,
    "x": Wants.ORIGINAL,
}
A, B, C, D = "http://a/1", "http://a/2?x=1,2", "http://a/3", "http://a/4"


@pytest.mark.parametrize(
    ("article", "found"),
    [
        (f"---\ncover:\n  image: {A}\n  alt: x\n---\n", {"cover.image": [A]}),
        (f"---\ncover: {{alt: '', image: '{A}'}}\n---\n", {"cover.image": [A]}),
        (f"---\nimages:\n- {A}\n- '{B}'\nx: {C}\n---\n", {"images[]": [A, B], "x": [C]}),
        (f'---\nimages: ["{A}", {C}]\n---\n', {"images[]": [A, C]}),
        (f"---\ngallery:\n  - url: {A}\n    alt: x\n  - alt: y\n    url: {B}\n---\n", {"gallery[].url": [A, B]}),  # noqa: E501
        (f"---\nresources:\n- params: {{src: {A}}}\n- params:\n    src: {C}\n---\n", {"resources[].params.src": [A, C]}),  # noqa: E501
        (f"---\nimages:\n  - >-\n    {A}\n    {B}\n    \"title\"\n  - {C} {D} a title\n---\n", {"images[]": [A, B, C, D]}),  # noqa: E501
        (f"---\nimages:\n- '{A} {B} x'\n- [{C}]\n---\n", {"images[]": [A, B]}),
        (f"---\nt: 'it's'\ncover:\n  image: {A}\nimages:\n- {B}\n- '{C}'\nx: {D}\n---\n",
         {"cover.image": [A], "images[]": [B, C], "x": [D]}),
        (f"---\nt: 'it's'\ngallery:\n  - alt: x\n    url: {A}\n  - url: {B}\nresources:\n  - params:\n      src: {C}\n---\n",  # noqa: E501
         {"gallery[].url": [A, B], "resources[].params.src": [C]}),
        (f"---\ny:\n  images:\n    - {A}\n  cover:\n    image: {A}\nimages:\n  y: {A}\ncover: {A}\n---\n", {}),  # noqa: E501
        (f'+++\nx = "{A}"\n[cover]\nimage = \'{B}\'\n+++\n', {"x": [A], "cover.image": [B]}),
        (f'+++\ncover.image = "{A}" # x\nimages = [ # y\n  "{B}",\n  \'{C}\',\n]\n+++\n', {"cover.image": [A], "images[]": [B, C]}),  # noqa: E501
        (f'+++\ncover = {{ alt = "x", "image" = "{A}" }}\n[[gallery]]\nurl = """{B}"""\n[[gallery]]\nalt="y"\nurl=\'\'\'{C}\'\'\'\n+++\n',  # noqa: E501
         {"cover.image": [A], "gallery[].url": [B, C]}),
        (f'+++\n[[resources]]\nn = 1979-05-27 07:32:00Z\n[resources.params]\nsrc = "{A}"\n[y]\nx = "{B}"\n+++\n', {}),  # noqa: E501
        (f'+++\nbroken = = "\nx = "http:\\u002f/a/1"\nimages = [[1, "{B}"], "{C}"]\n+++\n', {"x": [A], "images[]": [C]}),  # noqa: E501
        (f'{{"x": "{A}", "cover": {{"y": [{{"image": "no"}}], "image": "http:\\/\\/a\\/1"}}, "images": ["{B}", ["no"], 1, "{C}"]}}\n',  # noqa: E501
         {"x": [A], "cover.image": [A], "images[]": [B, C]}),
        (f'{{\n"gallery": [\n{{"url": "{A}"}}, {{"alt": {{"url": "no"}}, "url": "{B}"}}]\n}}\ntext', {"gallery[].url": [A, B]}),  # noqa: E501
    ],
)  # fmt: skip
def test_fields_below_others_are_found_in_each_format(article: str, found: dict[str, list[str]]) -> None:
    seen: dict[str, list[str]] = {}
    for one in sorted(_found_in(article, NESTED)):
        seen.setdefault(one.where.removeprefix("front-matter:"), []).append(one.address)

    assert seen == found


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("cover", ("cover",)),
        ("images[]", ("images", "[]")),
        ("a.b-c[].d e[][]", ("a", "b-c", "[]", "d e", "[]", "[]")),
        ('"og.image".url', ("og.image", "url")),
        ("封面", ("封面",)),
    ],
)
def test_the_name_of_a_field_is_read_in_steps(name: str, steps: tuple[str, ...]) -> None:
    assert parse_field(name) == steps


@pytest.mark.parametrize(
    "name", ["", ".", "a.", ".a", "a..b", "[]", "a[", "a[0]", "a]b", "a[]b", " a", "a ", 'a"b', '"a']
)
def test_a_name_that_is_no_field_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a field"):
        parse_field(name)


def test_the_fields_of_an_article_are_known_whatever_they_hold() -> None:
    source = read_source(b"---\ncover: 12\nphotos: [a]\n---\n")

    assert fields_present(source, ("cover", "photos", "photos[]", "banner")) == {"cover", "photos[]"}


toml_values = st.one_of(
    st.sampled_from(["http://a/b", "it's", 'a"b', "a\\b", "é中", ""]).map(json.dumps),
    st.sampled_from(
        ["'http://a/b'", '"""http://a/b"""', "'''http://a/b'''", "1", "1.5", "true", "1979-05-27", "07:32:00"]
    ),
)
toml_trees = st.recursive(
    toml_values,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, max_size=2).map(lambda items: "[ # x\n" + ",\n".join(items) + "\n]"),
        st.lists(st.tuples(st.sampled_from(["image", "url", "x"]), inner), max_size=2, unique_by=lambda pair: pair[0]).map(  # noqa: E501
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=6,
)  # fmt: skip
toml_lines = st.one_of(
    st.tuples(st.sampled_from(["cover", "images", "gallery", "x", '"cover"', "cover.image", "a.b"]), st.sampled_from([" = ", "="]), toml_trees).map("".join),  # noqa: E501
    st.sampled_from(["[cover]", "[[gallery]]", "[ a . b ]", "# x = 'y'", "", "[gallery.x]"]),
)  # fmt: skip


@given(st.lists(toml_lines, max_size=6).map("\n".join))
def test_fields_are_what_a_toml_parser_reads(front: str) -> None:
    try:
        document = tomllib.loads(front)
    except tomllib.TOMLDecodeError:
        return

    found = _found_in(f"+++\n{front}\n+++\n", NESTED)

    assert sorted((one.where, one.address) for one in found) == sorted(_addresses(document))


def _addresses(document: object) -> list[tuple[str, str]]:
    """What the fields of NESTED hold, by a walk over the parsed document."""
    values = []
    for name in NESTED:
        nodes = [document]
        for step in parse_field(name):
            if step == "[]":
                nodes = [item for node in nodes if isinstance(node, list) for item in node]
            else:
                nodes = [node[step] for node in nodes if isinstance(node, dict) and step in node]
        values += [(f"front-matter:{name}", node) for node in nodes if isinstance(node, str) and node]
    return values


json_values = st.recursive(
    st.sampled_from(["http://a/b", "it's", 'a"\\}b', "é中\U0001f4f7", "\t/"]) | st.integers() | st.booleans() | st.none(),  # noqa: E501
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["cover", "image", "images", "gallery", "url", "x", "}"]), inner, max_size=3),  # noqa: E501
    max_leaves=8,
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(["cover", "images", "gallery", "x", "{"]), json_values),
    st.sampled_from([None, 1]),
)
def test_fields_are_what_a_json_parser_reads(document: dict[str, object], indent: int | None) -> None:
    found = _found_in(json.dumps(document, indent=indent) + "\nrest", NESTED)

    expected = [(where, value.strip(" \t\r\n")) for where, value in _addresses(document)]
    assert sorted((one.where, one.address) for one in found) == sorted(expected)


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
    st.tuples(st.sampled_from(["cover", "thumbnail", "x", "'cover'", "标题", "a b"]), st.sampled_from([": ", ":", ":  ", ":\t"]), scalars).map("".join),  # noqa: E501
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
