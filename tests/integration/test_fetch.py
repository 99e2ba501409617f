"""The fetcher against a real origin: what it asks, what it follows, what it tries again."""

import asyncio
import gzip
import hashlib
import ssl
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from mediasvc.core.addresses.policy import FetchPolicy, parse_connect_to
from mediasvc.core.addresses.urls import SourceUrl, normalise
from mediasvc.core.http import retry
from mediasvc.core.http.breaker import BreakerRules
from mediasvc.core.http.host_headers import HostHeaders, parse_rules
from mediasvc.core.http.origin_reply import FetchRules
from mediasvc.effects.fetch import Validators
from mediasvc.effects.fetch.fetcher import AGENT
from mediasvc.errors import (
    Overloaded,
    SourceFailed,
    SourceMissing,
    SourceRefused,
    SourceTooLarge,
)
from tests.support.fetching import Kept, allows, fetcher, sends_here
from tests.support.origin import LAST_MODIFIED, Gate, Origin, Reply, Request, jpeg
from tests.support.waiting import still_waits, until

QUICK = FetchRules(timeout_s=5.0, retries=0)


def at(path: str, host: str = "pictures.test") -> SourceUrl:
    return normalise(f"http://{host}{path}")


async def test_a_picture_arrives_with_the_headers_that_caching_needs_and_no_others(origin: Origin) -> None:
    origin.on(
        "/a.jpg",
        Reply(
            body=jpeg(),
            headers={
                "cache-control": "max-age=60",
                "vary": "Accept",
                "set-cookie": "a=b",
                "x-powered-by": "c",
                "content-type": "text/html",
            },
            etag='"1"',
        ),
    )
    sink = Kept()

    async with fetcher(sends_here(origin)) as it:
        fetched = await it.fetch(at("/a.jpg"), sink)

    assert sink.data == jpeg()
    assert (fetched.status, fetched.bytes, fetched.not_modified) == (200, len(jpeg()), False)
    assert fetched.headers == {"cache-control": "max-age=60", "vary": "Accept", "etag": '"1"'}
    assert fetched.final_url == "http://pictures.test/a.jpg"


async def test_the_request_is_honest_about_us_and_silent_about_everything_else(origin: Origin) -> None:
    origin.on("/a.jpg", Reply(body=b"x", headers=[("set-cookie", "seen=1; path=/")]))

    async with fetcher(sends_here(origin)) as it:
        await it.fetch(at("/a.jpg"), Kept())
        await it.fetch(at("/a.jpg"), Kept())

    assert [dict(request.headers) for request in origin.requests("/a.jpg")] == 2 * [
        {
            "host": "pictures.test",
            "user-agent": AGENT,
            "accept": "image/*,*/*;q=0.5",
            "accept-encoding": "identity",
            "via": "1.1 mediasvc",
        }
    ]


async def test_a_url_is_asked_for_byte_by_byte_as_it_was_normalised(origin: Origin) -> None:
    target = "/%E4%BD%A0/%2F%2e+a%20b;c=d/100%/e'f?x=%26&y=a+b&&z=%zz"
    origin.on(
        normalise(f"http://pictures.test{target}").removeprefix("http://pictures.test"), Reply(body=b"x")
    )

    async with fetcher(sends_here(origin)) as it:
        await it.fetch(at(target), Kept())

    assert origin.requests()[0].target == normalise(f"http://pictures.test{target}").removeprefix(
        "http://pictures.test"
    )


async def test_connections_are_used_again(origin: Origin) -> None:
    async with fetcher(sends_here(origin)) as it:
        for _ in range(3):
            await it.fetch(at("/pictures/a.jpg"), Kept())

    assert origin.connections == 1


async def test_what_is_said_before_the_reply_is_passed_over(origin: Origin) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    origin.on("/a", Reply(raw=hints + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"))
    sink = Kept()

    async with fetcher(sends_here(origin), QUICK) as it:
        fetched = await it.fetch(at("/a"), sink)

    assert (fetched.status, sink.data) == (200, b"x")


@pytest.mark.parametrize("etag", ['"a"\r\nX-Evil: 1', '"a"\nX-Evil: 1', '"a"\r', '"a\0"'])
async def test_a_line_break_in_a_validator_is_never_sent(origin: Origin, etag: str) -> None:
    async with fetcher(sends_here(origin), QUICK) as it:
        with pytest.raises(SourceFailed) as failure:
            await it.fetch(at("/pictures/a.jpg"), Kept(), Validators(etag, None))

    assert failure.value.reason == retry.PROTOCOL
    assert origin.hits() == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_to_relative_and_other_places(origin: Origin, status: int) -> None:
    origin.on("/a", Reply(status=status, headers={"location": "../b?c=d#e"}))
    origin.on("/b", Reply(status=status, headers={"location": "//other.test/c"}))
    origin.on("other.test/c", Reply(body=b"here"))
    sink = Kept()

    async with fetcher(sends_here(origin)) as it:
        fetched = await it.fetch(at("/a"), sink)

    assert sink.data == b"here"
    assert fetched.final_url == "http://other.test/c"


async def test_only_so_many_redirects_are_followed(origin: Origin) -> None:
    def onwards(request: Request) -> Reply:
        step = int(request.path[2:])
        return (
            Reply(body=b"end")
            if step == 0
            else Reply(status=302, headers={"location": f"/r{step - 1}"}, body=b"x")
        )

    for step in range(8):
        origin.on(f"/r{step}", onwards)

    async with fetcher(sends_here(origin)) as it:
        await it.fetch(at("/r5"), Kept())
        with pytest.raises(SourceFailed) as too_many:
            await it.fetch(at("/r6"), Kept())

    assert too_many.value.reason == retry.REDIRECTS
    assert origin.hits("/r6") == 1


async def test_a_location_in_utf_8_or_in_foreign_bytes_is_followed(origin: Origin) -> None:
    origin.on(
        "/a", Reply(raw="HTTP/1.1 302 Found\r\nLocation: /图.jpg\r\nContent-Length: 0\r\n\r\n".encode())
    )
    origin.on("/b", Reply(raw=b"HTTP/1.1 302 Found\r\nLocation: /\xcd\xbc.jpg\r\nContent-Length: 0\r\n\r\n"))
    origin.on("/%E5%9B%BE.jpg", Reply(body=b"utf-8"))
    origin.on("/%CD%BC.jpg", Reply(body=b"gbk"))
    first, second = Kept(), Kept()

    async with fetcher(sends_here(origin)) as it:
        await it.fetch(at("/a"), first)
        await it.fetch(at("/b"), second)

    assert (first.data, second.data) == (b"utf-8", b"gbk")


@pytest.mark.parametrize("location", ["", "  ", "http://", "http://[::1", "http://a b/"])
async def test_a_redirect_to_nowhere_is_a_failure_of_the_source(origin: Origin, location: str) -> None:
    origin.on("/a", Reply(status=302, headers={"location": location}))

    async with fetcher(sends_here(origin)) as it:
        with pytest.raises(SourceFailed):
            await it.fetch(at("/a"), Kept())


async def test_what_is_held_is_revalidated_by_etag_and_date(origin: Origin) -> None:
    origin.on("/a", Reply(body=b"x", etag='"1"', headers={"cache-control": "max-age=5"}))
    sink = Kept()

    async with fetcher(sends_here(origin)) as it:
        fetched = await it.fetch(at("/a"), sink, Validators('"1"', LAST_MODIFIED))

    assert (fetched.status, fetched.not_modified, fetched.bytes, sink.data) == (304, True, 0, b"")
    assert fetched.headers == {"cache-control": "max-age=5", "etag": '"1"'}
    assert origin.requests()[0].headers["if-modified-since"] == LAST_MODIFIED


async def test_a_changed_picture_comes_whole(origin: Origin) -> None:
    origin.on("/a", Reply(body=b"new", etag='"2"'))
    sink = Kept()

    async with fetcher(sends_here(origin)) as it:
        fetched = await it.fetch(at("/a"), sink, Validators('"1"', None))

    assert (fetched.not_modified, sink.data) == (False, b"new")


async def test_validators_go_only_to_the_url_that_they_came_from(origin: Origin) -> None:
    origin.on("/a", Reply(status=302, headers={"location": "/b"}))
    origin.on("/b", Reply(body=b"x", etag='"1"'))

    async with fetcher(sends_here(origin)) as it:
        moved = await it.fetch(at("/a"), Kept(), Validators('"1"', None))
        known = await it.fetch(at("/a"), Kept(), Validators('"1"', None, url=moved.final_url))

    assert (moved.not_modified, known.not_modified) == (False, True)
    assert "if-none-match" not in origin.requests("/a")[1].headers


async def test_a_304_that_nobody_asked_for_is_a_broken_reply(origin: Origin) -> None:
    origin.on("/a", Reply(status=304))

    async with fetcher(sends_here(origin), QUICK) as it:
        with pytest.raises(SourceFailed):
            await it.fetch(at("/a"), Kept())


@pytest.mark.parametrize(
    ("status", "kind", "hits"),
    [
        (404, SourceMissing, 1),
        (410, SourceMissing, 1),
        (400, SourceFailed, 1),
        (401, SourceFailed, 1),
        (403, SourceFailed, 1),
        (418, SourceFailed, 1),
        (451, SourceFailed, 1),
        (408, SourceFailed, 3),
        (429, SourceFailed, 3),
        (500, SourceFailed, 3),
        (501, SourceFailed, 1),
        (502, SourceFailed, 3),
        (503, SourceFailed, 3),
        (504, SourceFailed, 3),
        (204, SourceFailed, 1),
        (205, SourceFailed, 1),
        (300, SourceFailed, 1),
        (305, SourceFailed, 1),
    ],
)
async def test_each_status_has_its_error_and_only_what_may_pass_is_asked_again(
    origin: Origin, status: int, kind: type[Exception], hits: int
) -> None:
    origin.on("/a", Reply(status=status, body=b""))

    async with fetcher(sends_here(origin)) as it:
        with pytest.raises(kind):
            await it.fetch(at("/a"), Kept())

    assert origin.hits("/a") == hits


async def test_a_part_that_is_the_whole_is_taken_and_a_true_part_is_not(origin: Origin) -> None:
    origin.on("/whole", Reply(status=206, body=b"12345", headers={"content-range": "bytes 0-4/5"}))
    origin.on("/part", Reply(status=206, body=b"12345", headers={"content-range": "bytes 0-4/50"}))
    origin.on("/lie", Reply(status=206, body=b"123", chunked=True, headers={"content-range": "bytes 0-4/5"}))
    sink = Kept()

    async with fetcher(sends_here(origin), QUICK) as it:
        await it.fetch(at("/whole"), sink)
        for path in ("/part", "/lie"):
            with pytest.raises(SourceFailed):
                await it.fetch(at(path), Kept())

    assert sink.data == b"12345"


async def test_a_failure_that_passes_is_tried_again_and_the_sink_begins_anew(origin: Origin) -> None:
    origin.on("/a", Reply(status=503), Reply(body=jpeg(), cut_after=1000), Reply(body=jpeg()))
    sink = Kept()

    async with fetcher(sends_here(origin)) as it:
        fetched = await it.fetch(at("/a"), sink)

    assert (sink.data, sink.restarts, fetched.bytes) == (jpeg(), 1, len(jpeg()))
    assert origin.hits("/a") == 3


async def test_retry_after_is_waited_for_when_the_deadline_allows_it(origin: Origin) -> None:
    origin.on("/a", Reply(status=503, headers={"retry-after": "1"}), Reply(body=b"x"))
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with fetcher(sends_here(origin)) as it:
        await it.fetch(at("/a"), Kept())

    assert loop.time() - began >= 1.0


async def test_a_retry_after_beyond_the_deadline_ends_the_fetch_at_once_and_is_told(origin: Origin) -> None:
    origin.on("/a", Reply(status=429, headers={"retry-after": "60"}), Reply(body=b"x"))
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with fetcher(sends_here(origin)) as it:
        with pytest.raises(SourceFailed) as failure:
            await it.fetch(at("/a"), Kept())

    assert failure.value.retry_after_s == 60
    assert loop.time() - began < 1.0
    assert origin.hits("/a") == 1


async def test_a_host_that_is_down_is_left_alone_and_tried_again_by_itself(origin: Origin) -> None:
    origin.on("down.test/a", Reply(status=503))
    rules = BreakerRules(failures=3, first_s=0.3)
    loop = asyncio.get_running_loop()

    async with fetcher(sends_here(origin), QUICK, breaker=rules) as it:
        for _ in range(3):
            with pytest.raises(SourceFailed):
                await it.fetch(at("/a", "down.test"), Kept())
        began = loop.time()
        with pytest.raises(SourceFailed) as left_alone:
            await it.fetch(at("/b", "down.test"), Kept())
        took_s = loop.time() - began
        await it.fetch(at("/pictures/a.jpg", "up.test"), Kept())
        origin.on("down.test/a", Reply(body=b"back"))
        sink = Kept()

        async def is_asked_again() -> bool:
            with suppress(SourceFailed):
                await it.fetch(at("/a", "down.test"), sink)
            return bool(sink.data)

        await until(is_asked_again)

    assert (left_alone.value.reason, left_alone.value.retry_after_s) == (retry.CIRCUIT, 1)
    assert took_s < 0.1
    assert origin.hits("/b") == 0


async def test_one_host_gets_so_many_requests_at_once_and_no_more(origin: Origin) -> None:
    gate = Gate()
    for number in range(20):
        origin.on(f"/{number}", Reply(body=b"x", hold=gate))
    rules = FetchRules(timeout_s=5.0, per_host=4)

    async with fetcher(sends_here(origin), rules) as it, asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(it.fetch(at(f"/{number}"), Kept()))
        await asyncio.to_thread(origin.wait_hits, None, 4)
        await tasks.create_task(it.fetch(at("/pictures/a.jpg", "other.test"), Kept()))
        assert origin.hits() == 5
        gate.open()

    assert origin.hits() == 21
    assert origin.peak <= 5


async def test_a_line_that_is_too_long_turns_the_next_away(origin: Origin) -> None:
    gate = Gate()
    origin.on("/a", Reply(body=b"x", hold=gate))
    rules = FetchRules(timeout_s=5.0, per_host=1, max_waiting=1)

    async with fetcher(sends_here(origin), rules) as it, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(it.fetch(at("/a"), Kept()))
        await asyncio.to_thread(origin.wait_hits, "/a", 1)
        second = tasks.create_task(it.fetch(at("/a"), Kept()))
        await still_waits(second)
        with pytest.raises(Overloaded):
            await it.fetch(at("/a"), Kept())
        gate.open()

    assert (first.result().bytes, second.result().bytes) == (1, 1)


async def test_a_fetch_that_is_given_up_frees_its_place(origin: Origin) -> None:
    origin.on("/a", Reply(hang="head"))
    rules = FetchRules(timeout_s=5.0, per_host=1)

    async with fetcher(sends_here(origin), rules) as it:
        given_up = asyncio.create_task(it.fetch(at("/a"), Kept()))
        await asyncio.to_thread(origin.wait_hits, "/a", 1)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        fetched = await it.fetch(at("/pictures/a.jpg"), Kept())

    assert fetched.status == 200


def _bare_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(jpeg())),
        ("X-GZip", gzip.compress(jpeg())),
        ("deflate", zlib.compress(jpeg())),
        ("deflate", _bare_deflate(jpeg())),
        ("identity", jpeg()),
        ("gzip, identity", gzip.compress(jpeg())),
    ],
)
async def test_one_coding_that_we_did_not_ask_for_is_taken_off(
    origin: Origin, coding: str, body: bytes
) -> None:
    origin.on("/a", Reply(body=body, headers={"content-encoding": coding}))
    sink = Kept()

    async with fetcher(sends_here(origin)) as it:
        fetched = await it.fetch(at("/a"), sink)

    assert (sink.data, fetched.bytes) == (jpeg(), len(jpeg()))


async def test_a_host_is_asked_as_the_table_says_on_every_hop(origin: Origin) -> None:
    table = HostHeaders(
        parse_rules(
            '[[host]]\nhosts = ["*.pictures.test"]\nheaders = { Referer = "https://pictures.test/", User-Agent = "X ({agent})", Accept = "" }',  # noqa: E501
            "t",
        )
    )
    origin.on("a.pictures.test/a", Reply(status=302, headers={"location": "http://other.test/a"}))
    origin.on("other.test/a", Reply(body=b"x"))

    async with fetcher(sends_here(origin), headers=table) as it:
        await it.fetch(at("/a", "a.pictures.test"), Kept())

    first, second = origin.requests()
    assert first.headers["referer"] == "https://pictures.test/"
    assert first.headers["user-agent"] == f"X ({AGENT})"
    assert "accept" not in first.headers
    assert "referer" not in second.headers
    assert second.headers["user-agent"] == AGENT


async def test_a_stand_in_is_a_failure_and_not_the_picture(origin: Origin) -> None:
    stand_in = jpeg("sorry", 100, 100)
    table = HostHeaders(
        parse_rules(
            f'[[host]]\nhosts = ["pictures.test"]\nplaceholder_paths = ["/images/default_*"]\n'
            f'placeholder_digests = ["{hashlib.sha256(stand_in).hexdigest()}"]',
            "t",
        )
    )
    origin.on("/gone", Reply(status=302, headers={"location": "/images/default_w.gif#101"}))
    origin.on("/disguised", Reply(body=stand_in))
    origin.on("/true", Reply(body=jpeg()))

    async with fetcher(sends_here(origin), headers=table) as it:
        for path in ("/gone", "/disguised"):
            with pytest.raises(SourceFailed) as failure:
                await it.fetch(at(path), Kept())
            assert failure.value.reason == retry.STAND_IN
        await it.fetch(at("/true"), Kept())

    assert origin.hits("/images/default_w.gif") == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    made = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    return made, path


def _server_side(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_tls_is_verified_against_the_name_in_the_url(authority: tuple[trustme.CA, Path]) -> None:
    made, ca_file = authority
    with Origin(tls=_server_side(made, "good.test", "203.0.114.7")) as origin:
        policy = sends_here(origin)
        async with fetcher(policy, QUICK, ca_file=ca_file) as it:
            fetched = await it.fetch(normalise("https://good.test/pictures/a.jpg"), Kept())
            by_address = await it.fetch(normalise("https://203.0.114.7/pictures/a.jpg"), Kept())
            with pytest.raises(SourceFailed) as other_name:
                await it.fetch(normalise("https://bad.test/pictures/a.jpg"), Kept())
        async with fetcher(policy, QUICK) as it:
            with pytest.raises(SourceFailed) as unknown:
                await it.fetch(normalise("https://good.test/pictures/a.jpg"), Kept())

    assert (fetched.status, by_address.status) == (200, 200)
    assert (other_name.value.reason, unknown.value.reason) == (retry.CERTIFICATE, retry.CERTIFICATE)


async def test_a_secret_header_does_not_follow_a_redirect_from_https_to_http(
    authority: tuple[trustme.CA, Path],
) -> None:
    made, ca_file = authority
    rules = (
        '[[host]]\nhosts = ["good.test"]\nheaders = { X-Api-Key = "s3cret", Referer = "https://good.test/" }'
    )
    with Origin(tls=_server_side(made, "good.test")) as secure, Origin() as plain:
        policy = FetchPolicy(connect_to=parse_connect_to(f"{secure.connect_to},{plain.connect_to}"))
        secure.on("/down", Reply(status=302, headers={"location": "http://good.test/in-the-clear"}))
        secure.on("/stay", Reply(status=302, headers={"location": "/target"}))
        for origin, path in ((secure, "/target"), (plain, "/in-the-clear"), (plain, "/plain-from-the-start")):
            origin.on(path, Reply(body=jpeg()))
        async with fetcher(policy, ca_file=ca_file, headers=HostHeaders(parse_rules(rules, "t"))) as it:
            await it.fetch(normalise("https://good.test/down"), Kept())
            await it.fetch(normalise("https://good.test/stay"), Kept())
            await it.fetch(normalise("http://good.test/plain-from-the-start"), Kept())

    sent = {
        request.path: request.headers.get("x-api-key") for request in (*secure.requests(), *plain.requests())
    }
    assert sent == {
        "/down": "s3cret",
        "/stay": "s3cret",
        "/target": "s3cret",
        "/in-the-clear": None,
        "/plain-from-the-start": "s3cret",
    }
    assert plain.requests("/in-the-clear")[0].headers["referer"] == "https://good.test/"


async def test_a_proxy_is_asked_for_http_and_tunnels_https_while_literals_stay_guarded(
    authority: tuple[trustme.CA, Path],
) -> None:
    made, ca_file = authority
    with (
        Origin() as proxy,
        Origin(tls=_server_side(made, "secure.test")) as secure,
    ):
        policy = allows(secure.port, "192.0.2.0/24")
        async with fetcher(
            policy, QUICK, ca_file=ca_file, proxy=f"http://user:secret@127.0.0.1:{proxy.port}"
        ) as it:
            plain = await it.fetch(normalise("http://plain.test/pictures/a.jpg"), Kept())
            tunnelled = await it.fetch(normalise(f"https://secure.test:{secure.port}/pictures/a.jpg"), Kept())
            with pytest.raises(SourceRefused):
                await it.fetch(normalise("http://127.0.0.1/pictures/a.jpg"), Kept())

    assert (plain.status, tunnelled.status) == (200, 200)
    assert [request.method for request in proxy.requests()] == ["GET", "CONNECT"]
    assert all("proxy-authorization" in request.headers for request in proxy.requests())
    assert "proxy-authorization" not in secure.requests()[0].headers


async def test_the_byte_cap_holds_for_what_is_announced(origin: Origin) -> None:
    origin.on("/a", Reply(body=b"x" * 5000))

    async with fetcher(sends_here(origin), FetchRules(max_bytes=4999)) as it:
        sink = Kept()
        with pytest.raises(SourceTooLarge):
            await it.fetch(at("/a"), sink)

    assert sink.data == b""
