"""Character references in attribute values, against html5lib."""

from html.entities import html5

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.text.entities import Unescaped, unescape_attribute

NAMES = sorted({name.rstrip(";") for name in html5})
pieces = st.one_of(
    st.sampled_from(["&", "&amp;", "&amp", "&copy", "&copy=", "&notit;", "&notin;", "&#38;", "&#x26", "&#128;", "&#0;", "&#xD800;", "&#99999999999;", "&#;", "&#x;", "a", "=", ";", " ", "é", "1", "&lt", "&NotEqualTilde;"]),  # noqa: E501
    st.sampled_from(NAMES).map("&{}".format),
    st.sampled_from(NAMES).map("&{};".format),
)  # fmt: skip
values = st.lists(pieces, max_size=8).map("".join)


def _oracle(value: str) -> str:
    tree = html5lib.parseFragment(f'<p title="{value}">', treebuilder="etree", namespaceHTMLElements=False)
    return str(tree.find("p").get("title"))


@given(values)
def test_values_are_decoded_as_html5lib_decodes_them(value: str) -> None:
    assert unescape_attribute(value) == _oracle(value)


def test_a_url_with_parameters_keeps_its_ampersands() -> None:
    assert unescape_attribute("x?a=1&b=2&copy=3&amp;d=4&region&lt") == "x?a=1&b=2&copy=3&d=4&region<"


@given(values)
def test_offsets_lead_back_to_what_was_written(value: str) -> None:
    unescaped = Unescaped(value)

    assert len(unescaped.text) == len(unescape_attribute(value))
    assert unescaped.written(len(unescaped.text)) == len(value)
    positions = [unescaped.written(index) for index in range(len(unescaped.text) + 1)]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("value", "index", "written"),
    [
        ("a&amp;b", 1, 1),
        ("a&amp;b", 2, 6),
        ("&quot;x&quot;", 1, 6),
        ("&quot;x&quot;", 2, 7),
        ("&&amp;", 1, 1),
    ],
)
def test_an_offset_inside_a_reference_is_its_start(value: str, index: int, written: int) -> None:
    assert Unescaped(value).written(index) == written
