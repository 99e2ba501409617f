"""The short way: it answers whole plain requests for ready replies, and leaves all else to the long way."""

import re
import time

import pytest
from prometheus_client import CollectorRegistry, Histogram

from mediasvc.core.records.cache_news import Tally
from mediasvc.server.http import fast_path
from mediasvc.server.http.fast_path import FastPath, RequestIds
from mediasvc.server.http.memory import Memory
from mediasvc.server.http.representation import Freshness, ReadyReply, Representation

ETAG = '"abc"'


@pytest.fixture
def hits() -> FastPath:
    memory = Memory(1_000_000)
    expires_at = time.time() + 60
    fresh = Freshness(expires_at, expires_at, expires_at)
    for target in (b"/img/unsafe/original/x", b"/assets/x.png", b"/v1/image?url=x"):
        memory.put(
            target,
            None,
            ReadyReply(Representation(ETAG, "image/png", "x.png", 0, fresh), b"bytes", "", expires_at),
            0,
        )
    return FastPath(memory, RequestIds(), Tally())


def request(*lines: str, target: str = "/img/unsafe/original/x") -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: a.example", *lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize("target", ["/img/unsafe/original/x", "/assets/x.png", "/v1/image?url=x"])
def test_a_ready_reply_is_sent_whole(hits: FastPath, target: str) -> None:
    reply = hits.answer(request("Accept: image/webp", "User-Agent: x", target=target))

    assert reply is not None
    head, body = reply
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert b"\r\nX-Cache: HIT\r\n" in head
    assert body == b"bytes"


def test_a_client_that_holds_it_gets_304(hits: FastPath) -> None:
    reply = hits.answer(request(f"If-None-Match: {ETAG}", "If-Modified-Since: Mon, 06 Jan 2025 08:00:00 GMT"))

    assert reply is not None
    assert reply[0].startswith(b"HTTP/1.1 304 Not Modified\r\n")
    assert reply[1] == b""


def test_the_clients_request_id_is_kept_if_it_is_plain(hits: FastPath) -> None:
    kept = hits.answer(request("X-Request-ID: Abc_1-9"))
    replaced = hits.answer(request("X-Request-ID: a b"))
    other = hits.answer(request(f"X-Request-ID: {'a' * 65}"))

    assert kept is not None
    assert replaced is not None
    assert other is not None
    assert kept[0].endswith(b"\r\nX-Request-ID: Abc_1-9\r\n\r\n")
    assert re.search(rb"\r\nX-Request-ID: [0-9a-f]{12}-[0-9a-f]{6}\r\n\r\n\Z", replaced[0])
    assert replaced[0] != other[0]


@pytest.mark.parametrize(
    "line",
    [
        "Range: bytes=0-1", "If-Range: x", "If-Match: *", "If-None-Match: *", 'If-None-Match: W/"abc"',
        'If-None-Match: "other"', 'If-None-Match: "a", "abc"', "If-Modified-Since: Mon, 06 Jan 2025 08:00:00 GMT",  # noqa: E501
        "If-Unmodified-Since: Mon, 06 Jan 2025 08:00:00 GMT", "Connection: close", "Connection: upgrade",
        "Content-Length: 0", "Transfer-Encoding: chunked", "Expect: 100-continue", "Upgrade: h2c", "Host: b.example",  # noqa: E501
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", " folded: x", "no colon", "a b: c",  # noqa: E501
        "x: \x00", "x: \x7f", "", "x: a\nb: c",
    ],
)  # fmt: skip
def test_what_is_not_plain_goes_the_long_way(hits: FastPath, line: str) -> None:
    assert hits.answer(request(line)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /img/unsafe/original/x HTTP/1.1\r\nHost: a\r\n",
        b"GET /img/unsafe/original/x HTTP/1.1\r\n\r\n",
        b"GET /img/unsafe/original/x HTTP/1.1\r\nAccept: */*\r\n\r\n",
        b"GET /img/unsafe/original/x HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET /img/unsafe/original/x HTTP/1.1\nHost: a\n\n",
        b"HEAD /img/unsafe/original/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  /img/unsafe/original/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /img/unsafe/original/y HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /img/unsafe/original/x HTTP/1.1\r\nHost: a\r\n\r\nGET",
        b"GET /img/unsafe/original/x HTTP/1.1\r\nHost: a\r\n\r\n" * 2,
        b"\r\nGET /img/unsafe/original/x HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_only_one_whole_request_is_answered(hits: FastPath, data: bytes) -> None:
    assert hits.answer(data) is None


def test_a_stale_reply_goes_the_long_way() -> None:
    memory = Memory(1_000_000)
    past = time.time() - 1
    reply = ReadyReply(
        Representation(ETAG, "image/png", "x.png", 0, Freshness(past, past, past)), b"b", "", past
    )
    memory.put(b"/img/unsafe/original/x", None, reply, 0)

    assert FastPath(memory, RequestIds(), Tally()).answer(request()) is None


def test_many_hits_are_counted_as_if_each_had_been_observed() -> None:
    singly, together = (
        Histogram("x", "x", registry=CollectorRegistry(), buckets=(0.001, 1)) for _ in range(2)
    )
    for _ in range(5):
        singly.observe(0.0001)

    fast_path._observe_many(together, 5, 5 * 0.0001)

    assert _figures(singly) == _figures(together)


def _figures(histogram: Histogram) -> list[tuple[str, dict[str, str], float]]:
    (family,) = histogram.collect()
    return [(s.name, s.labels, round(s.value, 9)) for s in family.samples if not s.name.endswith("_created")]


def test_a_report_empties_the_tally(hits: FastPath) -> None:
    hits.answer(request())
    hits.answer(request(f"If-None-Match: {ETAG}"))
    counted = hits.tallies["img"]
    assert (counted.found, counted.unchanged) == (1, 1)

    hits.report()

    assert (counted.found, counted.unchanged, counted.seconds) == (0, 0, 0.0)
    assert (hits.tally.hits, hits.tally.misses) == (2, 0)
