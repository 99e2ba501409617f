"""`mediasvc cache`, alone and beside a service that runs."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.origin import Origin, jpeg
from tests.support.programs import Ended, environment, mediasvc
from tests.support.servers import SeaweedS3
from tests.support.service import Service, eventually, image_path

HOST = "http://news.example"


def cache(folder: Path, *arguments: str, **settings: str) -> Ended:
    """`mediasvc cache …` on the data folder of a service."""
    return mediasvc(["cache", *arguments], environment(folder / "data", **settings))


def figures(folder: Path, **settings: str) -> dict[str, Any]:
    """What `cache stats` says; JSON, so each value is checked by who asks for it."""
    ended = cache(folder, "stats", "--json", **settings)
    assert ended.code == 0, ended.err
    told: dict[str, Any] = json.loads(ended.out)
    return told


def test_stats_say_how_many_how_large_how_often_and_of_whom(origin: Origin) -> None:
    with Service(origin, WORKERS="2") as service:
        for _ in range(10):
            service.get(image_path(f"{HOST}/pictures/a.jpg", "600x400"))
        service.get(image_path("http://other.example/pictures/b.jpg"))
        service.get(image_path(f"{HOST}/missing.jpg"))
        service.get(f"/v1/info?url={HOST}/pictures/a.jpg")

        eventually(lambda: figures(service.folder)["hits"] == 10)
        told = figures(service.folder)
        text = cache(service.folder, "stats").out.decode()

    sizes = {"news.example": len(jpeg("a")), "other.example": len(jpeg("b"))}
    assert (told["sources"], told["renditions"], told["failures"], told["blobs"]) == (2, 1, 1, 3)
    assert told["original_bytes"] == sum(sizes.values())
    assert (told["hits"], told["misses"], told["hit_ratio"]) == (10, 2, 0.8333)
    assert told["hosts"] == [
        {"host": host, "sources": 1, "bytes": size}
        for host, size in sorted(sizes.items(), key=lambda item: -item[1])
    ]
    assert f"hosts: host=news.example sources=1 bytes={sizes['news.example']}\n" in text


def test_an_empty_cache_has_figures_as_well(tmp_path: Path) -> None:
    told = figures(tmp_path)

    assert (told["sources"], told["blobs"], told["hit_ratio"], told["hosts"]) == (0, 0, None, [])


def test_commands_that_fetch_are_counted(origin: Origin, tmp_path: Path) -> None:
    fetching = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    for _ in range(3):
        output = str(tmp_path / "a.jpg")
        assert mediasvc(["fetch", f"{HOST}/pictures/a.jpg", "-o", output], fetching).code == 0

    told = figures(tmp_path)

    assert (told["hits"], told["misses"]) == (2, 1)


def test_what_lies_here_does_not_count_as_being_in_a_store_that_comes_later(
    origin: Origin, tmp_path: Path, s3: SeaweedS3
) -> None:
    alone = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    moved = alone | s3.environment | {"MEDIASVC_STORE_URL": s3.url("moved")}
    fetch = ["fetch", f"{HOST}/pictures/a.jpg", "-o", str(tmp_path / "a.jpg")]

    assert [mediasvc(fetch, env).code for env in (alone, moved, moved)] == [0, 0, 0]

    assert origin.hits() == 2
    index = tmp_path / "data" / "index.sqlite"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(index, elsewhere)
    assert mediasvc(fetch, moved | {"MEDIASVC_DATA_DIR": str(elsewhere)}).code == 0
    assert origin.hits() == 2


def test_verify_sets_damaged_blobs_aside_and_says_so(origin: Origin) -> None:
    path = image_path(f"{HOST}/pictures/a.jpg")
    with Service(origin, MEMORY_CACHE_BYTES="0") as service:
        service.get(path)
        assert cache(service.folder, "verify").code == 0
        (blob,) = (service.folder / "data" / "blobs").glob("??/*")
        blob.write_bytes(b"torn")

        ended = cache(service.folder, "verify", "--json")

        assert ended.code == 3
        assert json.loads(ended.out) == {"checked": 1, "damaged": [blob.name]}
        assert figures(service.folder)["quarantined"] == 1
        assert service.get(path).body == jpeg("a")
        assert json.loads(cache(service.folder, "gc", "--json").out)["quarantined"] == 1


def test_gc_reaches_a_smaller_limit_while_the_service_runs(origin: Origin) -> None:
    paths = [image_path(f"{HOST}/pictures/{number}.jpg") for number in range(20)]
    with Service(origin, MEMORY_CACHE_BYTES="0") as service:
        for path in paths:
            service.get(path)

        def fits() -> bool:
            assert cache(service.folder, "gc", CACHE_MAX_BYTES="1MiB").code == 0
            return bool(0 < figures(service.folder)["disk_bytes"] <= 2**20)

        eventually(fits)  # what was served a moment ago stays for a moment more
        assert {service.get(path).status for path in paths} == {200}


@pytest.mark.parametrize("wrapper", ["", "https://x.workers.dev/?"])
def test_a_purge_by_hand_reaches_every_process_by_source_or_origin(origin: Origin, wrapper: str) -> None:
    path = image_path(f"{HOST}/pictures/a.jpg", "600x400")
    asset = f"/assets/{hashlib.sha256(jpeg('a')).hexdigest()}.jpg"
    with Service(origin, WORKERS="2") as service:
        for _ in range(12):  # so that both processes hold both
            assert (service.get(path).status, service.get(asset).status) == (200, 200)
        assert figures(service.folder)["blobs"] == 2

        ended = cache(service.folder, "purge", f"{wrapper}{HOST}/pictures/a.jpg")

        assert (ended.code, ended.out) == (0, f"purged {HOST}/pictures/a.jpg\n".encode())
        assert figures(service.folder)["blobs"] == 0
        eventually(lambda: all(service.get(asset).status == 404 for _ in range(12)), 3.0)
        assert service.get(path).headers["x-cache"] == "MISS"
    assert origin.hits() == 2
