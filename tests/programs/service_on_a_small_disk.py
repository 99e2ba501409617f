"""A service on a disk of 16 MiB that fills up or becomes read-only: `service_on_a_small_disk DISK
full|read-only`.

Needs the right to mount: root, or a user namespace. Ends with 0 if the service answered and reported as it
should.
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.support.origin import Origin, Reply, jpeg, picture
from tests.support.service import Service, eventually, image_path

REASONS = {"full": "no space", "read-only": "read-only"}


def at(name: object, options: str = "original") -> str:
    return image_path(f"http://news.example/pictures/{name}.jpg", options)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def images_are_served(service: Service, origin: Origin) -> None:
    large = picture("PNG", "large", 2500, 2000)
    origin.on("/large.png", Reply(body=large))
    for number in range(4):
        assert service.get(at(number)).body == jpeg(str(number))
        assert service.get(at(f"small{number}", "600x400")).status == 200
    assert service.get(at("early", "600x400")).status == 200
    assert service.get(image_path("http://news.example/large.png")).body == large
    article = b'<img src="http://news.example/pictures/a.jpg">'
    rewritten = service.ask("POST", "/v1/rewrite?mode=eager", article, Content_Type="text/html")
    assert (rewritten.status, rewritten.body) == (200, article)  # no asset that would be missing


def operators_hear_of_it(service: Service, disk: Path, day: str) -> None:
    eventually(lambda: set(service.get("/readyz").json["degraded"]) == {"index", "store"})
    ready = service.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    assert REASONS[day] in ready.json["reasons"]["store"], ready.json
    assert str(disk).encode() not in ready.body
    metrics = service.get("/metrics").body.decode()
    for failure in ('operation="keep",store="blobs"', 'operation="write",store="index"'):
        assert f"mediasvc_store_errors_total{{{failure}}}" in metrics, failure
    assert any("store.failed" in line and "store=blobs" in line for line in service.lines)
    purged = service.ask("DELETE", "/v1/cache?url=http://news.example/pictures/early.jpg")
    assert purged.code == "store_failed"


def the_service_recovers(service: Service, disk: Path) -> None:
    (disk / "filler").unlink()
    eventually(lambda: service.get("/readyz").json["status"] == "ready", 30)
    assert service.get(at("late")).headers["x-cache"] == "MISS"
    eventually(lambda: service.get(at("late")).headers["x-cache"] == "HIT")


def main(disk: Path, day: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", disk], check=True)
    settings = {"DATA_DIR": str(disk / "data"), "MEMORY_CACHE_BYTES": "0", "WORKERS": "2"}
    with Origin() as origin:
        if day == "read-only":
            with Service(origin, **settings) as service:
                assert service.get(at("early", "600x400")).status == 200
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with Service(origin, **settings) as service:
            if day == "full":
                assert service.get(at("early", "600x400")).status == 200
                fill(disk)
            images_are_served(service, origin)
            operators_hear_of_it(service, disk, day)
            if day == "full":
                the_service_recovers(service, disk)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
