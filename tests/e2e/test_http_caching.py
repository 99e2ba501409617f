"""What is kept and for how long, as clients and origins see it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.support.origin import Gate, Origin, Reply, jpeg
from tests.support.service import Service, eventually, image_path

HOST = "http://news.example"


def test_a_stale_picture_serves_while_its_origin_fails_and_the_origin_is_left_alone(origin: Origin) -> None:
    origin.on("/a.jpg", Reply(body=jpeg(), headers={"cache-control": "max-age=1"}), Reply(status=500))
    path = image_path(f"{HOST}/a.jpg")
    with Service(origin, MIN_TTL="1s", FETCH_RETRIES="0") as service:
        service.get(path)
        eventually(partial(_is, service, path, "STALE"))

        replies = [service.get(path) for _ in range(20)]

    assert {(reply.status, reply.headers["x-cache"], reply.body) for reply in replies} == {
        (200, "STALE", jpeg())
    }
    assert origin.hits("/a.jpg") == 2


def test_a_stale_picture_serves_at_once_while_it_is_asked_for_again(origin: Origin) -> None:
    gate = Gate()
    brief = {"cache-control": "max-age=1, stale-while-revalidate=600"}
    origin.on(
        "/a.jpg",
        Reply(body=jpeg("before"), headers=brief),
        Reply(body=jpeg("after"), headers=brief, hold=gate),
        Reply(status=500),
    )
    path = image_path(f"{HOST}/a.jpg")
    with Service(origin, MIN_TTL="1s", FETCH_RETRIES="0") as service:
        service.get(path)
        eventually(partial(_is, service, path, "STALE"))
        origin.wait_hits("/a.jpg", 2)
        assert service.get(path).body == jpeg("before")
        gate.open()
        eventually(lambda: service.get(path).body == jpeg("after"))
        origin.wait_hits("/a.jpg", 2)
        eventually(partial(_is, service, path, "STALE"))
        origin.wait_hits("/a.jpg", 3)

        assert {service.get(path).status for _ in range(20)} == {200}

    assert origin.hits("/a.jpg") == 3


def test_a_304_that_says_nothing_of_freshness_leaves_it_as_it_was(origin: Origin) -> None:
    origin.on("/a.jpg", Reply(body=jpeg(), headers={"cache-control": "max-age=2"}, etag='W/"1"'))
    origin.on(
        "/b.jpg",
        Reply(body=jpeg("b"), headers={"cache-control": "max-age=2", "etag": '"1"'}),
        Reply(raw=b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'),
    )
    with Service(origin, MIN_TTL="1s") as service:
        for path in (image_path(f"{HOST}/a.jpg"), image_path(f"{HOST}/b.jpg")):
            service.get(path)
            eventually(partial(_is, service, path, "REVALIDATED"))

            assert int(service.get(path).headers["cache-control"].split("max-age=")[1].split(",")[0]) <= 2


def _is(service: Service, path: str, cache: str) -> bool:
    return service.get(path).headers["x-cache"] == cache


@pytest.mark.parametrize("options", ["original", "600x400"])
@pytest.mark.parametrize("width", [1200, 4000])
def test_a_damaged_blob_is_set_aside_and_fetched_again_before_anyone_sees_it(
    origin: Origin, options: str, width: int
) -> None:
    origin.on("/a.jpg", Reply(body=jpeg(width=width, height=width)))
    path = image_path(f"{HOST}/a.jpg", options)
    with Service(origin, MEMORY_CACHE_BYTES="0") as service:
        whole = service.get(path)
        blobs = service.folder / "data" / "blobs"
        _damage(blobs)

        again = service.get(path)

        assert (whole.status, again.status, again.body) == (200, 200, whole.body)
        assert list((blobs / "quarantine").iterdir()) != []
    assert origin.hits("/a.jpg") == 2


def test_a_damaged_asset_is_missing_and_what_is_rewritten_now_is_fetched_again(origin: Origin) -> None:
    article = f'<img src="{HOST}/pictures/a.jpg" data-size="60,40">'.encode()
    with Service(origin, MEMORY_CACHE_BYTES="0") as service:
        first = service.ask("POST", "/v1/rewrite?mode=eager", article, Content_Type="text/html").body
        asset = first.split(b'"')[1].decode()
        _damage(service.folder / "data" / "blobs")

        assert (service.get(asset).status, service.get(asset).code) == (404, "source_missing")
        again = service.ask("POST", "/v1/rewrite?mode=eager", article, Content_Type="text/html").body
        assert again == first
        assert service.get(asset).status == 200


def test_a_cache_much_too_small_keeps_to_its_limit_and_serves_everyone(origin: Origin) -> None:
    limit = 3 * 2**20
    with Service(
        origin, WORKERS="2", MEMORY_CACHE_BYTES="0", CACHE_MAX_BYTES=str(limit), QUEUE_DEPTH="500"
    ) as service:
        blobs = service.folder / "data" / "blobs"

        def ask(number: int) -> tuple[int, bool]:
            name, options = str(number * 7919 % 100), "600x400" if number % 3 == 0 else "original"
            reply = service.get(image_path(f"{HOST}/pictures/{name}.jpg", options))
            return reply.status, options != "original" or reply.body == jpeg(name)

        most = 0
        with ThreadPoolExecutor(16) as clients:
            for start in range(0, 600, 50):
                assert set(clients.map(ask, range(start, start + 50))) == {(200, True)}
                most = max(most, _disk_bytes(blobs))

        assert limit // 2 < most <= limit


def _disk_bytes(blobs: Path) -> int:
    return sum(-(-file.stat().st_size // 4096) * 4096 for file in blobs.glob("??/*"))


def _damage(blobs: Path) -> None:
    """Flips a byte in the middle of each."""
    for file in blobs.glob("??/*"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 0xFF
        file.write_bytes(data)


def test_five_hundred_who_ask_two_processes_at_once_cost_the_origin_one_request(origin: Origin) -> None:
    gate = Gate()
    origin.on("/a.jpg", Reply(body=jpeg(), hold=gate))
    with Service(origin, WORKERS="2") as service, ThreadPoolExecutor(500) as clients:
        asked = [clients.submit(service.get, image_path(f"{HOST}/a.jpg", "600x400")) for _ in range(500)]
        eventually(lambda: all(_accepted(server, service.port) for server in service.servers()))
        origin.wait_hits("/a.jpg", 1)
        gate.open()
        replies = [one.result() for one in asked]

        assert len(service.servers()) == 2

    assert Counter(reply.status for reply in replies) == {200: 500}
    assert len({reply.body for reply in replies}) == 1
    assert origin.hits("/a.jpg") == 1


def test_when_the_process_that_fetches_is_killed_the_one_that_waits_takes_over(origin: Origin) -> None:
    gate = Gate()
    origin.on("/a.jpg", Reply(body=jpeg(), hold=gate), Reply(body=jpeg()))
    with Service(origin, WORKERS="2") as service, ThreadPoolExecutor(20) as clients:
        asked = [clients.submit(_status, service, image_path(f"{HOST}/a.jpg")) for _ in range(20)]
        eventually(lambda: all(_accepted(server, service.port) for server in service.servers()))
        origin.wait_hits("/a.jpg", 1)
        (leader,) = [server for server in service.servers() if _asks(server, origin.port)]

        leader.kill()

        origin.wait_hits("/a.jpg", 2, 3.0)
        statuses = Counter(one.result() for one in asked)
        gate.open()

    assert set(statuses) == {0, 200}


def _status(service: Service, path: str) -> int:
    """0: the connection was broken off."""
    try:
        return service.get(path).status
    except ConnectionError:
        return 0


def _accepted(server: psutil.Process, port: int) -> bool:
    return any(one.laddr.port == port and one.raddr for one in server.net_connections("tcp"))


def _asks(server: psutil.Process, port: int) -> bool:
    return any(one.raddr and one.raddr.port == port for one in server.net_connections("tcp"))
