"""Whichever door a source comes in by, it never leads inside."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from tests.support.origin import Origin, Reply
from tests.support.programs import environment, mediasvc
from tests.support.service import Service, eventually, image_path, image_query

# 127.0.0.9 is where something of ours listens; none of these may reach it.
INWARD = [
    "http://127.0.0.9:{port}/pictures/a.jpg",
    "http://127.0.0.9/a.jpg",
    "http://0x7f.9/a.jpg",
    "http://017700000011/a.jpg",
    "http://2130706441/a.jpg",
    "http://127.0.0.9./a.jpg",
    "http://１２７。0。0。9/a.jpg",
    "http://%31%32%37.0.0.9/a.jpg",
    "http://[::ffff:127.0.0.9]/a.jpg",
    "http://[::127.0.0.9]/a.jpg",
    "http://[64:ff9b::7f00:9]/a.jpg",
    "http://[2002:7f00:9::]/a.jpg",
    "http://localhost/a.jpg",
    "http://169.254.169.254/latest/meta-data",
    "http://news.example@127.0.0.9/a.jpg",
    "https://x.workers.dev/?http://127.0.0.9/a.jpg",
    "https://x.workers.dev/?https://y.workers.dev/?http://127.0.0.9/a.jpg",
    "https://images.weserv.nl/?url=127.0.0.9/a.jpg",
    "http://news.example/inward",
]


@pytest.fixture(scope="module")
def inside() -> Iterator[Origin]:
    with Origin(host="127.0.0.9") as running:
        yield running


@pytest.fixture(scope="module")
def outside(inside: Origin) -> Iterator[Origin]:
    with Origin() as running:
        there = f"http://127.0.0.9:{inside.port}/pictures/a.jpg"
        running.on("/inward", Reply(status=302, headers={"location": there}))
        yield running


@pytest.fixture(scope="module")
def service(outside: Origin, inside: Origin) -> Iterator[Service]:
    # The port is allowed, so that it is the address that is refused.
    with Service(outside, ALLOWED_PORTS=f"80,443,{inside.port}") as running:
        yield running


@pytest.mark.parametrize("source", INWARD)
def test_no_door_of_the_service_leads_inside(
    service: Service, outside: Origin, inside: Origin, source: str
) -> None:
    source = source.format(port=inside.port)
    quoted = quote(source, safe="")

    replies = [
        service.get(image_path(source)),
        service.get(image_path(source, "60x40")),
        service.get(image_query(source)),
        service.get(f"/v1/info?url={quoted}"),
    ]
    articles = [
        service.ask(
            "POST", "/v1/rewrite?mode=eager", f'<img src="{source}">'.encode(), Content_Type="text/html"
        ),
        service.ask(
            "POST", "/v1/rewrite?mode=eager", f"![a]({source})".encode(), Content_Type="text/markdown"
        ),
    ]
    images = orjson.dumps({"images": [{"url": source}]})
    warmed = service.ask("POST", "/v1/warm", images, Content_Type="application/json")

    assert {(reply.status, reply.code) for reply in replies} == {(403, "source_refused")}
    assert not any(b"/assets/" in article.body for article in articles)
    assert [article.status for article in articles] == [200, 200]
    if warmed.status == 202:  # found out in the background
        eventually(lambda: outside.hits("/inward") > 0)
    else:
        assert warmed.code == "source_refused"
    assert not any(b"127.0.0.9" in reply.body for reply in replies)
    assert inside.connections == 0


@pytest.mark.parametrize("source", [INWARD[0], INWARD[2], INWARD[8], INWARD[15], INWARD[-1]])
def test_no_command_leads_inside(outside: Origin, inside: Origin, tmp_path: Path, source: str) -> None:
    source = source.format(port=inside.port)
    settings = environment(
        tmp_path / "data", CONNECT_TO=outside.connect_to, ALLOWED_PORTS=f"80,443,{inside.port}"
    )
    article = tmp_path / "a.html"
    article.write_text(f'<img src="{source}">', encoding="utf-8")
    output = str(tmp_path / "a.jpg")

    ended = [
        mediasvc(["fetch", source, "-o", output], settings),
        mediasvc(["thumb", source, "--size", "60,40", "-o", output], settings),
        mediasvc(["rewrite", article, "--out", tmp_path / "out"], settings),
    ]

    assert [one.code for one in ended] == [3, 3, 3]
    assert not Path(output).exists()
    assert (tmp_path / "out" / "a.html").read_bytes() == article.read_bytes()
    assert inside.connections == 0
