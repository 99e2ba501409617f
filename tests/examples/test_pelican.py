"""examples/pelican, built by Pelican."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.examples import Ended, Example, News, news_and_service, pip_installed, remote_addresses
from tests.support.servers import free_port

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def pelican() -> Path:
    return pip_installed("pelican-4.12.0", ["pelican[markdown]==4.12.0"])


@pytest.fixture(scope="module")
def news() -> Iterator[News]:
    with news_and_service(API_TOKEN=TOKEN) as running:
        yield running


def build(site: Example, pelican: Path, service: str, token: str = "") -> Ended:
    """COLUMNS: Pelican breaks its messages at the width of the terminal."""
    return site.run(
        [sys.executable, "-m", "pelican"],
        PYTHONPATH=str(pelican),
        SERVICE=service,
        MEDIASVC_API_TOKEN=token,
        COLUMNS="1000",
    )


def test_pages_summaries_and_feeds_have_the_pictures_of_the_site(
    pelican: Path, news: News, tmp_path: Path
) -> None:
    site = Example("pelican", tmp_path)

    built = build(site, pelican, news.service.address, TOKEN)

    assert built.code == 0, built.said
    assert "mediasvc" not in built.said
    assert remote_addresses(site.folder / "output") == {}
    texts = [path.read_text() for path in site.folder.glob("output/**/*") if path.suffix in (".html", ".xml")]
    names = set(re.findall(r"https://blog\.example/pictures/([0-9a-f]{64}\.jpg)", "".join(texts)))
    assert len(names) == 4
    assert names <= {path.name for path in site.folder.glob("output/pictures/*")}
    assert all("/pictures/" in site.text(f"output/feeds/all.{kind}.xml") for kind in ("atom", "rss"))
    assert "/own/boat.png" in site.text("output/the-lake-at-night.html")


def test_posts_that_the_service_does_not_do_are_named(pelican: Path, news: News, tmp_path: Path) -> None:
    site = Example("pelican", tmp_path)
    page = site.folder / "content/pages/about.md"
    page.write_text(page.read_text().replace("ridge-dusk.jpeg", "ridge-dusk.png"))

    gone = build(site, pelican, news.service.address, TOKEN)
    refused = build(site, pelican, news.service.address)
    down = build(site, pelican, f"http://127.0.0.1:{free_port()}")

    for built, reason in (
        (gone, "ridge-dusk.png (source_missing)"),
        (refused, "401 unauthorized"),
        (down, "Connection refused"),
    ):
        assert built.code == 0, built.said
        assert "about.md keeps" in built.said
        assert reason in built.said
    assert "workers.dev" in site.text("output/the-lake-in-autumn.html")
