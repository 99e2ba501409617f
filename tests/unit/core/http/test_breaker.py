"""A host that is down is left alone, and tried again by itself; told by the clock alone."""

import pytest

from mediasvc.core.http.breaker import BreakerRules, Circuits

RULES = BreakerRules(failures=3, window_s=60, first_s=5, longest_s=20, hosts=100)


def _opened(at: float = 0.0) -> Circuits:
    circuits = Circuits(RULES)
    for _ in range(3):
        circuits.failed("a", at)
    return circuits


def test_a_host_that_never_failed_is_let_through() -> None:
    assert Circuits(RULES).retry_after_s("a", 0) is None


def test_failures_in_a_row_open_the_circuit_and_the_last_one_says_so() -> None:
    circuits = Circuits(RULES)

    assert [circuits.failed("a", second) for second in (0, 1, 2)] == [False, False, True]
    assert circuits.retry_after_s("a", 3) == 4
    assert circuits.left_alone_s("a", 3) == 4
    assert circuits.retry_after_s("b", 3) is None


def test_an_answer_in_between_begins_the_count_anew() -> None:
    circuits = Circuits(RULES)
    for _ in range(2):
        circuits.failed("a", 0)

    circuits.answered("a")

    assert [circuits.failed("a", 1), circuits.failed("a", 1)] == [False, False]


def test_failures_far_apart_do_not_add_up() -> None:
    circuits = Circuits(RULES)

    assert [circuits.failed("a", second) for second in (0, 61, 122, 183)] == [False] * 4


def test_when_its_time_is_over_one_fetch_tries_and_the_others_wait() -> None:
    circuits = _opened()

    assert circuits.left_alone_s("a", 5) is None
    assert circuits.retry_after_s("a", 5) is None
    assert circuits.retry_after_s("a", 5) == 1
    assert circuits.left_alone_s("a", 5) == 1


def test_a_try_that_succeeds_closes_the_circuit() -> None:
    circuits = _opened()
    circuits.retry_after_s("a", 5)

    circuits.answered("a")

    assert [circuits.retry_after_s("a", 5) for _ in range(3)] == [None] * 3
    assert circuits.failed("a", 6) is False


def test_a_try_that_fails_opens_it_for_twice_as_long_up_to_a_bound() -> None:
    circuits = _opened()
    now, waits = 5.0, []
    for _ in range(4):
        assert circuits.retry_after_s("a", now) is None
        assert circuits.failed("a", now)
        waits.append(circuits.retry_after_s("a", now))
        now += waits[-1] or 0

    assert waits == [10, 20, 20, 20]


def test_a_try_that_is_never_heard_of_again_does_not_close_the_host_for_ever() -> None:
    circuits = _opened()
    circuits.retry_after_s("a", 5)

    assert circuits.retry_after_s("a", 9.9) is not None
    assert circuits.retry_after_s("a", 10.0) is None


def test_those_that_were_on_their_way_do_not_make_it_longer() -> None:
    circuits = _opened()

    assert circuits.failed("a", 1) is False
    assert circuits.retry_after_s("a", 1) == 4


@pytest.mark.parametrize(("asked_s", "left_alone_s"), [(0, 5), (12, 12), (3600, 20)])
def test_a_host_that_asks_for_more_time_gets_it_within_bounds(asked_s: float, left_alone_s: float) -> None:
    circuits = Circuits(RULES)
    for _ in range(3):
        circuits.failed("a", 0, asked_s)

    assert circuits.retry_after_s("a", 0) == left_alone_s


def test_only_so_many_hosts_are_remembered() -> None:
    circuits = Circuits(BreakerRules(failures=1, hosts=2))
    for host in "abc":
        circuits.failed(host, 0)

    assert [circuits.left_alone_s(host, 1) is not None for host in "abc"] == [False, True, True]
