"""docker-compose.yml is right: its services, started as it says, serve, cache, purge, fail over and end as
they should.
"""

import hashlib
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from mediasvc.core.addresses import image_path
from mediasvc.core.addresses.image_path import ImageOptions
from mediasvc.core.geometry import Size
from tests.support.compose import Topology
from tests.support.origin import Origin, Reply, jpeg

ARTICLE = """---
title: Two pictures
thumbnail: http://pictures.example/{name}-1.jpg
---

<img src="http://pictures.example/{name}-1.jpg" data-size="600,400">
<img src="http://pictures.example/{name}-2.jpg" data-size="300,200">
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
    request = urllib.request.Request(url, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=40) as reply:
            return Answer(reply.status, dict(reply.headers), reply.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())


def until(url: str, is_right: Callable[[Answer], bool], headers: Mapping[str, str] | None = None) -> Answer:
    """Ask again until the answer is right, for 10 s at most."""
    deadline = time.monotonic() + 10
    while not is_right(answer := ask(url, headers=headers)):
        if time.monotonic() > deadline:
            pytest.fail(f"{url} still answers {answer.status} {dict(answer.headers)}")
    return answer


def is_kept(answer: Answer) -> bool:
    return answer.headers["X-Cache"] == "HIT"


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin(everyday=False) as origin:
        yield origin


@pytest.fixture(scope="module")
def cluster(origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    settings = {"MEDIASVC_CONNECT_TO": origin.connect_to}
    with Topology("cluster", tmp_path_factory.mktemp("cluster"), settings) as topology:
        yield topology


def signed(topology: Topology, source: str, size: tuple[int, int] | None = (600, 400)) -> str:
    options = ImageOptions(None if size is None else Size(*size))
    return image_path.image_path(options, source, keys=[bytes.fromhex(topology.secret("signing_keys"))])


def picture(origin: Origin, name: str) -> str:
    origin.on(f"/{name}", Reply(body=jpeg(name), headers={"content-type": "image/jpeg"}, etag=f'"{name}"'))
    return origin.at("pictures.example", f"/{name}")


def test_an_image_is_fetched_once_for_all_replicas_and_kept_by_the_front(
    cluster: Topology, origin: Origin
) -> None:
    path = signed(cluster, picture(origin, "once.jpg"))

    first = ask(cluster.url("front", path))
    replicas = [ask(cluster.url(name, path)) for name in ("mediasvc-1", "mediasvc-2")]
    kept = until(cluster.url("front", path), is_kept)

    assert (first.status, first.headers["Content-Type"], first.headers["X-Cache"]) == (
        200,
        "image/jpeg",
        "MISS",
    )
    assert {answer.body for answer in (first, kept, *replicas)} == {first.body}
    assert origin.hits("/once.jpg") == 1
    lines = [
        json.loads(line) for line in cluster.started["front"].output().splitlines() if line.startswith("{")
    ]
    assert kept.headers["X-Request-ID"] in {line["request_id"] for line in lines if line["cache"] == "HIT"}


def test_nobody_is_served_without_a_signature(cluster: Topology, origin: Origin) -> None:
    source = picture(origin, "unsigned.jpg")

    answers = [
        ask(cluster.url("front", f"/img/unsafe/600x400/{image_path.encode_source(source)}")),
        ask(cluster.url("front", f"/v1/image?url={quote(source, safe='')}&size=600,400")),
    ]

    assert [answer.status for answer in answers] == [403, 403]
    assert origin.hits("/unsigned.jpg") == 0


def test_browsers_that_accept_the_same_formats_share_one_kept_reply(
    cluster: Topology, origin: Origin
) -> None:
    url = cluster.url("front", signed(cluster, picture(origin, "formats.jpg")))
    chrome = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}
    other = {"Accept": "image/webp, image/avif;q=0.9"}

    modern = ask(url, headers=chrome)
    shared = until(url, is_kept, headers=other)
    old = ask(url, headers={"Accept": "image/webp;q=0, */*"})

    assert modern.headers["Content-Type"] in {"image/avif", "image/webp"}
    assert shared.body == modern.body
    assert old.headers["Content-Type"] == "image/jpeg"
    assert "Accept" in modern.headers["Vary"]


def test_a_kept_reply_answers_conditional_and_range_requests(cluster: Topology, origin: Origin) -> None:
    url = cluster.url("front", signed(cluster, picture(origin, "whole.jpg"), None))
    whole = until(url, is_kept)

    same = ask(url, headers={"If-None-Match": f'"other", {whole.headers["ETag"]}'})
    part = ask(url, headers={"Range": "bytes=10-19"})
    head = ask(url, "HEAD")

    assert (same.status, same.body) == (304, b"")
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert (head.status, head.body, head.headers["ETag"]) == (200, b"", whole.headers["ETag"])


def test_a_purge_through_the_front_reaches_every_replica(cluster: Topology, origin: Origin) -> None:
    source = picture(origin, "purged.jpg")
    urls = [cluster.url(name, signed(cluster, source)) for name in ("mediasvc-1", "mediasvc-2")]
    before = {ask(url).body for url in urls}
    origin.on("/purged.jpg", Reply(body=jpeg("another"), headers={"content-type": "image/jpeg"}))
    token = {"Authorization": f"Bearer {cluster.secret('api_token')}"}
    address = cluster.url("front", f"/v1/cache?url={quote(source, safe='')}")

    refused = ask(address, "DELETE")
    purged = ask(address, "DELETE", token)

    assert refused.status == 401
    assert purged.status in {200, 204}
    for url in urls:
        until(url, lambda answer: answer.status == 200 and answer.body not in before)
    assert origin.hits("/purged.jpg") == 2


def test_the_front_passes_a_body_on_as_it_arrives_and_keeps_none(cluster: Topology) -> None:
    parts = urlsplit(cluster.url("front", "/"))
    head = f"POST /v1/rewrite HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: text/html\r\nContent-Length: 8000000\r\n"  # noqa: E501

    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as stranger:
        stranger.sendall(head.encode() + b"\r\n" + b"x" * 300_000)
        reply = stranger.recv(4096)

    assert reply.startswith(b"HTTP/1.1 401 ")


def test_the_front_keeps_a_picture_once_however_its_address_is_spelled(
    cluster: Topology, origin: Origin
) -> None:
    source = picture(origin, "spelled.jpg")
    path = signed(cluster, source)
    sig = path.split("/")[2]
    query = f"url={quote(source, safe='')}&size=600x400&sig={sig}"
    until(cluster.url("front", path), is_kept)
    until(cluster.url("front", f"/v1/image?{query}"), is_kept)

    escaped = ask(cluster.url("front", path.replace("600x400", "60%30x400")))
    turned = ask(cluster.url("front", f"/v1/image?sig={sig}&{query.removesuffix(f'&sig={sig}')}"))
    with_query = ask(cluster.url("front", f"{path}?1"))

    assert (is_kept(escaped), is_kept(turned)) == (True, True)
    assert with_query.status == 400


def test_figures_are_shown_to_the_inside_only(cluster: Topology) -> None:
    outside = ask(cluster.url("front", "/metrics"))
    inside = ask(cluster.url("mediasvc-1", "/metrics"))

    assert outside.status == 404
    assert b"mediasvc_http_requests_total" in inside.body


def test_every_replica_is_ready_with_both_stores(cluster: Topology) -> None:
    for name in ("mediasvc-1", "mediasvc-2"):
        answer = ask(cluster.url(name, "/readyz"))

        assert (answer.status, json.loads(answer.body)["degraded"]) == (200, [])


def test_originals_and_thumbnails_lie_in_the_object_store(cluster: Topology, origin: Origin) -> None:
    path = signed(cluster, picture(origin, "stored.jpg"))
    before = ask(cluster.url("front", path))

    info = ask(
        cluster.url("mediasvc-1", f"/v1/info?url={quote('http://pictures.example/stored.jpg', safe='')}"),
        headers={"Authorization": f"Bearer {cluster.secret('api_token')}"},
    )
    digest = json.loads(info.body)["digest"]
    assets = [ask(cluster.url(name, f"/assets/{digest}.jpg")) for name in ("mediasvc-1", "mediasvc-2")]

    assert before.status == 200
    assert {answer.body for answer in assets} == {jpeg("stored.jpg")}
    assert origin.hits("/stored.jpg") == 1


def test_redirects_of_assets_lead_to_the_store_through_the_front_whatever_the_method(
    cluster: Topology, origin: Origin
) -> None:
    path = signed(cluster, picture(origin, "redirected.jpg"), None)
    whole = ask(cluster.url("front", path))
    digest = hashlib.sha256(whole.body).hexdigest()
    asset = f"/assets/{digest}.jpg"
    before = dict(cluster.extra)
    cluster.extra["MEDIASVC_REDIRECT_ASSETS"] = "true"
    _start_replicas_again(cluster)

    answers = [_ask_where_it_leads(cluster.url("front", asset), method) for method in ("HEAD", "GET", "HEAD")]

    cluster.extra = before
    _start_replicas_again(cluster)
    assert [answer.status for answer in answers] == [200] * 3
    assert [answer.body for answer in answers] == [b"", whole.body, b""]
    assert {answer.headers["Content-Length"] for answer in answers} == {str(len(whole.body))}


def _ask_where_it_leads(url: str, method: str) -> Answer:
    """Of one redirect, asked for and followed by the same method, as curl does."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=40)
    with closing(connection):
        connection.request(method, parts.path)
        reply = connection.getresponse()
        assert reply.status == 302
        return ask(reply.headers["Location"], method)


def _start_replicas_again(cluster: Topology) -> None:
    for name in ("mediasvc-1", "mediasvc-2"):
        cluster.stop(name)
        cluster.start(name)
    for name in ("mediasvc-1", "mediasvc-2"):
        cluster.wait_healthy(name)


def test_workers_do_a_batch_and_the_one_who_asks_writes_the_files(
    cluster: Topology, origin: Origin, tmp_path: Path
) -> None:
    articles, out = tmp_path / "in", tmp_path / "out"
    articles.mkdir()
    for number in range(8):
        for image in (1, 2):
            picture(origin, f"batch{number}-{image}.jpg")
        (articles / f"{number}.md").write_text(ARTICLE.format(name=f"batch{number}"), encoding="utf-8")

    done = cluster.run(
        "batch", "rewrite", str(articles), "--out", str(out), "--report", str(tmp_path / "report")
    )

    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in (tmp_path / "report").read_text(encoding="utf-8").splitlines()]
    assert [report["status"] for report in reports] == ["rewritten"] * 8
    assert all("pictures.example" not in (out / f"{n}.md").read_text(encoding="utf-8") for n in range(8))
    assert len(list((out / "assets").iterdir())) == 32
    assert [origin.hits(f"/batch{n}-{image}.jpg") for n in range(8) for image in (1, 2)] == [1] * 16
    assert list((cluster.folder / "volumes").glob("**/articles/.mediasvc/journal.sqlite"))


def test_a_dead_replica_is_gone_round_and_comes_back(cluster: Topology, origin: Origin) -> None:
    sources = [picture(origin, f"failover{number}.jpg") for number in range(8)]

    cluster.kill("mediasvc-1")
    answers = [ask(cluster.url("front", signed(cluster, source))) for source in sources]
    cluster.start("mediasvc-1")
    cluster.wait_healthy("mediasvc-1")
    again = [ask(cluster.url("mediasvc-1", signed(cluster, source))) for source in sources]

    assert [answer.status for answer in answers] == [200] * 8
    assert [answer.body for answer in again] == [answer.body for answer in answers]
    assert [origin.hits(f"/failover{number}.jpg") for number in range(8)] == [1] * 8


def test_everything_ends_in_order_and_the_front_says_so_in_our_words(
    cluster: Topology, origin: Origin
) -> None:
    path = signed(cluster, picture(origin, "last.jpg"))
    kept = until(cluster.url("front", path), is_kept)

    codes = {name: cluster.stop(name) for name in ("mediasvc-1", "mediasvc-2", "worker-1", "worker-2")}
    away = ask(cluster.url("front", signed(cluster, picture(origin, "never.jpg"))))
    stale = ask(cluster.url("front", path))

    assert codes == dict.fromkeys(codes, 0)
    assert (away.status, away.headers["Content-Type"]) == (503, "application/problem+json")
    assert json.loads(away.body)["code"] == "overloaded"
    assert away.headers["Retry-After"] == "5"
    assert (stale.status, stale.body) == (200, kept.body)


def test_the_single_node_form_serves_behind_caddy(origin: Origin, tmp_path: Path) -> None:
    source = picture(origin, "single.jpg")
    with Topology("single", tmp_path / "single", {"MEDIASVC_CONNECT_TO": origin.connect_to}) as single:
        path = signed(single, source)
        first = ask(single.url("single-front", path))
        second = ask(single.url("single-front", path))
        hidden = ask(single.url("single-front", "/metrics"))
        code = single.stop("single")

    assert (first.status, first.headers["X-Cache"]) == (200, "MISS")
    assert (second.status, second.headers["X-Cache"], second.body) == (200, "HIT", first.body)
    assert hidden.status == 404
    assert code == 0
    assert origin.hits("/single.jpg") == 1
