"""A srcset is split as the HTML standard splits it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.text.srcset import candidates


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        ("", []),
        (" , ,", []),
        ("a.jpg", ["a.jpg"]),
        ("a.jpg 1x, b.jpg 2x", ["a.jpg", "b.jpg"]),
        ("a.jpg, b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg,b.jpg", ["a.jpg,b.jpg"]),
        ("w_800,h_600/a.jpg 800w,b.jpg 2x", ["w_800,h_600/a.jpg", "b.jpg"]),
        ("a.jpg,, b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg 1x(,) 2w, b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg (unclosed, b.jpg", ["a.jpg"]),
        ("\n a.jpg\t1x\f,\nb.jpg", ["a.jpg", "b.jpg"]),
        (",a.jpg", ["a.jpg"]),
        ("data:image/png;base64,AA== 1x, b.jpg 2x", ["data:image/png;base64,AA==", "b.jpg"]),
    ],
)
def test_the_urls_are_found(value: str, urls: list[str]) -> None:
    assert [value[start:end] for start, end in candidates(value)] == urls


@given(st.text(alphabet="ab,( )\n1x", max_size=60))
def test_urls_are_apart_not_empty_and_hold_no_blank(value: str) -> None:
    done = 0
    for start, end in candidates(value):
        assert done <= start < end
        assert not any(char.isspace() for char in value[start:end])
        assert value[start] != ","
        assert value[end - 1] != ","
        done = end
