"""Origins that misbehave: each fault has its error, nothing hangs, and nothing is taken for a picture."""

import asyncio
import contextlib
import gzip
import socket
import struct
import threading
import zlib
from collections.abc import Iterator

import brotli
import pytest

from mediasvc.core.addresses.urls import SourceUrl, normalise
from mediasvc.core.http import retry
from mediasvc.core.http.origin_reply import FetchRules
from mediasvc.errors import MediaError, SourceFailed, SourceTimeout, SourceTooLarge
from tests.support.fetching import Kept, allows, fetcher, sends_here
from tests.support.origin import Origin, Reply, jpeg

ONCE = FetchRules(timeout_s=5.0, retries=0, max_bytes=1_000_000)


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


def at(path: str, host: str = "pictures.test") -> SourceUrl:
    return normalise(f"http://{host}{path}")


def _raw(head: str, body: bytes = b"") -> Reply:
    return Reply(raw=head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)


# What was sent by then is never more than what is allowed.
FAULTS: dict[str, tuple[Reply, type[MediaError], str]] = {
    "shorter than it says": (Reply(body=jpeg(), cut_after=1000), SourceFailed, retry.TRUNCATED),
    "far shorter than it says": (Reply(body=b"", length="900000"), SourceFailed, retry.TRUNCATED),
    "chunked and cut": (Reply(body=jpeg(), chunked=True, cut_after=1000), SourceFailed, retry.TRUNCATED),
    "longer than it says": (
        _raw("HTTP/1.1 200 OK\nContent-Length: 3", b"abcdef"),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "far longer than it says": (
        _raw("HTTP/1.1 200 OK\nContent-Length: 300000", b"x" * 600_000),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "longer than its chunks": (
        _raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\nxyz"),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "reset before the head": (Reply(reset_after=-1), SourceFailed, retry.RESET),
    "reset in the body": (Reply(body=jpeg(), reset_after=1000), SourceFailed, retry.TRUNCATED),
    "closed before the head": (Reply(raw=b""), SourceFailed, retry.RESET),
    "closed within the head": (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le"), SourceFailed, retry.RESET),
    "longer than allowed, announced": (Reply(body=b"x" * 1_000_001), SourceTooLarge, "bytes"),
    "longer than allowed, chunked": (Reply(body=b"x" * 1_000_001, chunked=True), SourceTooLarge, "bytes"),
    "endless, chunked": (Reply(body=b"x" * 65536, chunked=True, endless=True), SourceTooLarge, "bytes"),
    "endless, to the end of the connection": (
        Reply(body=b"x" * 65536, endless=True),
        SourceTooLarge,
        "bytes",
    ),
    "a length beyond all numbers": (Reply(body=b"x", length="9" * 40), SourceFailed, retry.PROTOCOL),
    "a length that is huge": (Reply(body=b"x", length="9" * 18), SourceTooLarge, "bytes"),
    "a negative length": (Reply(body=b"x", length="-1"), SourceFailed, retry.PROTOCOL),
    "a length that is a word": (Reply(body=b"x", length="many"), SourceFailed, retry.PROTOCOL),
    "two lengths": (
        _raw("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2", b"xy"),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "two lengths in a list": (
        _raw("HTTP/1.1 200 OK\nContent-Length: 1, 2", b"xy"),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "interim replies without end": (
        Reply(raw=b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100_000),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "a large head in each of a few interim replies": (
        Reply(raw=(b"HTTP/1.1 103 Early Hints\r\n" + b"A: %s\r\n" % (b"x" * 60_000) * 4 + b"\r\n") * 3),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "chunks of one byte": (
        _raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"1\r\nx\r\n" * 900_000),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "chunks with long extensions": (
        _raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"1;%s\r\nx\r\n" % (b"a" * 1000) * 9000),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "chunks that are none": (
        _raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"zz\r\nx\r\n0\r\n\r\n"),
        SourceFailed,
        "",
    ),
    "a chunk of boundless size": (
        _raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"f" * 40 + b"\r\nx"),
        SourceFailed,
        "",
    ),
    "not HTTP": (Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n"), SourceFailed, retry.PROTOCOL),
    "a bare picture": (Reply(raw=jpeg()), SourceFailed, retry.PROTOCOL),
    "HTTP/0.9": (Reply(raw=b"<html>hello</html>"), SourceFailed, retry.PROTOCOL),
    "a status of one figure": (_raw("HTTP/1.1 2 OK"), SourceFailed, retry.PROTOCOL),
    "a status beyond all": (_raw("HTTP/1.1 999 What"), SourceFailed, retry.STATUS),
    "one header of 100 kB": (
        _raw("HTTP/1.1 200 OK\nA: " + "x" * 100_000, b"x"),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "257 headers": (
        _raw("HTTP/1.1 200 OK\n" + "\n".join(f"A{n}: b" for n in range(257)), b"x"),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "headers without end": (
        Reply(raw=b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 3_000_000),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "a NUL in a header": (
        _raw("HTTP/1.1 200 OK\nA: b\0c\nContent-Length: 1", b"x"),
        SourceFailed,
        retry.PROTOCOL,
    ),
    "101": (_raw("HTTP/1.1 101 Switching\nUpgrade: x\nConnection: upgrade"), SourceFailed, ""),
    "a bomb in gzip, over the bytes": (
        Reply(body=gzip.compress(bytes(5_000_000)), headers={"content-encoding": "gzip"}),
        SourceTooLarge,
        "bytes",
    ),
    "brotli that is none": (
        Reply(body=b"\xff" * 9, headers={"content-encoding": "br"}),
        SourceFailed,
        retry.CODING,
    ),
    "a bomb in brotli": (
        Reply(body=brotli.compress(bytes(50_000_000)), headers={"content-encoding": "br"}),
        SourceTooLarge,
        "bytes",
    ),
    "gzip in gzip": (
        Reply(body=gzip.compress(gzip.compress(b"x")), headers={"content-encoding": "gzip, gzip"}),
        SourceFailed,
        retry.CODING,
    ),
    "gzip that is none": (
        Reply(body=b"x" * 100, headers={"content-encoding": "gzip"}),
        SourceFailed,
        retry.CODING,
    ),
    "gzip cut short": (
        Reply(body=gzip.compress(jpeg())[:-20], headers={"content-encoding": "gzip"}),
        SourceFailed,
        retry.TRUNCATED,
    ),
    "gzip of a wrong checksum": (
        Reply(body=gzip.compress(jpeg())[:-8] + bytes(8), headers={"content-encoding": "gzip"}),
        SourceFailed,
        retry.CODING,
    ),
    "many members of gzip": (
        Reply(body=gzip.compress(b"x") * 1000, headers={"content-encoding": "gzip"}),
        SourceFailed,
        retry.CODING,
    ),
    "nothing at all in gzip": (
        Reply(body=b"", headers={"content-encoding": "gzip"}),
        SourceFailed,
        retry.TRUNCATED,
    ),
    "a redirect to a file": (Reply(status=302, headers={"location": "file:///etc/passwd"}), MediaError, ""),
    "a redirect to itself": (Reply(status=302, headers={"location": "?"}), SourceFailed, retry.REDIRECTS),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_has_its_error(origin: Origin, fault: str) -> None:
    reply, kind, reason = FAULTS[fault]
    origin.on("/a", reply)
    sink = Kept()

    async with fetcher(sends_here(origin), ONCE) as it:
        with pytest.raises(kind) as failure:
            await asyncio.wait_for(it.fetch(at("/a"), sink), 4)

    assert not reason or failure.value.reason == reason
    assert len(sink.data) <= ONCE.max_bytes
    assert "127.0.0.1" not in str(failure.value)


async def test_a_reply_smuggled_behind_another_never_answers_the_next_request(
    origin: Origin,
) -> None:
    origin.on(
        "/a",
        Reply(
            raw=b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"  # noqa: E501
        ),
    )
    first, second = Kept(), Kept()

    async with fetcher(sends_here(origin), ONCE) as it:
        try:
            await it.fetch(at("/a"), first)
        except SourceFailed:
            first.pieces.clear()
        await it.fetch(at("/pictures/b.jpg"), second)

    assert first.data in (b"", b"abc")
    assert second.data == jpeg("b")


async def test_a_bomb_within_the_bytes_is_known_by_its_ratio(origin: Origin) -> None:
    origin.on("/a", Reply(body=zlib.compress(bytes(30_000_000), 9), headers={"content-encoding": "deflate"}))
    sink = Kept()

    async with fetcher(sends_here(origin), FetchRules(retries=0)) as it:
        with pytest.raises(SourceTooLarge) as failure:
            await it.fetch(at("/a"), sink)

    assert failure.value.reason == "ratio"
    assert len(sink.data) < 4_000_000


SLOW: dict[str, tuple[Reply, str]] = {
    "silence": (Reply(hang="head"), retry.HEAD_DEADLINE),
    "a head that comes too late": (Reply(delay_s=30.0), retry.HEAD_DEADLINE),
    "a body that stops": (Reply(body=jpeg(), cut_after=1000, hang="body"), retry.DEADLINE),
    "a body that drips": (Reply(body=jpeg(), drip=(1, 0.05)), retry.DEADLINE),
    "an endless flood of 100 Continue": (Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), ""),
}


@pytest.mark.parametrize("fault", SLOW)
async def test_one_deadline_holds_for_everything(origin: Origin, fault: str) -> None:
    reply, reason = SLOW[fault]
    origin.on("/a", reply)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with fetcher(sends_here(origin), FetchRules(timeout_s=0.4, min_speed=0)) as it:
        with pytest.raises((SourceTimeout, SourceFailed)) as failure:
            await it.fetch(at("/a"), Kept())

    assert not reason or failure.value.reason == reason
    assert loop.time() - began < 1.5


async def test_the_deadline_counts_retries_and_redirects(origin: Origin) -> None:
    origin.on("/a", Reply(status=302, headers={"location": "/b"}, delay_s=0.3))
    origin.on("/b", Reply(status=503, delay_s=0.3))
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with fetcher(sends_here(origin), FetchRules(timeout_s=1.0, retries=20)) as it:
        with pytest.raises((SourceTimeout, SourceFailed)):
            await it.fetch(at("/a"), Kept())

    assert loop.time() - began < 1.5


async def test_a_source_below_the_minimum_speed_is_given_up_before_the_deadline(origin: Origin) -> None:
    origin.on("/a", Reply(body=jpeg(), drip=(10, 0.05)))
    rules = FetchRules(timeout_s=20.0, retries=0, min_speed=1024, speed_window_s=0.3)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with fetcher(sends_here(origin), rules) as it:
        with pytest.raises(SourceTimeout) as failure:
            await it.fetch(at("/a"), Kept())

    assert failure.value.reason == retry.SPEED
    assert loop.time() - began < 2.0


async def test_a_source_above_the_minimum_speed_may_take_several_windows(origin: Origin) -> None:
    body = jpeg()[:4000]
    origin.on("/a", Reply(body=body, drip=(400, 0.05)))
    rules = FetchRules(timeout_s=20.0, retries=0, min_speed=1024, speed_window_s=0.15)
    sink = Kept()

    async with fetcher(sends_here(origin), rules) as it:
        await it.fetch(at("/a"), sink)

    assert sink.data == body


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_a_port_where_nobody_listens_is_tried_again_and_then_left_alone() -> None:
    port = _free_port()
    url = normalise(f"http://127.0.0.1:{port}/a")

    async with fetcher(allows(port), FetchRules(retries=1)) as it:
        reasons = []
        for _ in range(6):
            with pytest.raises(SourceFailed) as failure:
                await it.fetch(url, Kept())
            reasons.append(failure.value.reason)

    assert reasons == [retry.CONNECT] * 5 + [retry.CIRCUIT]


async def test_a_handshake_that_never_answers_ends_with_the_connect_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = int(silent.getsockname()[1])
        rules = FetchRules(timeout_s=10.0, connect_timeout_s=0.2, retries=1)
        loop = asyncio.get_running_loop()
        began = loop.time()

        async with fetcher(allows(port), rules) as it:
            with pytest.raises(SourceTimeout) as failure:
                await it.fetch(normalise(f"https://127.0.0.1:{port}/a"), Kept())

    assert failure.value.reason == retry.CONNECT_DEADLINE
    assert loop.time() - began < 2.0


async def test_a_server_that_speaks_no_tls_is_a_failure() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with fetcher(allows(port), ONCE) as it:
            with pytest.raises(SourceFailed) as failure:
                await it.fetch(normalise(f"https://127.0.0.1:{port}/a"), Kept())

    assert failure.value.reason == retry.TLS


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 3\nContent-Length: 3", b"abc"),
        ("Content-Length: 3, 3", b"abc"),
        ("content-length: 3\nX: y\nCONTENT-LENGTH:3", b"abc"),
        ("Content-Length: 9\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\nContent-Length: 1", b"3\r\nabc\r\n0\r\n\r\n"),
        ("this is no field\nContent-Length: 3", b"abc"),
        ("Content-Length: 3\n: empty\nÜmlaut: x", b"abc"),
        ("Content-Length : 3", b"abc"),
        ("Content-Length: 3\nContent-Security-Policy: " + "x" * 65_536, b"abc"),
        ("\n".join(["Content-Length: 3", *(f"A{n}: b" for n in range(255))]), b"abc"),
        ("Content-Length: 3\nContent-Encoding: UTF-8", b"abc"),
        ("Transfer-Encoding: chunked", b"1\r\na\r\n1\r\nb\r\n1;x=y\r\nc\r\n0\r\nTrailer: x\r\n\r\n"),
    ],
)
async def test_a_reply_that_browsers_show_is_taken(origin: Origin, head: str, body: bytes) -> None:
    origin.on("/a", _raw(f"HTTP/1.1 200 OK\n{head}", body))
    sink = Kept()

    async with fetcher(sends_here(origin), ONCE) as it:
        await asyncio.wait_for(it.fetch(at("/a"), sink), 4)

    assert sink.data == b"abc"


@pytest.mark.parametrize(
    "head",
    ["Content-Length: 3\nContent-Length: 3", "Content-Length: 1\nTransfer-Encoding: chunked", "no field"],
)
async def test_a_connection_whose_head_was_put_in_order_is_not_used_again(origin: Origin, head: str) -> None:
    body = b"3\r\nabc\r\n0\r\n\r\n" if "chunked" in head else b"abc"
    more = "" if "Length" in head else "Content-Length: 3\n"
    behind = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    origin.on("/a", _raw(f"HTTP/1.1 200 OK\n{more}{head}\nConnection: keep-alive", body + behind))
    origin.on("/b", Reply(body=b"honest"))

    async with fetcher(sends_here(origin), ONCE) as it:
        with contextlib.suppress(SourceFailed):  # where the bytes behind the reply come with it
            await asyncio.wait_for(it.fetch(at("/a"), Kept()), 4)
        sink = Kept()
        await asyncio.wait_for(it.fetch(at("/b"), sink), 4)

    assert sink.data == b"honest"


@pytest.mark.parametrize("count", [0, 8])
async def test_a_few_interim_replies_are_passed_over(origin: Origin, count: int) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * count
    origin.on("/a", Reply(raw=interim + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
    sink = Kept()

    async with fetcher(sends_here(origin), ONCE) as it:
        await asyncio.wait_for(it.fetch(at("/a"), sink), 4)

    assert sink.data == b"abc"


async def test_a_folded_header_is_one_line_and_no_line_break(origin: Origin) -> None:
    origin.on("/a", _raw('HTTP/1.1 200 OK\nETag: "a"\n b\nContent-Length: 1', b"x"))

    async with fetcher(sends_here(origin), ONCE) as it:
        fetched = await it.fetch(at("/a"), Kept())

    assert fetched.headers == {"etag": '"a" b'}


async def test_a_connection_that_dies_between_two_fetches_does_no_harm() -> None:
    """The server resets each connection after one reply without saying so."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])

    def serve() -> None:
        for _ in range(3):
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    async with fetcher(allows(port)) as it:
        for _ in range(3):
            sink = Kept()
            await it.fetch(normalise(f"http://127.0.0.1:{port}/a"), sink)
            assert sink.data == b"ok"

    thread.join(5)
    listener.close()


async def test_a_sink_that_fails_is_not_the_sources_fault(origin: Origin) -> None:
    class Full(Kept):
        async def write(self, chunk: bytes) -> None:
            raise OSError(28, "No space left on device")

    async with fetcher(sends_here(origin)) as it:
        with pytest.raises(OSError, match="No space"):
            await it.fetch(at("/pictures/a.jpg"), Full())

    assert origin.hits() == 1
