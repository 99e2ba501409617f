"""One source at a time over HTTP: resolve, info, warm, purge."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from tests.support.origin import Gate, Origin, Reply, jpeg
from tests.support.service import Reply as Answer
from tests.support.service import Service, eventually, image_path, image_query

URL = "http://news.example/pictures/a.jpg"
SETTINGS = {"WORKERS": "2", "QUEUE_DEPTH": "1000"}


@pytest.mark.parametrize(
    ("address", "wrappers"),
    [
        (URL, []),
        (f"https://cors.example.workers.dev/?{URL}", 1),
        (f"https://images.weserv.nl/?url={quote('https://cors.example.workers.dev/?' + URL, safe='')}", 2),
    ],
)
def test_every_layer_is_told(service: Service, address: str, wrappers: Any) -> None:
    reply = service.get(f"/v1/resolve?url={quote(address, safe='')}")

    assert reply.status == 200
    assert (reply.json["source"], reply.json["origin"]) == (address, URL)
    layers = reply.json["layers"]
    assert len(layers) == (wrappers or 0)
    assert all(set(layer) == {"wrapper", "url"} for layer in layers)
    assert not layers or layers[-1]["url"] == URL


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "invalid_request"),
        ("?url=", 400, "invalid_request"),
        ("?url=a&url=b", 400, "invalid_request"),
        ("?url=http%3A%2F%2Fa.example&x=1", 400, "invalid_request"),
        ("?url=nonsense", 400, "invalid_request"),
        ("?url=http://127.0.0.1/", 403, "source_refused"),
        ("?url=file:///etc/passwd", 403, "source_refused"),
    ],
)
def test_what_cannot_be_resolved_is_told(service: Service, query: str, status: int, code: str) -> None:
    reply = service.get(f"/v1/resolve{query}")

    assert (reply.status, reply.code) == (status, code)


def test_info_says_what_an_original_is(service: Service) -> None:
    info = service.get(f"/v1/info?url={quote(URL)}").json

    assert info["origin"] == URL
    assert info["digest"] == hashlib.sha256(jpeg("a")).hexdigest()
    assert (info["format"], info["width"], info["height"], info["bytes"]) == (
        "jpeg",
        1200,
        800,
        len(jpeg("a")),
    )
    assert info["animated"] is False
    assert len(info["thumbhash"]) > 20
    assert info["fetched_at"].endswith("Z")
    assert info["expires_at"] > info["fetched_at"]


def test_info_of_what_is_gone_is_a_problem(service: Service, world: Origin) -> None:
    world.on("/gone.jpg", Reply(status=404))

    reply = service.get("/v1/info?url=http://news.example/gone.jpg")

    assert (reply.status, reply.code) == (404, "source_missing")


def warm(service: Service, value: object) -> Answer:
    return service.ask("POST", "/v1/warm", orjson.dumps(value), Content_Type="application/json")


def test_warmed_images_are_there_before_they_are_asked_for(service: Service, world: Origin) -> None:
    urls = [f"http://news.example/pictures/warm{number}.jpg" for number in range(5)]

    reply = warm(service, {"images": [{"url": url, "size": "600,400"} for url in urls]})

    assert (reply.status, reply.json) == (202, {"accepted": 5})
    for url in urls:
        path = url.removeprefix("http://news.example")
        eventually(partial(lambda path: world.hits(path) == 1, path))
        assert service.get(image_path(url, "600x400,keep")).status == 200
        assert world.hits(path) == 1


def test_one_image_that_fails_does_not_end_the_others(service: Service, world: Origin) -> None:
    world.on("/broken.jpg", Reply(body=b"GIF89a"))

    warm(service, {"images": [{"url": "http://news.example/broken.jpg"}] * 5 + [{"url": URL, "size": None}]})
    warm(service, {"images": [{"url": "http://news.example/pictures/after.jpg"}]})

    eventually(lambda: world.hits("/pictures/after.jpg") == 1)


@pytest.mark.parametrize(
    "value",
    [
        {}, [], None, {"images": []}, {"images": {}}, {"images": ["x"]}, {"images": [{}]}, {"images": [{"url": 5}]},  # noqa: E501
        {"images": [{"url": "nonsense"}]}, {"images": [{"url": URL, "size": "big"}]}, {"images": [{"url": URL, "size": 5}]},  # noqa: E501
        {"images": [{"url": URL, "x": 1}]}, {"images": [{"url": URL}], "x": 1}, {"images": [{"url": URL}] * 1001},  # noqa: E501
    ],
)  # fmt: skip
def test_what_cannot_be_read_warms_nothing(service: Service, value: object) -> None:
    reply = warm(service, value)

    assert (reply.status, reply.code) == (400, "invalid_request")


def test_what_is_not_json_warms_nothing(service: Service) -> None:
    reply = service.ask("POST", "/v1/warm", b'{"images":[]}', Content_Type="text/plain")

    assert (reply.status, reply.code) == (400, "invalid_request")


def test_when_too_many_wait_none_is_taken(world: Origin) -> None:
    gate = Gate()
    for number in range(10):
        world.on(f"/held{number}.jpg", Reply(hold=gate, status=404))
    held = [{"url": f"http://news.example/held{number}.jpg"} for number in range(10)]
    others = [{"url": f"http://news.example/pictures/w{number}.jpg"} for number in range(990)]
    with Service(world, QUEUE_DEPTH="10") as service:
        first = warm(service, {"images": held + others})
        second = warm(service, {"images": others})
        gate.open()

    assert first.status == 202
    assert (second.status, second.code) == (503, "overloaded")
    assert int(second.headers["retry-after"]) >= 1


def test_a_purge_is_known_to_every_process_within_three_seconds(service: Service, world: Origin) -> None:
    url = "http://news.example/pictures/purged.jpg"
    paths = [image_path(url), image_path(url, "600x400"), image_query(url, size="300,300")]
    asset = f"/assets/{hashlib.sha256(jpeg('purged')).hexdigest()}.jpg"
    # Fresh connections are shared out between the processes, so that both come to hold all of it.
    for path in [*paths, asset] * 12:
        assert service.get(path).status == 200
    assert world.hits("/pictures/purged.jpg") == 1

    purged = service.ask("DELETE", f"/v1/cache?url={quote('https://x.workers.dev/?' + url, safe='')}")

    assert (purged.status, purged.body) == (204, b"")
    eventually(lambda: all(service.get(asset).status == 404 for _ in range(12)), 3.0)
    for path in paths:
        assert service.get(path).status == 200
    assert world.hits("/pictures/purged.jpg") == 2


@pytest.fixture(scope="module")
def many(world: Origin) -> Iterator[Service]:
    with Service(world, WORKERS="4") as running:
        yield running


def test_after_a_purge_no_process_answers_with_old_bytes(many: Service, world: Origin) -> None:
    url, path = "http://news.example/read-your-writes.jpg", "/read-your-writes.jpg"
    paths = [image_path(url), image_query(url)]
    old_replies = []
    for version in range(6):
        world.on(path, Reply(body=jpeg(f"version {version}")))
        assert many.ask("DELETE", f"/v1/cache?url={url}").status == 204
        # Fresh connections are shared out between the processes, so that each comes to keep it in memory.
        for one in paths * 10:
            reply = many.get(one)
            if reply.body != jpeg(f"version {version}"):
                old_replies.append((version, one))

    assert old_replies == []
    assert many.get(paths[0]).headers["x-cache"] == "HIT"


def test_a_fetch_that_ends_after_a_purge_cannot_bring_old_bytes_back(many: Service, world: Origin) -> None:
    url, path = "http://news.example/written-behind.jpg", "/written-behind.jpg"
    gate = Gate()
    world.on(path, Reply(body=jpeg("old"), hold=gate), Reply(body=jpeg("new")))

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(many.get, image_path(url))
        world.wait_hits(path, 1)
        assert many.ask("DELETE", f"/v1/cache?url={url}").status == 204
        later = [pool.submit(many.get, image_path(url)) for _ in range(8)]
        gate.open()
        bodies = {future.result().body for future in [first, *later]}

    assert bodies == {jpeg("new")}


@pytest.mark.parametrize("before", [Reply(body=jpeg("before")), Reply(status=404)], ids=["image", "missing"])
@pytest.mark.parametrize("options", ["original", "60x40"])
def test_what_was_on_its_way_when_it_was_purged_is_fetched_anew(
    service: Service, world: Origin, options: str, before: Reply
) -> None:
    gate = Gate()
    path = f"/on-its-way-{options}-{before.status}.jpg"
    world.on(path, replace(before, hold=gate), Reply(body=jpeg("after")))
    world.on(f"/like{path}", Reply(body=jpeg("after")))
    wanted = service.get(image_path(f"http://news.example/like{path}", options)).body

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.get, image_path(f"http://news.example{path}", options))
        world.wait_hits(path, 1)
        purged = service.ask("DELETE", f"/v1/cache?url=http://news.example{path}")
        gate.open()

    assert purged.status == 204
    assert first.result().body == wanted
    assert all(
        service.get(image_path(f"http://news.example{path}", options)).body == wanted for _ in range(12)
    )
    assert world.hits(path) == 2


def test_a_purge_of_what_was_never_known_or_is_forbidden_is_no_failure(service: Service) -> None:
    assert service.ask("DELETE", "/v1/cache?url=http://127.0.0.1/allowed-once.jpg").status == 204
    assert service.ask("DELETE", "/v1/cache?url=http://news.example/never.jpg").status == 204


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "invalid_request"),
        ("?url=x", 400, "invalid_request"),
        ("?url=gopher://a/", 403, "source_refused"),
    ],
)
def test_a_purge_that_cannot_be_read_is_told(service: Service, query: str, status: int, code: str) -> None:
    reply = service.ask("DELETE", f"/v1/cache{query}")

    assert (reply.status, reply.code) == (status, code)
