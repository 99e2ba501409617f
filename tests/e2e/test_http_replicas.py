"""Services that share an index and an object store: news of purges, redirects, and the day one of them goes
away.
"""

import hashlib
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import psutil
import pytest

from tests.support.clouds import Azurite, FakeGcs
from tests.support.origin import Gate, Origin, Reply, jpeg
from tests.support.servers import TAKES_NO_WRITES, SeaweedS3, Valkey
from tests.support.service import Service, eventually, image_path

URL = "http://news.example/pictures/shared.jpg"
PATH = image_path(URL, "600x400")


@pytest.fixture
def replicas(origin: Origin, own_valkey: Valkey) -> Iterator[tuple[Service, Service]]:
    with (
        Service(origin, INDEX_URL=own_valkey.url) as first,
        Service(origin, INDEX_URL=own_valkey.url) as second,
    ):
        yield first, second


def test_a_purge_is_known_to_the_other_replica_within_three_seconds(
    replicas: tuple[Service, Service],
) -> None:
    first, second = replicas
    for _ in range(2):
        assert first.get(PATH).status == second.get(PATH).status == 200
    assert second.get(PATH).headers["x-cache"] == "HIT"

    assert first.ask("DELETE", f"/v1/cache?url={URL}").status == 204

    eventually(lambda: second.get(PATH).headers["x-cache"] == "MISS", 3.0)


def test_without_its_index_a_replica_says_so_serves_on_and_recovers(
    replicas: tuple[Service, Service], own_valkey: Valkey
) -> None:
    first, _ = replicas
    assert first.get(PATH).status == 200

    own_valkey.kill()

    eventually(lambda: first.get("/readyz").json["degraded"] == ["index"], 10)
    degraded = first.get("/readyz")
    assert degraded.status == 200
    assert degraded.json["reasons"]["index"]
    assert b"127.0.0.1" not in degraded.body
    assert first.get(PATH).status == 200
    assert first.get(image_path("http://news.example/pictures/new.jpg", "600x400")).status == 200
    own_valkey.start()
    eventually(lambda: first.get("/readyz").json["status"] == "ready", 20)
    assert first.get(image_path("http://news.example/pictures/newer.jpg", "600x400")).status == 200


def test_assets_may_be_redirected_into_the_object_store(
    origin: Origin, store: SeaweedS3 | Azurite | FakeGcs
) -> None:
    service = Service(origin, STORE_URL=store.url("redirected"), REDIRECT_ASSETS="true")
    service.environment |= store.environment
    digest = hashlib.sha256(jpeg("shared")).hexdigest()
    with service:
        assert service.get(image_path(URL)).body == jpeg("shared")

        reply = service.get(f"/assets/{digest}.jpg")
        looked_at = service.ask("HEAD", f"/assets/{digest}.jpg")
        held_already = service.get(f"/assets/{digest}.jpg", if_none_match=f'"{digest}"')
        missing = service.get(f"/assets/{'0' * 64}.jpg")

        assert reply.status == 302
        assert reply.headers["location"].startswith(store.endpoint)
        assert "immutable" not in reply.headers["cache-control"]
        with urllib.request.urlopen(reply.headers["location"]) as stored:
            assert stored.read() == jpeg("shared")
            assert stored.headers["content-type"] == "image/jpeg"
        head = urllib.request.Request(looked_at.headers["location"], method="HEAD")
        with urllib.request.urlopen(head) as stored:
            assert stored.headers["content-length"] == str(len(jpeg("shared")))
        assert held_already.status == 304
        assert (missing.status, missing.code) == (404, "source_missing")


def test_without_its_object_store_a_service_serves_what_is_at_hand_and_says_so(
    origin: Origin, own_s3: SeaweedS3
) -> None:
    service = Service(origin, STORE_URL=own_s3.url("gone"))
    service.environment |= own_s3.environment
    with service:
        assert service.get(PATH).status == 200

        own_s3.kill()

        eventually(lambda: service.get("/readyz").json["degraded"] == ["store"], 20)
        assert service.get(PATH).status == 200
        assert service.get(f"/assets/{'0' * 64}.jpg").code == "store_failed"


def test_a_purge_fails_while_the_object_store_is_away_and_is_whole_afterwards(
    origin: Origin, own_s3: SeaweedS3
) -> None:
    service = Service(origin, STORE_URL=own_s3.url("kept"))
    service.environment |= own_s3.environment
    asset = f"/assets/{hashlib.sha256(jpeg('shared')).hexdigest()}.jpg"
    purge = f"/v1/cache?url={URL}"
    with service:
        assert service.get(PATH).status == service.get(asset).status == 200

        own_s3.kill()

        for _ in range(2):
            failed = service.ask("DELETE", purge)
            assert (failed.status, failed.code) == (503, "store_failed")
            assert failed.headers["retry-after"]

        own_s3.start()

        eventually(lambda: service.ask("DELETE", purge).status == 204, 30.0)
        assert service.get(asset).code == "source_missing"


def _new(name: str) -> str:
    """A path of /img for a picture that the origin has under every name."""
    return image_path(f"http://news.example/pictures/{name}.jpg", "600x400")


def _figure(service: Service, start: str) -> float:
    """The sum of the samples whose line begins so."""
    lines = service.get("/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


def test_an_image_that_many_want_of_many_replicas_is_fetched_and_made_once(
    origin: Origin, valkey: Valkey, s3: SeaweedS3
) -> None:
    with ExitStack() as stack:
        replicas = []
        for _ in range(3):
            service = Service(origin, INDEX_URL=valkey.url, STORE_URL=s3.url("many"), WORKERS="2")
            service.environment |= s3.environment
            replicas.append(stack.enter_context(service))
        for number in range(4):
            path = _new(f"many{number}")
            with ThreadPoolExecutor(45) as pool:
                replies = list(pool.map(lambda n, path=path: replicas[n % 3].get(path), range(45)))

            assert {reply.status for reply in replies} == {200}
            assert len({reply.body for reply in replies}) == 1
            assert origin.hits(f"/pictures/many{number}.jpg") == 1
        made = 'mediasvc_image_duration_seconds_count{format="jpeg",operation="render"}'
        assert sum(_figure(replica, made) for replica in replicas) == 4


def test_a_replica_that_is_killed_while_it_fetches_is_waited_for_ten_seconds_at_most(
    replicas: tuple[Service, Service], origin: Origin, own_valkey: Valkey
) -> None:
    gate = Gate()
    origin.on("/held.jpg", Reply(body=jpeg("held"), hold=gate), Reply(body=jpeg("held")))
    path = image_path("http://news.example/held.jpg", "600x400")
    with Service(origin, INDEX_URL=own_valkey.url) as doomed, ThreadPoolExecutor(4) as pool:

        def ask_the_doomed() -> None:
            with suppress(OSError):
                doomed.get(path)

        pool.submit(ask_the_doomed)
        origin.wait_hits("/held.jpg", 1)
        waiting = [pool.submit(replica.get, path) for replica in replicas]
        # They have asked for the lock before its holder dies.
        eventually(lambda: all(_figure(r, "mediasvc_singleflight_waiters") > 0 for r in replicas), 10)
        assert origin.hits("/held.jpg") == 1

        for process in [*psutil.Process(doomed.pid).children(recursive=True), psutil.Process(doomed.pid)]:
            process.kill()
        killed = time.monotonic()
        replies = [one.result(30) for one in waiting]
        waited_s = time.monotonic() - killed
        gate.open()

    assert [reply.status for reply in replies] == [200, 200]
    assert waited_s < 10


@pytest.mark.parametrize(("hurt", "heal", "word"), TAKES_NO_WRITES.values(), ids=TAKES_NO_WRITES)
def test_with_an_index_that_takes_no_writes_a_replica_serves_says_so_and_recovers(
    replicas: tuple[Service, Service],
    own_valkey: Valkey,
    hurt: tuple[str, ...],
    heal: tuple[str, ...],
    word: str,
) -> None:
    first, second = replicas
    assert first.get(PATH).status == 200
    before = _figure(first, "mediasvc_store_errors_total")
    assert own_valkey.ask(*hurt) == "+OK\r\n"

    for number in range(3):
        assert first.get(_new(f"unwritten{number}")).status == 200
    assert first.get(PATH).status == second.get(PATH).status == 200
    eventually(lambda: first.get("/readyz").json["degraded"] == ["index"], 10)
    degraded = first.get("/readyz")
    assert (degraded.status, degraded.json["reasons"]["index"]) == (200, f"Redis: {word}")
    assert _figure(first, "mediasvc_store_errors_total") > before

    assert own_valkey.ask(*heal) == "+OK\r\n"
    eventually(lambda: first.get("/readyz").json["status"] == "ready", 10)
    assert first.get(_new("written")).status == 200
    assert "mediasvc:s:" in own_valkey.ask("KEYS", "mediasvc:s:*")


class SlowRoad:
    """Passes bytes on to a port of this machine, each piece after a while."""

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self._port = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._door.getsockname()[1]}/0"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._open += [near, far]
                threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.delay_s)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for end in self._open:
            end.close()


@pytest.mark.parametrize("delay_s", [0.1, 2.0])
def test_with_a_slow_index_a_replica_serves_within_seconds_and_recovers(
    origin: Origin, own_valkey: Valkey, delay_s: float
) -> None:
    road = SlowRoad(own_valkey.port)
    with Service(origin, INDEX_URL=road.url) as service:
        assert service.get(PATH).status == 200

        road.delay_s = delay_s
        for number in range(4):
            began = time.monotonic()
            assert service.get(_new(f"slow{number}")).status == 200
            assert time.monotonic() - began < 8
        assert service.get(PATH).status == 200
        if delay_s > 1:
            eventually(lambda: service.get("/readyz").json["degraded"] == ["index"], 10)

        road.delay_s = 0.0
        eventually(lambda: service.get("/readyz").json["status"] == "ready", 15)
        assert service.get(_new("quick")).status == 200
    road.close()


def test_an_emptied_or_spoilt_index_costs_fetches_not_errors(
    replicas: tuple[Service, Service], own_valkey: Valkey
) -> None:
    first, second = replicas
    assert first.get(PATH).status == 200

    own_valkey.ask("FLUSHALL")
    assert second.get(PATH).status == 200
    for value in (
        "not json",
        "{}",
        "[" * 50_000,
        '{"digest":"../../etc/passwd"}',
        "x" * 200_000,
        "\x80\x04N.",
    ):
        for key in own_valkey.ask("KEYS", "mediasvc:*").split("\r\n"):
            if key.startswith("mediasvc:"):
                own_valkey.ask("SET", key, value)
        assert first.get(_new(value[:2].encode().hex())).status == 200
        assert second.get(f"{PATH}?").status in {200, 400}
    own_valkey.ask("DEL", "mediasvc:news")
    own_valkey.ask("XADD", "mediasvc:news", "*", "url", "\xff", "digests", "zz ../..", "more", "x")

    assert first.ask("DELETE", f"/v1/cache?url={URL}").status == 204
    eventually(lambda: second.get(PATH).headers["x-cache"] == "MISS", 5.0)
    assert first.get("/readyz").json["status"] == "ready"


@pytest.mark.parametrize("fault", ["gone", "hangs"])
def test_an_object_store_that_fails_under_load_costs_its_own_bytes_only_and_comes_back(
    origin: Origin, own_valkey: Valkey, own_s3: SeaweedS3, fault: str
) -> None:
    with ExitStack() as stack:
        replicas = []
        for _ in range(2):
            service = Service(origin, INDEX_URL=own_valkey.url, STORE_URL=own_s3.url("load"))
            service.environment |= own_s3.environment
            replicas.append(stack.enter_context(service))
        first, second = replicas
        at_hand = [_new(f"hand{number}") for number in range(4)]
        digests = [hashlib.sha256(jpeg(f"hand{number}")).hexdigest() for number in range(4)]
        assert {first.get(path).status for path in at_hand} == {200}
        stop = threading.Event()
        statuses: list[int] = []

        def load(number: int) -> None:
            while not stop.is_set():
                number += 4
                statuses.append(first.get(at_hand[number % 4]).status)
                statuses.append(replicas[number % 2].get(_new(f"load{number}")).status)

        pool = stack.enter_context(ThreadPoolExecutor(4))
        loading = [pool.submit(load, number) for number in range(4)]
        stack.callback(stop.set)

        own_s3.kill() if fault == "gone" else own_s3.pause()
        for replica in replicas:
            eventually(lambda replica=replica: replica.get("/readyz").json["degraded"] == ["store"], 30)  # type: ignore[misc]  # the default of a lambda
        served = first.get(f"/assets/{digests[0]}.jpg")
        elsewhere = second.get(f"/assets/{digests[1]}.jpg")
        own_s3.start() if fault == "gone" else own_s3.resume()
        for replica in replicas:
            eventually(lambda replica=replica: replica.get("/readyz").json["status"] == "ready", 30)  # type: ignore[misc]  # the default of a lambda
        stop.set()
        for one in loading:
            one.result(30)

        assert (served.status, served.body) == (200, jpeg("hand0"))
        assert (elsewhere.status, elsewhere.code) == (503, "store_failed")
        assert set(statuses) == {200}
        back = second.get(f"/assets/{digests[1]}.jpg")
        assert (back.status, back.body) == (200, jpeg("hand1"))
