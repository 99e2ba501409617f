"""HTTP itself, byte by byte over a bare socket: framing, connections, and clients that misbehave."""

import re
import socket
import time
from collections.abc import Iterator

import orjson
import pytest

from tests.support.origin import Origin, jpeg
from tests.support.service import Service, eventually, has_read, image_path, received

URL = "http://news.example/pictures/a.jpg"
PATH = image_path(URL, "600x400")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Origin() as origin, Service(origin) as running:
        assert running.get(PATH).status == 200
        yield running


def split(reply: bytes) -> tuple[int, dict[str, str], bytes]:
    """(status, header, all that follows)."""
    head, _, rest = reply.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    assert re.fullmatch(r"HTTP/1\.[01] \d{3} [A-Za-z ]+", first), first
    return int(first.split()[1]), {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}, rest


def several(data: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Replies one after another, by their Content-Length."""
    replies = []
    while data:
        status, fields, rest = split(data)
        length = int(fields.get("content-length", 0)) if status != 304 else 0
        replies.append((status, fields, rest[:length]))
        data = rest[length:]
    return replies


def request(target: str = PATH, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    head = [f"{method} {target} HTTP/{version}", "Host: 127.0.0.1", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")


def test_the_short_way_and_the_long_way_answer_alike(service: Service) -> None:
    # An unknown version of a known header keeps the second one off the short way.
    short = split(service.raw(request()))
    long = split(service.raw(request(PATH, 'If-None-Match: "other"')))
    folded_in_two = split(service.raw(request(PATH, "Content-Length: 0")))

    for reply in (short, long, folded_in_two):
        reply[1].pop("x-request-id")
        reply[1].pop("date")
        reply[1].pop("cache-control")
    assert short == long == folded_in_two


def test_the_short_way_and_the_long_way_say_not_modified_alike(service: Service) -> None:
    etag = split(service.raw(request()))[1]["etag"]
    short = split(service.raw(request(PATH, f"If-None-Match: {etag}")))
    long = split(service.raw(request(PATH, f'If-None-Match: {etag}, "x"')))

    for reply in (short, long):
        assert reply[0] == 304
        reply[1].pop("x-request-id")
        reply[1].pop("date")
        reply[1].pop("cache-control")
    assert short == long


def test_a_request_in_pieces_is_one_request(service: Service) -> None:
    data = request()
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        for place in range(0, len(data), 7):
            connection.sendall(data[place : place + 7])
            eventually(lambda: has_read(service, connection))
        status, fields, body = split(received(connection))
        connection.sendall(data)
        again = split(received(connection))

    assert (status, len(body)) == (200, int(fields["content-length"]))
    assert (again[0], again[2]) == (200, body)


def test_a_head_begun_in_one_piece_is_not_mistaken_for_a_new_request(service: Service) -> None:
    """What looks like a whole request is the rest of another one's header field."""
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Text: ")
        eventually(lambda: has_read(service, connection))
        connection.sendall(request())
        replies = several(received(connection))

    assert [reply[0] for reply in replies] in ([200], [400])
    assert all(b"JFIF" not in reply[2] for reply in replies)


@pytest.mark.parametrize("begun", [b"G", b"GE", b"GET", b"POST", b"\r\n\r", b"GET / HTTP/1.1\r\n"])
def test_a_request_line_begun_in_one_piece_is_not_mistaken_for_a_boundary(
    service: Service, begun: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(begun)
        eventually(lambda: has_read(service, connection))
        connection.sendall(request())
        replies = several(received(connection))

    # Blank lines before a request are allowed (RFC 9112 section 2.2); all else makes it unreadable.
    assert [reply[0] for reply in replies] == ([200] if begun.isspace() else [400])


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    data = (
        request("/healthz") + request() + request("/nope") + request(PATH, method="HEAD")
        + request("/v1/resolve?url=http://a.example/") + request()
    )  # fmt: skip
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(data)
        raw = received(connection)
    whole = len(split(service.raw(request()))[2])
    head_reply = raw.split(b"HTTP/1.1 ")[4]

    assert [int(part[:3]) for part in re.findall(rb"HTTP/1\.1 (\d{3} )", raw)] == [
        200,
        200,
        404,
        200,
        200,
        200,
    ]
    assert head_reply.endswith(b"\r\n\r\n")
    assert raw.count(b"\xff\xd8\xff") == 2
    assert whole > 10_000


def test_bodies_and_hits_take_turns_on_one_connection(service: Service) -> None:
    article = b"<img src=x>"
    post = request("/v1/rewrite", "Content-Type: text/html", f"Content-Length: {len(article)}", method="POST")
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        for data in (request(), post + article, request(), post, article, request()):
            connection.sendall(data)
            if data is post:
                continue
            status, _, body = split(received(connection))
            assert status == 200
            assert body == article if article in data else body.startswith(b"\xff\xd8")


def test_a_body_that_is_a_request_is_not_answered(service: Service) -> None:
    """A smuggled request: the bytes of a body, in a chunk of their own."""
    inner = request()
    post = request("/v1/rewrite", "Content-Type: text/html", f"Content-Length: {len(inner)}", method="POST")
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(post)
        eventually(lambda: has_read(service, connection))
        connection.sendall(inner)
        status, _, body = split(received(connection))

    assert (status, body) == (200, inner)


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: +5",),
        ("Content-Length: -1",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
    ],
)
def test_framing_that_two_readers_could_read_differently_is_refused(
    service: Service, lines: tuple[str, ...]
) -> None:
    reply = service.raw(
        request("/v1/rewrite", "Content-Type: text/html", *lines, method="POST") + b"0\r\n\r\n"
    )

    status, fields, body = split(reply)
    assert status == 400
    assert fields["content-type"] == "application/problem+json"
    assert fields["connection"] == "close"
    assert orjson.loads(body)["code"] == "invalid_request"


@pytest.mark.parametrize(
    ("data", "stays"),
    [
        (request(), True),
        (request(PATH, "Connection: keep-alive"), True),
        (request(PATH, "Connection: close"), False),
        (request(PATH, version="1.0"), False),
        (request("/healthz", "Connection: close"), False),
        (request("/nope"), True),
    ],
)
def test_a_connection_stays_open_unless_someone_wants_otherwise(
    service: Service, data: bytes, stays: bool
) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
        connection.sendall(data)
        started = time.monotonic()
        received(connection, 1.0)
        took = time.monotonic() - started

    assert (took >= 1.0) == stays


def test_http_1_0_needs_no_host_and_http_1_1_exactly_one(service: Service) -> None:
    old = split(service.raw(f"GET {PATH} HTTP/1.0\r\n\r\n".encode()))
    none = split(service.raw(f"GET {PATH} HTTP/1.1\r\n\r\n".encode()))
    two = split(service.raw(request(PATH, "Host: other.example")))

    assert [reply[0] for reply in (old, none, two)] == [200, 400, 400]
    assert orjson.loads(none[2])["code"] == "invalid_request"


def test_the_whole_address_may_stand_in_the_request_line(service: Service) -> None:
    assert split(service.raw(request(f"http://media.example{PATH}")))[0] == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"<script> / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_a_problem_and_the_connection_ends(service: Service, data: bytes) -> None:
    status, fields, body = split(service.raw(data))

    assert status in (400, 405, 505)
    assert fields["connection"] == "close"
    assert fields["content-type"] == "application/problem+json"
    assert fields["x-content-type-options"] == "nosniff"
    assert orjson.loads(body)["code"] == "invalid_request"
    assert b"script" not in body


@pytest.mark.parametrize(
    "data",
    [
        request("/" + "a" * 20_000),
        request("/", "X: " + "a" * 20_000),
        request("/", *(f"X-{number}: a" for number in range(200))),
    ],
)
def test_heads_that_are_too_long_are_refused(service: Service, data: bytes) -> None:
    status, fields, _ = split(service.raw(data))

    assert status in (400, 431)
    assert fields["content-type"] == "application/problem+json"


def test_clients_that_send_their_heads_too_slowly_are_cut_off(service: Service) -> None:
    address = ("127.0.0.1", service.port)
    with (
        socket.create_connection(address, timeout=20) as new,
        socket.create_connection(address, timeout=20) as used,
    ):
        used.sendall(request())
        received(used)
        used.sendall(b"GET /hea")
        started = time.monotonic()
        new.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")
        reply = b""
        while not reply and time.monotonic() - started < 20:
            try:
                new.sendall(b"X: y\r\n")
            except OSError:
                break
            reply += received(new, first_s=0.5)
        took = time.monotonic() - started
        later = received(used)

    assert (split(reply)[0], split(later)[0]) == (408, 408)
    assert 9 < took < 15


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", PATH, "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/image?url=x", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/rewrite", "OPTIONS, POST"),
        ("GET", "/v1/cache", "DELETE, OPTIONS"),
        ("PUT", "/assets/x", "GET, HEAD, OPTIONS"),
        ("TRACE", "/", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
def test_methods_that_a_route_does_not_have_are_told(
    service: Service, method: str, path: str, allow: str
) -> None:
    status, fields, body = split(service.raw(request(path, method=method)))

    assert (status, fields["allow"]) == (405, allow)
    assert orjson.loads(body)["code"] == "method_not_allowed"


def preflight(path: str, wanted: str) -> bytes:
    return request(
        path,
        "Origin: https://reader.example",
        f"Access-Control-Request-Method: {wanted}",
        "Access-Control-Request-Headers: content-type",
        method="OPTIONS",
    )


def test_a_preflight_for_an_image_is_granted(service: Service) -> None:
    status, fields, body = split(service.raw(preflight(PATH, "GET")))

    assert (status, body) == (204, b"")
    assert fields["allow"] == fields["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert fields["access-control-allow-origin"] == "*"
    assert "content-type" in fields["access-control-allow-headers"].lower()
    assert "authorization" in fields["access-control-allow-headers"].lower()
    assert "content-length" not in fields


@pytest.fixture(scope="module")
def with_token() -> Iterator[Service]:
    with Origin() as origin, Service(origin, API_TOKEN="s3cret") as running:
        yield running


@pytest.mark.parametrize(
    ("path", "method"), [("/v1/rewrite", "POST"), ("/v1/warm", "POST"), ("/v1/cache?url=x", "DELETE")]
)
def test_pages_of_other_sites_may_write_only_where_a_token_is_set(
    service: Service, with_token: Service, path: str, method: str
) -> None:
    asked = preflight(path, method)
    write = request(path, "Origin: https://reader.example", method=method)

    status, fields, _ = split(service.raw(asked))
    _, answered, _ = split(service.raw(write))
    _, everywhere, _ = split(service.raw(preflight("*", method)))
    _, granted, _ = split(with_token.raw(asked))
    _, refused, _ = split(with_token.raw(write))

    assert (status, fields["allow"]) == (204, ", ".join(sorted([method, "OPTIONS"])))
    for one in (fields, answered, everywhere):
        assert [name for name in one if name.startswith("access-control-")] == []
    assert granted["access-control-allow-methods"] == ", ".join(sorted([method, "OPTIONS"]))
    assert granted["access-control-allow-origin"] == refused["access-control-allow-origin"] == "*"


def test_on_loopback_a_page_whose_name_leads_here_is_not_answered() -> None:
    hosts = (b"evil.example:8080", b"media.example.org", b"localhost:1", b"[::1]:8080")

    with Origin() as origin, Service(origin, PUBLIC_URL="https://media.example.org/base") as running:
        assert [running.get(PATH).status for _ in range(2)] == [200, 200]
        replies = [split(running.raw(request(PATH).replace(b"127.0.0.1", host))) for host in hosts]
        page = split(running.raw(request("/").replace(b"127.0.0.1", b"evil.example")))

    assert [status for status, _, _ in replies] == [400, 200, 200, 200]
    assert (page[0], orjson.loads(page[2])["code"]) == (400, "invalid_request")


def test_options_of_the_server_and_of_an_unknown_route(service: Service) -> None:
    assert split(service.raw(request("*", method="OPTIONS")))[0] == 204
    assert split(service.raw(request("/nope", method="OPTIONS")))[0] == 404


@pytest.mark.parametrize(
    "path", ["/nope", "/img/x/y", "/img/unsafe/original/", "//", "/v1", "/assets/", "/page/.."]
)
def test_unknown_routes_are_problems(service: Service, path: str) -> None:
    status, fields, body = split(service.raw(request(path)))

    assert (status, fields["content-type"]) == (404, "application/problem+json")
    assert orjson.loads(body)["code"] == "not_found"


def test_an_expectation_is_met_before_the_body_is_sent(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
        connection.sendall(
            request(
                "/v1/rewrite",
                "Content-Type: text/html",
                "Content-Length: 3",
                "Expect: 100-continue",
                method="POST",
            )
        )
        assert received(connection) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        status, _, body = split(received(connection))

    assert (status, body) == (200, b"abc")


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(service: Service) -> None:
    reply = service.raw(
        request(
            "/v1/rewrite",
            "Content-Type: text/html",
            "Content-Length: 99999999",
            "Expect: 100-continue",
            method="POST",
        )
    )

    status, _, body = split(reply)
    assert (status, orjson.loads(body)["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", [PATH, "/healthz", "/nope", "/v1/image?url=http://127.0.0.1/"])
@pytest.mark.parametrize(
    ("given", "is_kept"),
    [("abc-DEF_9", True), ("a" * 64, True), ("a" * 65, False), ("", False), ("a b", False), ("a\xe9", False)],
)
def test_a_plain_request_id_is_kept_and_any_other_replaced(
    service: Service, path: str, given: str, is_kept: bool
) -> None:
    _, fields, _ = split(service.raw(request(path, f"X-Request-ID: {given}")))

    assert (fields["x-request-id"] == given) == is_kept
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", fields["x-request-id"])


def test_no_two_requests_have_the_same_id(service: Service) -> None:
    data = (request() + request("/healthz")) * 5
    ids = re.findall(rb"X-Request-ID: (\S+)", service.raw(data) + service.raw(request()))

    assert len(set(ids)) == 11


def test_a_client_that_leaves_half_way_does_no_harm(service: Service) -> None:
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", service.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.sendall(request())
        connection.close()

    assert service.get(PATH).status == 200
    assert jpeg("a").startswith(b"\xff\xd8")
    assert not [line for line in service.lines if "Traceback" in line or "[error" in line]
