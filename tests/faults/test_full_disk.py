"""A service whose disk is full, or becomes read-only: images are served without being kept, and operators hear of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Run where it may mount what it likes, for nobody else to see.
PROGRAM = """
import subprocess, sys
from pathlib import Path
from tests.support.origin import Origin, jpeg, picture, Reply
from tests.support.service import Service, eventually, image_path

disk, day = Path(sys.argv[1]), sys.argv[2]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", disk], check=True)

def at(name, options="original"):
    return image_path(f"http://news.example/pictures/{name}.jpg", options)

with Origin() as origin:
    settings = {"DATA_DIR": str(disk / "data"), "MEMORY_CACHE_BYTES": "0", "WORKERS": "2"}
    if day == "read-only":
        with Service(origin, **settings) as service:
            assert service.get(at("early", "600x400")).status == 200
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with Service(origin, **settings) as service:
        if day == "full":
            assert service.get(at("early", "600x400")).status == 200
            with (disk / "filler").open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass
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

        eventually(lambda: set(service.get("/readyz").json["degraded"]) == {"index", "store"})
        ready = service.get("/readyz")
        assert (ready.status, ready.json["status"]) == (200, "degraded")
        why = {"full": "no space", "read-only": "read-only"}[day]
        assert why in ready.json["reasons"]["store"], ready.json
        assert str(disk).encode() not in ready.body
        counted = service.get("/metrics").body.decode()
        for failure in ('operation="keep",store="blobs"', 'operation="write",store="index"'):
            assert f"mediasvc_store_errors_total{{{failure}}}" in counted, failure
        assert any("store.failed" in line and "store=blobs" in line for line in service.lines)
        assert service.ask("DELETE", "/v1/cache?url=http://news.example/pictures/early.jpg").code == "store_failed"

        if day == "full":
            (disk / "filler").unlink()
            eventually(lambda: service.get("/readyz").json["status"] == "ready", 30)
            assert service.get(at("late")).headers["x-cache"] == "MISS"
            eventually(lambda: service.get(at("late")).headers["x-cache"] == "HIT")
"""


@pytest.mark.parametrize("day", ["full", "read-only"])
def test_a_service_without_a_disk_serves_and_says_what_is_wrong(tmp_path: Path, day: str) -> None:
    # Root has the rights already, and may be forbidden user namespaces.
    own = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]

    ended = subprocess.run(
        ["unshare", *own, sys.executable, "-c", PROGRAM, str(tmp_path), day],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
