"""Heads of replies, put in order for a strict parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.http import reply_head
from mediasvc.errors import SourceFailed

OK = "HTTP/1.1 200 OK"


def head(*lines: str, end: str = "\r\n") -> bytes:
    return end.join((*lines, "", "")).encode("latin-1")


@pytest.mark.parametrize(
    "lines",
    [
        (OK,),
        ("HTTP/1.0 404",),
        (OK, "Content-Length: 5", 'ETag: "a"', "X:"),
        (OK, "Transfer-Encoding: chunked", "Set-Cookie: a", "Set-Cookie: b"),
    ],
)
def test_a_head_in_order_stays_as_it_is(lines: tuple[str, ...]) -> None:
    assert reply_head.in_order(head(*lines)) == head(*lines)


@pytest.mark.parametrize(
    ("lines", "ordered"),
    [
        (("Content-Length: 5", "Content-Length: 5"), ("Content-Length: 5",)),
        (("Content-Length: 5, 5", "A: b"), ("A: b", "Content-Length: 5")),
        (("Content-Length: 5", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked",)),
        (("content-length: 5", "Transfer-Encoding: gzip, Chunked"), ("Transfer-Encoding: gzip, Chunked",)),
        (("Content-Length: 5", "Content-Length: 6"), ("Content-Length: 5", "Content-Length: 6")),
        (("Content-Length: 5, 6",), ("Content-Length: 5, 6",)),
        (("no field", "A: b"), ("A: b",)),
        (("no field", " folded behind it", "A: b"), ("A: b",)),
        (("A: b", " c", "\td"), ("A: b c d",)),
        (("A : b", ": c", "Ä: d"), ("A: b",)),
        (("A: b\rc", "D: e"), ("D: e",)),
        (("Connection: keep-alive", "no field"), ()),
    ],
)
def test_what_browsers_pass_over_goes_and_the_connection_closes(
    lines: tuple[str, ...], ordered: tuple[str, ...]
) -> None:
    assert reply_head.in_order(head(OK, *lines)) == head(OK, *ordered, "Connection: close")


def test_lines_may_end_with_a_bare_line_feed() -> None:
    assert reply_head.in_order(head(OK, "A: b", end="\n")) == head(OK, "A: b", "Connection: close")


@pytest.mark.parametrize(
    "lines", [("SSH-2.0", "x"), ("HTTP/2 200", "x"), (OK, "A: b\0", "x"), ("HTTP/1.1 2 OK", "x")]
)
def test_what_no_browser_takes_is_left_for_the_parser_to_refuse(lines: tuple[str, ...]) -> None:
    assert reply_head.in_order(head(*lines)) == head(*lines)


@pytest.mark.parametrize("bad", [(), ("no field",)])
def test_fields_are_bounded_in_number_and_size(bad: tuple[str, ...]) -> None:
    largest = "A: " + "x" * reply_head.MAX_FIELD_BYTES
    most = [f"A{number}: b" for number in range(reply_head.MAX_FIELDS - len(bad))]

    assert reply_head.in_order(head(OK, largest, *bad))
    assert reply_head.in_order(head(OK, *most, *bad))
    for lines in ([largest + "x" * 300], [*most, "One: more"]):
        with pytest.raises(SourceFailed):
            reply_head.in_order(head(OK, *lines, *bad))


@given(st.lists(st.text(alphabet="aA:, \t\r\n\0é5", max_size=20), max_size=6))
def test_a_changed_head_is_in_order_and_stays_so(lines: list[str]) -> None:
    whole = head(OK, *lines)
    end = reply_head.find_end(whole, 0)
    assert end is not None

    once = reply_head.in_order(whole[:end])

    assert once == whole[:end] or once.endswith(b"\r\nConnection: close\r\n\r\n")
    assert reply_head.find_end(once, 0) == len(once)


@pytest.mark.parametrize("cut", range(1, 19))
def test_the_end_is_found_however_a_head_arrives(cut: int) -> None:
    whole = b"HTTP/1.1 200\r\nA: b\r\n\r\nbody"

    assert reply_head.find_end(whole[:cut], 0) is None
    assert reply_head.find_end(whole, cut) == len(whole) - 4


@pytest.mark.parametrize(("status", "more"), [("100", True), ("103", True), ("101", False), ("200", False)])
def test_only_interim_replies_are_followed_by_another(status: str, more: bool) -> None:
    assert reply_head.is_interim(head(f"HTTP/1.1 {status} X")) is more
