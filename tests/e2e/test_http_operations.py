"""Running the service: readiness, metrics, pages, overload."""

import json
import re
import threading

import psutil
import pytest

from mediasvc.core.formats import OutputFormat
from mediasvc.core.picture import Fit
from tests.support.origin import Gate, Origin, Reply, jpeg
from tests.support.service import Service, eventually, image_path

URL = "http://news.example/pictures/a.jpg"
SETTINGS = {"WORKERS": "2", "LOG_FORMAT": "json"}


def figures(service: Service) -> dict[str, float]:
    """Every sample of /metrics by its name with labels."""
    lines = service.get("/metrics").body.decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")
    }


def test_a_service_that_runs_is_alive_and_ready(service: Service) -> None:
    alive, ready = service.get("/healthz"), service.get("/readyz")

    assert (alive.status, alive.json) == (200, {"status": "alive"})
    engines = {
        "resize": "cykooz.resizer",
        "jpeg": "simplejpeg",
        "png": "kornia-rs",
        "thumbhash": "numpy",
        "event_loop": "uvloop",
    }
    expected = {"status": "ready", "degraded": [], "reasons": {}, "engines": engines}
    assert (ready.status, ready.json) == (200, expected)


def test_readiness_names_a_store_that_is_missing_while_images_are_still_served(world: Origin) -> None:
    with Service(world) as service:
        service.get(image_path(URL))
        blobs = service.folder / "data" / "blobs"
        blobs.rename(blobs.with_name("away"))
        blobs.write_text("no folder")

        ready = service.get("/readyz")
        alive = service.get("/healthz")
        image = service.get(image_path("http://news.example/pictures/other.jpg", "600x400"))

        assert (ready.status, ready.json["status"]) == (200, "degraded")
        assert ready.json["degraded"] == ["store"]
        assert ready.json["reasons"]["store"]
        assert alive.status == 200
        assert image.status == 200


def test_metrics_are_those_of_all_processes_together(service: Service) -> None:
    path = image_path("http://news.example/pictures/counted.jpg", "600x400")
    before = figures(service)

    for _ in range(40):
        assert service.get(path).status == 200
    service.get(image_path("http://127.0.0.1/"))

    def grown(name: str) -> float:
        return figures(service).get(name, 0) - before.get(name, 0)

    eventually(lambda: grown('mediasvc_http_requests_total{code="200",route="img"}') == 40)
    assert grown('mediasvc_http_request_duration_seconds_count{route="img"}') == 41
    assert grown('mediasvc_http_requests_total{code="403",route="img"}') == 1
    # The index is asked once by each of the two, and once more by the one that fetches.
    assert grown('mediasvc_cache_requests_total{layer="memory",result="hit"}') == 38
    assert grown('mediasvc_fetches_total{outcome="ok"}') == 1


@pytest.mark.parametrize(
    "name",
    [
        "mediasvc_http_requests_total", "mediasvc_http_request_duration_seconds", "mediasvc_http_requests_in_progress",  # noqa: E501
        "mediasvc_fetches_total", "mediasvc_cache_requests_total",
        "mediasvc_singleflight_waiters", "mediasvc_image_duration_seconds", "mediasvc_image_queue_depth",
        "mediasvc_refused_sources_total", "mediasvc_rewritten_references_total",
    ],
)  # fmt: skip
def test_what_operators_need_is_measured(service: Service, name: str) -> None:
    service.get(image_path(URL, "111x111"))
    service.get(image_path("http://news.example:22/"))
    service.ask("POST", "/v1/rewrite", b'<img src="http://news.example/x.jpg">', Content_Type="text/html")

    text = service.get("/metrics").body.decode()

    assert f"\n{name}" in text


def test_requests_are_logged_with_their_id_and_without_their_query(service: Service) -> None:
    service.get(f"/v1/image?url={URL}&size=77,77&sig=unsafe", X_Request_ID="log-me-1")

    line = json.loads(service.wait_line('"log-me-1"'))
    while line["event"] != "image.served":
        line = json.loads(service.wait_line('"log-me-1"'))
    assert line["status"] == 200
    assert line["route"] == "image"
    assert line["host"] == "news.example"
    assert "77,77" not in "".join(service.lines)


@pytest.mark.parametrize("path", ["/", "/docs", "/page/page.js", "/page/page.css", "/openapi.json"])
def test_pages_come_with_a_strict_policy_and_a_validator(service: Service, path: str) -> None:
    reply = service.get(path)
    again = service.get(path, if_none_match=reply.headers["etag"])

    assert reply.status == 200
    policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert reply.headers["cache-control"] == "no-cache"
    assert (again.status, again.body) == (304, b"")
    assert again.headers["content-security-policy"] == reply.headers["content-security-policy"]


def test_everything_that_the_pages_name_is_there(service: Service) -> None:
    named = set()
    for path in ("/", "/docs"):
        html = service.get(path).body.decode()
        named |= set(re.findall(r'(?:src|href)="(page/[^"]+)"', html))
        assert "http://" not in html
        assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=", html)

    assert named
    for name in named:
        assert service.get(f"/{name}").status == 200


def test_the_description_is_openapi_3_1_and_names_every_route(service: Service) -> None:
    described = service.get("/openapi.json").json

    assert described["openapi"].startswith("3.1.")
    assert set(described["paths"]) == {
        "/", "/assets/{name}", "/docs", "/healthz", "/img/{signature}/{options}/{source}", "/metrics", "/openapi.json",  # noqa: E501
        "/page/{file}", "/readyz", "/v1/cache", "/v1/example", "/v1/image", "/v1/info", "/v1/resolve", "/v1/rewrite",  # noqa: E501
        "/v1/stats", "/v1/warm",
    }  # fmt: skip


@pytest.mark.parametrize("word", [*Fit, *OutputFormat])
def test_the_description_names_every_option_that_images_take(service: Service, word: str) -> None:
    described = service.get("/openapi.json").json["components"]["parameters"]["options"]

    reply = service.get(image_path(URL, f"60x40,{word}"))

    assert reply.status == 200
    assert re.search(described["schema"]["pattern"], f"60x40,{word}")
    assert f"`{word}`" in described["description"]


def test_the_example_and_the_figures_are_there_for_the_page(service: Service) -> None:
    example, stats = service.get("/v1/example").json, service.get("/v1/stats").json

    assert example["type"] == "markdown"
    assert "data-size=" in example["content"]
    assert example["ready"] is False
    assert all(isinstance(value, int) for value in stats.values())


def test_too_many_at_once_are_told_to_come_back_and_the_others_are_answered(world: Origin) -> None:
    gate = Gate()
    for number in range(5):
        world.on(f"/busy{number}.jpg", Reply(body=jpeg("x"), hold=gate))
    with Service(world, QUEUE_DEPTH="1", FETCH_CONCURRENCY="2") as service:
        held: list[int] = []
        threads = [
            threading.Thread(
                target=lambda n=n: held.append(
                    service.get(image_path(f"http://news.example/busy{n}.jpg")).status
                )
            )
            for n in range(3)
        ]
        for thread in threads:
            thread.start()
        eventually(lambda: figures(service)["mediasvc_http_requests_in_progress"] >= 4)

        refused = service.get(image_path("http://news.example/busy4.jpg"))
        alive = service.get("/healthz")
        gate.open()
        for thread in threads:
            thread.join()

        assert (refused.status, refused.code) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert alive.status == 200
        assert held == [200, 200, 200]


def test_work_for_a_client_that_left_is_dropped(world: Origin) -> None:
    gate = Gate()
    world.on("/left.jpg", Reply(body=jpeg("x"), hold=gate))
    with Service(world, QUEUE_DEPTH="1", FETCH_CONCURRENCY="1") as service:
        connections = [service.connect() for _ in range(2)]
        for connection in connections:
            connection.request("GET", image_path("http://news.example/left.jpg"))
        eventually(lambda: figures(service)["mediasvc_http_requests_in_progress"] == 3)
        assert service.get(image_path(URL)).status == 503

        for connection in connections:
            connection.close()

        eventually(lambda: figures(service)["mediasvc_http_requests_in_progress"] == 1)
        assert service.get(image_path(URL)).status == 200
        gate.open()


def test_a_dead_image_process_is_replaced_and_does_not_end_the_service(service: Service) -> None:
    servers = service.servers()
    images = [child for server in servers for child in server.children()]
    assert images
    for child in images:
        child.kill()
    psutil.wait_procs(images, timeout=5)

    eventually(lambda: service.get(image_path(URL, "123x123,png")).status == 200)

    assert {server.pid for server in service.servers()} == {server.pid for server in servers}
    for metric in ("mediasvc_image_process_replacements_total", "mediasvc_worker_restarts_total"):
        assert any(name.startswith(metric) for name in figures(service))
    eventually(lambda: service.get("/readyz").json["status"] == "ready")
