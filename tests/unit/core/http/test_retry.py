"""What is tried again, and when."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc import errors
from mediasvc.core.http import retry
from mediasvc.core.http.retry import (
    Backoff,
    host_is_down,
    is_worth_retrying,
    parse_date,
    retry_after_s,
    status_is_temporary,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
PASSING = errors.SourceFailed("x", reason=retry.RESET)


@pytest.mark.parametrize(
    ("reason", "passes", "down"),
    [
        (retry.CONNECT, True, True),
        (retry.NAME, False, True),
        (retry.NAME_FOR_NOW, True, True),
        (retry.TLS, False, True),
        (retry.CERTIFICATE, False, False),
        (retry.RESET, True, True),
        (retry.TRUNCATED, True, False),
        (retry.PROTOCOL, False, False),
        (retry.STATUS, False, False),
        (retry.STATUS_FOR_NOW, True, False),
        (retry.BUSY, True, True),
        (retry.DEADLINE, False, False),
        (retry.HEAD_DEADLINE, False, True),
        (retry.CONNECT_DEADLINE, True, True),
        (retry.SPEED, True, False),
        (retry.REDIRECTS, False, False),
        (retry.CODING, False, False),
        (retry.STAND_IN, False, False),
        (retry.CIRCUIT, False, False),
        ("", False, False),
    ],
)
def test_each_reason_says_whether_it_may_pass_and_whether_the_host_is_down(
    reason: str, passes: bool, down: bool
) -> None:
    for kind in (errors.SourceFailed, errors.SourceTimeout):
        assert is_worth_retrying(kind("x", reason=reason)) is passes
        assert host_is_down(kind("x", reason=reason)) is down


@pytest.mark.parametrize(
    "error",
    [
        errors.SourceMissing("x", reason=retry.RESET),
        errors.SourceRefused("x", reason=retry.RESET),
        errors.SourceTooLarge("x", reason=retry.RESET),
        errors.Overloaded("x", reason=retry.RESET),
        errors.StoreFailed("x", reason=retry.RESET),
    ],
)
def test_other_errors_never_pass(error: errors.MediaError) -> None:
    assert not is_worth_retrying(error)
    assert not host_is_down(error)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 520, 522, 524, 530, 599])
def test_statuses_that_may_pass(status: int) -> None:
    assert status_is_temporary(status)


@pytest.mark.parametrize(
    "status", [200, 204, 302, 400, 401, 403, 404, 410, 418, 451, 501, 505, 511, 600, 999]
)
def test_statuses_that_will_not_pass(status: int) -> None:
    assert not status_is_temporary(status)


@pytest.mark.parametrize(
    ("tries_made", "chance", "wait_s"),
    [
        (1, 0.0, 0.125),
        (1, 1.0, 0.25),
        (2, 1.0, 0.5),
        (3, 1.0, 1.0),
        (9, 1.0, 5.0),
        (9, 0.0, 2.5),
        (10, 1.0, None),
    ],
)
def test_waits_double_up_to_a_bound_and_are_spread(
    tries_made: int, chance: float, wait_s: float | None
) -> None:
    assert Backoff(retries=9).wait_s(tries_made, PASSING, remaining_s=60, chance=chance) == wait_s


def test_no_retries_means_one_try() -> None:
    assert Backoff(retries=0).wait_s(1, PASSING, remaining_s=60, chance=0) is None


@pytest.mark.parametrize(
    ("asked_s", "remaining_s", "wait_s"),
    [(3, 60, 3.0), (0, 60, 0.125), (60, 60, None), (59, 60, 59.0), (None, 0.125, None), (None, 0.13, 0.125)],
)
def test_retry_after_is_waited_for_in_full_or_not_at_all(
    asked_s: int | None, remaining_s: float, wait_s: float | None
) -> None:
    error = errors.SourceFailed("x", reason=retry.BUSY, retry_after_s=asked_s)

    assert Backoff().wait_s(1, error, remaining_s=remaining_s, chance=0.0) == wait_s


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("9" * 50, 86_400),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 13:02:00 +0100", 120),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Fri, 01 Mar 2126 11:00:00 GMT", 86_400),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: int | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@given(st.text(max_size=80))
def test_no_text_whatever_raises(text: str) -> None:
    moment = parse_date(text)

    assert moment is None or moment.tzinfo is not None
    assert (retry_after_s(text, NOW) or 0) >= 0


@pytest.mark.parametrize(
    "text",
    ["Fri, 31 Dec 9999 23:59:59 -2359", "Sun, 01 Mar 2026 25:00:00 GMT"],
)
def test_dates_at_the_ends_of_time_are_unreadable(text: str) -> None:
    assert parse_date(text) is None
