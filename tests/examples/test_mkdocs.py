"""examples/mkdocs, built by MkDocs."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.examples import Example, News, news_and_service, pip_installed, remote_addresses
from tests.support.servers import free_port

COMMAND = [sys.executable, "-m", "mkdocs", "build"]


@pytest.fixture(scope="module")
def mkdocs() -> Path:
    return pip_installed("mkdocs-1.6.1", ["mkdocs==1.6.1"])


@pytest.fixture(scope="module")
def news() -> Iterator[News]:
    with news_and_service() as running:
        yield running


def test_every_page_has_the_pictures_of_the_site(mkdocs: Path, news: News, tmp_path: Path) -> None:
    site = Example("mkdocs", tmp_path)

    built = site.run([*COMMAND, "--strict"], PYTHONPATH=str(mkdocs), SERVICE=news.service.address)

    assert built.code == 0, built.said
    assert remote_addresses(site.folder / "site") == {}
    for page, count in (("index.html", 2), ("places/night/index.html", 1)):
        text = site.text(f"site/{page}")
        names = re.findall(r'src="((?:\.\./)*pictures/[0-9a-f]{64}\.jpg)"', text)
        assert len(names) == count
        for name in names:
            assert (site.folder / "site" / page).parent.joinpath(name).stat().st_size > 1000
    assert 'src="../../own/boat.png"' in site.text("site/places/night/index.html")


def test_a_page_that_the_service_does_not_do_is_named(mkdocs: Path, tmp_path: Path) -> None:
    site = Example("mkdocs", tmp_path)

    built = site.run(COMMAND, PYTHONPATH=str(mkdocs), SERVICE=f"http://127.0.0.1:{free_port()}")

    assert built.code == 0, built.said
    assert "mediasvc: places/night.md keeps its picture addresses: " in built.said
    assert "Connection refused" in built.said
    assert "lake-night.jpeg" in site.text("site/places/night/index.html")
