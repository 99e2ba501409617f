"""examples/eleventy, built by Eleventy."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.examples import EXAMPLES, Ended, Example, News, news_and_service, remote_addresses
from tests.support.npm import NODE, installed
from tests.support.servers import free_port

PACKAGES: dict[str, str] = json.loads((EXAMPLES / "eleventy/package.json").read_text())["dependencies"]


@pytest.fixture(scope="module")
def eleventy() -> Path:
    return installed(f"eleventy-{PACKAGES['@11ty/eleventy']}", PACKAGES)


@pytest.fixture(scope="module")
def news() -> Iterator[News]:
    with news_and_service() as running:
        yield running


def build(site: Example, eleventy: Path, service: str) -> Ended:
    modules = site.folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(eleventy)
    return site.run([NODE, modules / "@11ty/eleventy/cmd.cjs"], SERVICE=service)


def test_pages_and_feed_have_the_pictures_of_the_site(eleventy: Path, news: News, tmp_path: Path) -> None:
    site = Example("eleventy", tmp_path)

    built = build(site, eleventy, news.service.address)

    assert built.code == 0, built.said
    assert "mediasvc:" not in built.said
    assert remote_addresses(site.folder / "public") == {}
    page = site.text("public/posts/lake/index.html")
    names = set(re.findall(r'src="/pictures/([0-9a-f]{64}\.jpg)"', page))
    assert len(names) == 2
    assert names <= {path.name for path in site.folder.glob("public/pictures/*")}
    assert "https://blog.example/pictures/" in site.text("public/feed.xml")
    assert 'src="/own/boat.png"' in site.text("public/posts/night/index.html")


def test_a_page_that_the_service_does_not_do_is_named(eleventy: Path, tmp_path: Path) -> None:
    site = Example("eleventy", tmp_path)

    built = build(site, eleventy, f"http://127.0.0.1:{free_port()}")

    assert built.code == 0, built.said
    assert "mediasvc: ./posts/night.md keeps its picture addresses: ECONNREFUSED" in built.said
    assert "lake-night.jpeg" in site.text("public/posts/night/index.html")
