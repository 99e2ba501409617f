"""Articles over HTTP: JSON and raw, lazy and eager, and what is refused."""

import hashlib
import re
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from mediasvc.core.addresses import signing
from tests.support.origin import Origin, Reply, jpeg
from tests.support.service import Reply as Answer
from tests.support.service import Service, eventually

KEY = b"k" * 32
URL = "http://news.example/pictures/a.jpg"
WRAPPED = f"https://cors.example.workers.dev/?{URL}"
HTML = f'<p>caf\xe9 <img src="{WRAPPED}" data-size="600,400"></p>\n'
MARKDOWN = f"---\nheadimg: '{WRAPPED}'\n---\n\n![x]({URL})\n"
SETTINGS = {
    "SIGNING_KEYS": KEY.hex(),
    "PUBLIC_URL": "https://media.example/base/",
    "MAX_ARTICLE_BYTES": "100KiB",
}


def post(service: Service, value: Any, **headers: str) -> Answer:
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return service.ask("POST", "/v1/rewrite", body, **({"Content_Type": "application/json"} | headers))


def raw(service: Service, body: bytes, media_type: str, query: str = "") -> Answer:
    return service.ask("POST", f"/v1/rewrite{query}", body, Content_Type=media_type)


def test_lazy_gives_signed_paths_under_the_public_address_and_fetches_nothing(
    service: Service, world: Origin
) -> None:
    world.forget()

    reply = post(service, {"content": HTML, "type": "html", "mode": "lazy"}).json

    paths = re.findall(r'src="https://media\.example/base/img/([^/]+)(/600x400/[^"]+)"', reply["content"])
    assert len(paths) == 1
    assert paths[0][0] == signing.sign([KEY], paths[0][1])
    assert reply["content"] == HTML.replace(WRAPPED, f"https://media.example/base/img/{''.join(paths[0])}")
    assert reply["counts"] == {"references": 1, "localised": 1, "left": 0, "failed": 0}
    (image,) = reply["images"]
    assert (image["source"], image["origin"], image["declared_size"]) == (WRAPPED, URL, [600, 400])
    assert world.hits() == 0


def test_lazy_is_the_default_and_its_paths_work(service: Service) -> None:
    content = post(service, {"content": HTML}).json["content"]

    path = content.split("https://media.example/base")[1].split('"')[0]
    assert service.get(path).headers["content-type"] == "image/jpeg"


def test_a_format_by_name_stands_in_the_paths(service: Service) -> None:
    content = post(service, {"content": HTML, "format": "webp"}).json["content"]

    assert "/600x400,webp/" in content


def test_running_it_again_changes_nothing(service: Service) -> None:
    once = post(service, {"content": HTML, "type": "html"}).json["content"]

    assert post(service, {"content": once, "type": "html"}).json["content"] == once


@pytest.mark.parametrize("content", ["", "plain text", "<p>no picture</p>", "# title\n\ntext\n"])
def test_nothing_to_do_gives_back_the_same(service: Service, content: str) -> None:
    reply = post(service, {"content": content, "type": None, "base_url": None, "front_matter": None}).json

    assert reply["content"] == content
    assert reply["images"] == []


def test_eager_fetches_first_and_its_assets_are_there(service: Service, world: Origin) -> None:
    reply = post(service, {"content": HTML, "type": "html", "mode": "eager"}).json

    (image,) = reply["images"]
    assert image["status"] == "localised"
    assert image["original"].endswith(f"/assets/{hashlib.sha256(jpeg('a')).hexdigest()}.jpg")
    assert f'src="{image["thumbnail"]}"' in reply["content"]
    for name in (image["original"], image["thumbnail"]):
        asset = service.get(name.removeprefix("https://media.example/base"))
        assert asset.status == 200
        assert hashlib.sha256(asset.body).hexdigest() in name


def test_eager_reports_what_failed_and_leaves_its_text(service: Service, world: Origin) -> None:
    world.on("/gone.jpg", Reply(status=404))
    content = '<img src="http://news.example/gone.jpg"><img src="http://127.0.0.1/x.jpg">'

    reply = post(service, {"content": content, "type": "html", "mode": "eager"}).json

    assert reply["content"] == content
    assert [image["code"] for image in reply["images"]] == ["source_missing", "source_refused"]
    assert reply["counts"]["failed"] == 2


def test_an_image_that_its_origin_lets_nobody_keep_is_an_asset_all_the_same(
    service: Service, world: Origin
) -> None:
    world.on("/private.jpg", Reply(body=jpeg("p"), headers={"cache-control": "no-store"}))

    reply = post(service, {"content": "![x](http://news.example/private.jpg)", "mode": "eager"}).json

    name = reply["images"][0]["original"].removeprefix("https://media.example/base")
    assert service.get(name).body == jpeg("p")


def test_front_matter_fields_follow_their_table_and_the_request(service: Service) -> None:
    by_default = post(service, {"content": MARKDOWN, "type": "markdown"}).json["content"]
    skipped = post(
        service, {"content": MARKDOWN, "type": "markdown", "front_matter": {"headimg": "skip"}}
    ).json["content"]

    assert "headimg: 'https://media.example/base/img/" in by_default
    assert f"headimg: '{WRAPPED}'" in skipped


def test_relative_addresses_stand_against_the_base(service: Service) -> None:
    content = '<img src="pictures/a.jpg">'

    left = post(service, {"content": content, "type": "html"}).json
    done = post(service, {"content": content, "type": "html", "base_url": "http://news.example/x.html"}).json

    assert (left["content"], left["counts"]["left"]) == (content, 1)
    assert done["images"][0]["origin"] == URL


@pytest.mark.parametrize(
    ("media_type", "encoding"),
    [
        ("text/html; charset=utf-8", "utf-8"),
        ("text/html;charset=windows-1252", "cp1252"),
        ("TEXT/HTML", "utf-8"),
        ("text/html; charset=gbk", "gb18030"),
    ],
)
def test_raw_html_comes_back_in_its_own_type_with_every_other_byte_as_it_was(
    service: Service, media_type: str, encoding: str
) -> None:
    article = HTML.encode(encoding)

    reply = raw(service, article, media_type)

    assert reply.headers["content-type"] == media_type
    before, after = article.split(WRAPPED.encode())
    assert reply.body.startswith(before + b"https://media.example/base/img/")
    assert reply.body.endswith(after)


def test_raw_markdown_takes_its_options_from_the_query(service: Service) -> None:
    article = b"\n---\ntitle: x\n---\n![x](pictures/a.jpg)\r\n"

    reply = raw(service, article, "text/markdown", "?mode=eager&base_url=http%3A%2F%2Fnews.example%2F")

    name = hashlib.sha256(jpeg("a")).hexdigest()
    assert reply.body == article.replace(
        b"pictures/a.jpg", f"https://media.example/base/assets/{name}.jpg".encode()
    )
    assert reply.headers["content-type"] == "text/markdown"


@pytest.mark.parametrize(
    "value",
    [
        b"", b"{", b"[]", b"null", b'"x"', b'{"content":"\xff"}', b'{"content":"\\ud800"}', b'{"content":"x"}x',  # noqa: E501
        {}, {"content": 5}, {"content": None}, {"content": "x", "type": "pdf"}, {"content": "x", "type": 1},
        {"content": "x", "mode": "now"}, {"content": "x", "mode": ["lazy"]}, {"content": "x", "base_url": "nonsense"},  # noqa: E501
        {"content": "x", "base_url": "ftp://a.example/"}, {"content": "x", "base_url": 5},
        {"content": "x", "front_matter": []}, {"content": "x", "front_matter": {"a": "b"}},
        {"content": "x", "front_matter": {"a": ["skip"]}}, {"content": "x", "format": "gif"},
        {"content": "x", "colour": "red"},
    ],
)  # fmt: skip
def test_json_that_cannot_be_read_is_refused(service: Service, value: Any) -> None:
    reply = post(service, value)

    assert (reply.status, reply.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    "query", ["?mode=now", "?base_url=x", "?colour=red", "?mode=lazy&mode=eager", "?format=bmp"]
)
def test_a_query_that_cannot_be_read_is_refused(service: Service, query: str) -> None:
    reply = raw(service, b"x", "text/html", query)

    assert (reply.status, reply.code) == (400, "invalid_request")


def test_wide_encodings_are_refused(service: Service) -> None:
    reply = raw(service, HTML.encode("utf-16"), "text/html")

    assert (reply.status, reply.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    "media_type", ["application/xml", "text/plain", "application/x-www-form-urlencoded", "image/png"]
)
def test_other_types_are_refused(service: Service, media_type: str) -> None:
    reply = raw(service, b"x", media_type)

    assert (reply.status, reply.code) == (400, "invalid_request")
    assert "text/html" in reply.json["detail"]


def test_a_body_of_no_type_is_refused(service: Service) -> None:
    reply = service.ask("POST", "/v1/rewrite", b"<p>x")

    assert (reply.status, reply.code) == (400, "invalid_request")


def test_a_coded_body_is_refused(service: Service) -> None:
    reply = service.ask("POST", "/v1/rewrite", b"x", Content_Type="text/html", Content_Encoding="gzip")

    assert (reply.status, reply.code) == (400, "invalid_request")


def test_the_limit_is_of_the_article_and_not_of_its_envelope(service: Service) -> None:
    largest = 100 * 1024

    assert raw(service, b"x" * largest, "text/html").status == 200
    assert post(service, {"content": "\n" * largest}).status == 200
    assert post(service, b'{"content":"' + b"\\u000a" * largest + b'"}').status == 200
    for reply in (
        raw(service, b"x" * (largest + 1), "text/html"),
        post(service, {"content": "x" * (largest + 1)}),
        post(service, {"content": "é" * (largest // 2 + 1)}),
        post(service, b" " * 800_000),
    ):
        assert (reply.status, reply.code) == (413, "body_too_large")


def test_a_chunked_body_that_grows_too_large_is_refused(service: Service) -> None:
    connection = service.connect()
    connection.request(
        "POST", "/v1/rewrite", iter([b"x" * 50_000] * 5), {"Content-Type": "text/html"}, encode_chunked=True
    )

    assert connection.getresponse().status == 413
    connection.close()


def test_large_bodies_are_only_so_many_at_once(service: Service) -> None:
    """Each client promises the most that is allowed and sends half of it."""
    largest = 6 * 100 * 1024 + 65536
    head = (
        f"POST /v1/rewrite HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {largest}\r\n\r\n"  # noqa: E501
    ).encode()
    clients = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(12)]
    for one in clients:
        one.sendall(head + b" " * (largest // 2))

    eventually(lambda: any(b" 503 " in peeked(one) for one in clients))
    full = b'{"content":"' + b"\\u000a" * 90_000 + b'"}'
    assert service.get("/healthz").status == 200
    for one in clients:
        one.close()
    eventually(lambda: post(service, full).status == 200)


def peeked(connection: socket.socket) -> bytes:
    connection.settimeout(0.05)
    try:
        return connection.recv(100, socket.MSG_PEEK)
    except (TimeoutError, ConnectionError):
        return b""


@pytest.fixture(scope="module")
def guarded(world: Origin) -> Iterator[Service]:
    with Service(world, API_TOKEN="s3cret") as running:
        yield running


GUARDED = [
    ("POST", "/v1/rewrite", b"x"),
    ("GET", f"/v1/info?url={URL}", None),
    ("HEAD", f"/v1/info?url={URL}", None),
    ("POST", "/v1/warm", orjson.dumps({"images": [{"url": URL}]})),
    ("DELETE", f"/v1/cache?url={URL}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), GUARDED)
@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer s3cret2", "Bearer \xe9"]
)
def test_guarded_routes_need_the_token(
    guarded: Service, method: str, path: str, body: bytes | None, given: str
) -> None:
    headers = {"Authorization": given} if given else {}

    reply = guarded.ask(method, path, body, Content_Type="text/html", **headers)

    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert method == "HEAD" or reply.code == "unauthorized"


@pytest.mark.parametrize(("method", "path", "body"), GUARDED)
def test_the_token_opens_them(guarded: Service, method: str, path: str, body: bytes | None) -> None:
    kind = "text/html" if path == "/v1/rewrite" else "application/json"

    reply = guarded.ask(method, path, body, Content_Type=kind, Authorization="bearer s3cret")

    assert reply.status in (200, 202, 204)


def test_images_and_resolving_need_no_token(guarded: Service) -> None:
    assert guarded.get(f"/v1/image?url={URL}").status == 200
    assert guarded.get(f"/v1/resolve?url={URL}").status == 200


def test_without_keys_lazy_paths_are_unsafe_and_start_at_the_root(guarded: Service) -> None:
    reply = guarded.ask(
        "POST", "/v1/rewrite", HTML.encode(), Content_Type="text/html", Authorization="Bearer s3cret"
    )

    assert b'src="/img/unsafe/600x400/' in reply.body


def test_an_article_succeeds_while_the_store_is_out_of_reach() -> None:
    with Origin() as world:
        world.on("/unkept.jpg", Reply(body=jpeg("unkept")))
        service = Service(world, STORE_URL="s3://bucket/prefix")
        service.environment |= {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }
        with service as running:
            text = '<img src="http://news.example/unkept.jpg">'
            reply = running.ask(
                "POST",
                "/v1/rewrite",
                orjson.dumps({"content": text, "type": "html", "mode": "eager"}),
                Content_Type="application/json",
            )

    assert reply.status == 200
    told = reply.json
    assert told["content"] == text
    assert [image["code"] for image in told["images"]] == ["store_failed"]
