"""Services that share an index and an object store: news of purges, redirects, and the day one of them goes away."""

import hashlib
import urllib.request
from collections.abc import Iterator

import pytest

from tests.origin import Origin, jpeg
from tests.servers import SeaweedS3, Valkey
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


def test_assets_may_be_redirected_into_the_object_store(origin: Origin, s3: SeaweedS3) -> None:
    service = Service(origin, STORE_URL=s3.url("redirected"), REDIRECT_ASSETS="true")
    service.environment |= s3.environment
    digest = hashlib.sha256(jpeg("shared")).hexdigest()
    with service:
        assert service.get(image_path(URL)).body == jpeg("shared")

        reply = service.get(f"/assets/{digest}.jpg")
        held_already = service.get(f"/assets/{digest}.jpg", if_none_match=f'"{digest}"')
        missing = service.get(f"/assets/{'0' * 64}.jpg")

        assert reply.status == 302
        assert reply.headers["location"].startswith(s3.endpoint)
        assert "immutable" not in reply.headers["cache-control"]
        with urllib.request.urlopen(reply.headers["location"]) as stored:
            assert stored.read() == jpeg("shared")
            assert stored.headers["content-type"] == "image/jpeg"
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
