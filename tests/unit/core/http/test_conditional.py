"""Conditional and range requests to ourselves, as tables."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.http.conditional import ByteRange, Unsatisfiable, not_modified, parse_range, range_applies

ETAG = '"abc"'
MODIFIED = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
SAME = "Sun, 01 Mar 2026 12:00:00 GMT"
EARLIER = "Sun, 01 Mar 2026 11:59:59 GMT"
LATER = "Sun, 01 Mar 2026 12:00:01 GMT"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ('"x","abc" , "y"', True),
        (',, "abc",,', True),
        ('"a,b", "abc"', True),
        ("*", True),
        (" * ", True),
        ('"x"', False),
        ('"x,\\"abc\\""', False),
        ("abc", False),
        ('"abc', False),
        ('w/"abc"', False),
        ('"ABC"', False),
        ('"x" "abc"', False),
        ("", False),
        ('"a,"abc"', False),
        (" " * 8000 + "x", False),
        ('"' * 8000, False),
        ('"abc"' + ", " * 9000, False),
    ],
)
def test_if_none_match_is_compared_weakly_over_the_whole_list(field: str, expected: bool) -> None:
    assert not_modified({"if-none-match": field}, ETAG, MODIFIED) is expected


def test_a_weak_tag_of_ours_matches_too() -> None:
    assert not_modified({"if-none-match": ETAG}, f"W/{ETAG}", None)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (SAME, True),
        (LATER, True),
        (EARLIER, False),
        ("Sunday, 01-Mar-26 12:00:00 GMT", True),
        ("Sun Mar  1 12:00:00 2026", True),
        ("lately", False),
        ("", False),
        ("Sun, 01 Mar 0000 12:00:00 GMT", False),
        ("9" * 100, False),
        ("Sun, 99 Mar 2026 12:00:00 GMT", False),
    ],
)
def test_a_date_counts_to_the_second(field: str, expected: bool) -> None:
    assert not_modified({"if-modified-since": field}, ETAG, MODIFIED) is expected


def test_a_date_is_not_heard_beside_a_tag_or_where_we_have_none() -> None:
    assert not not_modified({"if-none-match": '"x"', "if-modified-since": LATER}, ETAG, MODIFIED)
    assert not not_modified({"if-modified-since": LATER}, ETAG, None)
    assert not not_modified({}, ETAG, MODIFIED)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-9", ByteRange(0, 10, 100)),
        ("BYTES=0-9", ByteRange(0, 10, 100)),
        ("bytes= 0-9 ", ByteRange(0, 10, 100)),
        ("bytes=0-0", ByteRange(0, 1, 100)),
        ("bytes=90-", ByteRange(90, 100, 100)),
        ("bytes=90-999", ByteRange(90, 100, 100)),
        ("bytes=-10", ByteRange(90, 100, 100)),
        ("bytes=-999", ByteRange(0, 100, 100)),
        ("bytes=99-99", ByteRange(99, 100, 100)),
        ("bytes=100-", Unsatisfiable(100)),
        ("bytes=100-200", Unsatisfiable(100)),
        ("bytes=-0", Unsatisfiable(100)),
        ("bytes=9-0", None),
        ("bytes=0-9,20-29", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes", None),
        ("bytes=a-b", None),
        ("bytes=0-9-", None),
        ("bytes=+0-9", None),
        ("bytes=٠-٩", None),
        ("bytes=0-" + "9" * 5000, None),
        ("items=0-9", None),
        ("", None),
        (None, None),
    ],
)
def test_one_range_is_heard_and_all_else_passed_over(
    field: str | None, expected: ByteRange | Unsatisfiable | None
) -> None:
    assert parse_range(field, 100) == expected


def test_an_empty_reply_has_no_range() -> None:
    assert parse_range("bytes=0-", 0) == Unsatisfiable(0)
    assert parse_range("bytes=-5", 0) == Unsatisfiable(0)


def test_the_reply_says_which_part_it_is() -> None:
    assert ByteRange(0, 10, 100).content_range == "bytes 0-9/100"
    assert Unsatisfiable(100).content_range == "bytes */100"


@given(st.text(max_size=60), st.integers(0, 1000))
def test_a_range_is_never_empty_nor_outside(text: str, length: int) -> None:
    found = parse_range("bytes=" + text, length)

    assert not isinstance(found, ByteRange) or 0 <= found.start < found.stop <= length


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, True),
        (ETAG, True),
        ('"x"', False),
        (f"W/{ETAG}", False),
        (SAME, True),
        (EARLIER, False),
        (LATER, False),
        ("abc", False),
        ("", False),
    ],
)
def test_a_range_is_only_heard_for_the_very_same_reply(field: str | None, expected: bool) -> None:
    request = {} if field is None else {"if-range": field}

    assert range_applies(request, ETAG, MODIFIED) is expected


def test_a_weak_tag_of_ours_never_fits_a_range() -> None:
    assert not range_applies({"if-range": f"W/{ETAG}"}, f"W/{ETAG}", MODIFIED)
    assert not range_applies({"if-range": SAME}, ETAG, None)
