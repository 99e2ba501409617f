"""Two services that share an index: news of purges, and the day the index goes away."""

from collections.abc import Iterator

import pytest

from tests.origin import Origin
from tests.servers import Valkey
from tests.service import Service, eventually, image_path

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
