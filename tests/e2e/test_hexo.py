"""The plugin for Hexo in real sites: what `hexo generate` writes names no worker and no remote picture."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.npm import NODE, installed
from tests.support.origin import Origin, Reply
from tests.support.servers import free_port
from tests.support.service import Service

DOCS = Path(__file__).parents[2] / "docs"
PLUGIN = DOCS.parent / "clients" / "hexo-filter-mediasvc"
KEY = "000102030405060708090a0b0c0d0e0f"
TOKEN = "a-token-for-tests"
WORKER = "https://cors.zfour.workers.dev/?"
NEWS = "http://static.news.example/pictures"
SITE = "https://blog.example"
PACKAGES = {
    "hexo": "8.1.2",
    "hexo6": "npm:hexo@6.3.0",
    "hexo7": "npm:hexo@7.3.0",
    "hexo-generator-archive": "2.0.0",
    "hexo-generator-category": "2.0.0",
    "hexo-generator-feed": "3.0.0",
    "hexo-generator-index": "4.0.0",
    "hexo-generator-searchdb": "1.5.0",
    "hexo-generator-tag": "2.0.0",
    "hexo-renderer-ejs": "2.0.0",
    "hexo-renderer-marked": "7.0.1",
    "hexo-renderer-pug": "3.0.0",
    "hexo-renderer-stylus": "3.0.1",
    "hexo-theme-butterfly": "5.7.0",
    "hexo-theme-landscape": "1.1.0",
    "hexo-theme-next": "8.29.0",
}
pytestmark = pytest.mark.timeout(240)  # a theme is some seconds of CPU, and machines are busy

_ASSET = re.compile(r"/mediasvc/([0-9a-f]{64}\.[a-z]+)")
_PICTURE = re.compile(r"(?:https?:)?//[^\s\"'<>()\\]+?\.(?:jpe?g|png|gif|webp|avif)", re.IGNORECASE)


@pytest.fixture(scope="module")
def modules() -> Path:
    return installed("hexo-8.1.2-7.3.0-6.3.0", PACKAGES)


@pytest.fixture(scope="module")
def news() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture(scope="module")
def service(news: Origin) -> Iterator[Service]:
    with Service(news, SIGNING_KEYS=KEY, API_TOKEN=TOKEN) as running:
        yield running


def _environment() -> dict[str, str]:
    """Ours without settings of mediasvc and without colours, which CI turns on."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDIASVC_")}
    return {name: value for name, value in kept.items() if name != "FORCE_COLOR"} | {"NO_COLOR": "1"}


@dataclass(frozen=True)
class Built:
    """What one `hexo generate` said and wrote."""

    code: int
    said: str
    public: Path

    def text(self, path: str) -> str:
        return (self.public / path).read_text(encoding="utf-8")

    def texts(self) -> dict[str, str]:
        """Every page, feed and search file by its path."""
        kinds = (".html", ".xml", ".json")
        files = [path for path in self.public.rglob("*") if path.suffix in kinds]
        return {str(path.relative_to(self.public)): path.read_text(encoding="utf-8") for path in files}

    def warnings(self) -> list[str]:
        return [line for line in self.said.splitlines() if line.startswith("WARN") and "mediasvc" in line]

    def summary(self) -> str:
        (line,) = [line for line in self.said.splitlines() if line.startswith("INFO  mediasvc: ")]
        return line


class Site:
    """A Hexo site in a folder, with every place that holds a picture."""

    def __init__(self, folder: Path, modules: Path, *, hexo: str = "hexo", theme: str = "landscape") -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {
            "title": "湖",
            "url": SITE,
            "theme": theme,
            "feed": {
                "type": "atom",
                "path": "atom.xml",
                "limit": 20,
                "content": True,
                "icon": f"{NEWS}/icon.png",
            },
            "search": {"path": "search.xml", "field": "all", "content": True},
        }
        (folder / "node_modules").mkdir(parents=True)
        for module in modules.iterdir():
            if module.name not in ("hexo", "hexo6", "hexo7") and not module.name.startswith("."):
                (folder / "node_modules" / module.name).symlink_to(module)
        (folder / "node_modules/hexo").symlink_to(modules / hexo)
        (folder / "node_modules" / PLUGIN.name).symlink_to(PLUGIN)
        plugins = [name for name in PACKAGES if name.startswith("hexo-")]
        wanted = dict.fromkeys([*plugins, PLUGIN.name], "*")
        version = json.loads((modules / hexo / "package.json").read_text())["version"]
        package = {"name": "site", "version": "1.0.0", "hexo": {"version": version}, "dependencies": wanted}
        (folder / "package.json").write_text(json.dumps(package))

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def post(self, name: str, front_matter: Mapping[str, Any], body: str) -> None:
        head = yaml.safe_dump({"title": name, "date": "2024-10-18 06:14:45"} | dict(front_matter))
        self.write(f"source/_posts/{name}.md", f"---\n{head}---\n{body}")

    def generate(self, mediasvc: Mapping[str, Any], *arguments: str) -> Built:
        settings = self.settings | {"mediasvc": dict(mediasvc)}
        self.write("_config.yml", yaml.safe_dump(settings, allow_unicode=True))
        done = subprocess.run(
            [NODE, self.folder / "node_modules/hexo/bin/hexo", "generate", *arguments],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        return Built(done.returncode, done.stdout + done.stderr, self.folder / "public")


def fill(site: Site) -> None:
    site.post(
        "lake",
        {
            "cover": f"{WORKER}{NEWS}/lake.jpg",
            "top_img": f"{NEWS}/top.jpg",
            "thumbnail": f"{WORKER}{NEWS}/boat.jpg",
            "photos": [f"{NEWS}/one.jpg {NEWS}/two.jpg Two", f"{WORKER}{NEWS}/three.jpg"],
            "description": f'<img src="{NEWS}/description.jpg"> words',
            "tags": ["water"],
            "categories": ["travel"],
        },
        f'Before. <img src="{WORKER}{NEWS}/boat.jpg" data-size="600,400">\n\n<!-- more -->\n\n'
        f"![hill]({WORKER}{NEWS}/hill.jpg)\n\n{{% img {NEWS}/tag.jpg %}}\n\n"
        "```\nhttp://code.example/pictures/kept.jpg\n```\n",
    )
    site.post("words", {"tags": ["water"]}, "Only words, and a [link](https://elsewhere.example/page.html).")
    site.post("own", {"cover": "/own/cover.png", "photos": ["/own/a.png"]}, "![own](/own/picture.png)")
    site.write("source/about/index.md", f"---\ntitle: About\n---\n![me]({WORKER}{NEWS}/me.jpg)\n")
    site.write("source/_data/friends.yml", f"- name: A\n  avatar: {NEWS}/friend.jpg\n")


def shown(page: Path) -> dict[str, Any]:
    """The section that a page of the documentation shows."""
    (block,) = re.findall(r"^```yaml\n# _config.yml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    section: dict[str, Any] = yaml.safe_load(block)["mediasvc"]
    return section


def eager(service: Service, **more: Any) -> dict[str, Any]:
    return {"service": service.address, "token": TOKEN, "mode": "eager"} | more


def assert_is_whole(built: Built) -> None:
    """No page, feed or search file names a remote picture, and every asset that one names is in the site."""
    for path, text in built.texts().items():
        assert "workers.dev" not in text, path
        assert "news.example" not in text, path
        for address in _PICTURE.findall(text):
            assert address.startswith((f"{SITE}/", "http://code.example/")), (path, address)
        for name in _ASSET.findall(text):
            assert (built.public / "mediasvc" / name).stat().st_size > 0, (path, name)


def build(folder: Path, modules: Path, mediasvc: Mapping[str, Any], **kind: str) -> Built:
    made = Site(folder, modules, **kind)
    fill(made)
    return made.generate(mediasvc)


@pytest.fixture
def site(tmp_path: Path, modules: Path) -> Site:
    made = Site(tmp_path / "site", modules)
    fill(made)
    return made


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("theme", ["landscape", "next", "butterfly"])
def test_after_an_eager_build_the_site_has_every_picture(
    theme: str, modules: Path, service: Service, tmp_path: Path
) -> None:
    built = build(tmp_path / "site", modules, eager(service), theme=theme)

    assert built.code == 0, built.said
    assert built.warnings() == []
    assert_is_whole(built)
    assert {"index.html", "atom.xml", "search.xml", "archives/index.html", "tags/water/index.html"} <= set(
        built.texts()
    )
    page = built.text("2024/10/18/lake/index.html")
    assert "http://code.example/pictures/kept.jpg" in page
    assert f'content="{SITE}/mediasvc/' in page  # og:image
    assert "/own/picture.png" in built.text("2024/10/18/own/index.html")
    assert f"{SITE}/mediasvc/" in built.text("atom.xml")
    assert '"/mediasvc/' not in built.text("atom.xml")
    assert re.search(r"articles with 12 pictures, \d+ fetched \([\d.]+ MB\), [\d.]+ s", built.summary())


@pytest.mark.parametrize(
    ("hexo", "page"), [("hexo6", DOCS / "renderers.md"), ("hexo7", PLUGIN / "README.md")]
)
def test_older_hexos_build_the_same_with_the_settings_that_the_pages_show(
    hexo: str, page: Path, modules: Path, service: Service, tmp_path: Path
) -> None:
    settings = shown(page) | {"service": service.address, "token": TOKEN}

    built = build(tmp_path / "site", modules, settings, hexo=hexo)

    assert built.code == 0, built.said
    assert built.warnings() == []
    assert_is_whole(built)


def test_the_next_build_asks_for_nothing_that_is_there(site: Site, service: Service, nobody: str) -> None:
    site.generate(eager(service))
    (site.folder / "db.json").unlink()
    shutil.rmtree(site.folder / "public")

    again = site.generate({"service": nobody})

    assert again.code == 0, again.said
    assert again.warnings() == []
    assert "none fetched" in again.summary()
    assert_is_whole(again)


def test_a_service_that_is_down_costs_the_pictures_until_it_is_back(
    site: Site, service: Service, nobody: str
) -> None:
    down = site.generate({"service": nobody})

    assert down.code == 0, down.said
    (warning,) = [line for line in down.warnings() if "_posts/lake.md keeps its picture addresses" in line]
    assert f"{nobody} cannot be reached: ECONNREFUSED" in warning
    assert f"{WORKER}{NEWS}/hill.jpg" in down.text("2024/10/18/lake/index.html")
    assert "articles keep their addresses" in down.summary()

    back = site.generate(eager(service))

    assert back.warnings() == []
    assert_is_whole(back)


def test_a_build_fails_where_it_is_asked_to(site: Site, nobody: str) -> None:
    built = site.generate({"service": nobody, "on_error": "fail"})

    assert built.code == 2
    assert "articles keep their addresses (on_error: fail)" in built.said
    assert not (built.public / "index.html").exists()


def test_wrong_settings_are_named_together(site: Site) -> None:
    built = site.generate({"service": "mediasvc", "mode": "soon", "key": "zz"})

    assert built.code == 2
    for part in ("service is an http or https address", "mode is eager or lazy", "key is the signing key"):
        assert part in built.said


def test_a_wrong_token_is_told_for_every_post(site: Site, service: Service) -> None:
    built = site.generate(eager(service, token="wrong"))

    assert built.code == 0, built.said
    for article in ("_posts/lake.md", "about/index.md"):
        (line,) = [line for line in built.warnings() if f"{article} keeps" in line]
        assert "401 unauthorized" in line


def test_a_post_that_is_too_large_is_named_and_the_others_are_done(site: Site, news: Origin) -> None:
    site.post("large", {}, f"![big]({NEWS}/big.jpg)\n\n" + "word " * 2_000)

    with Service(news, MAX_ARTICLE_BYTES="5KiB") as small:
        built = site.generate({"service": small.address})

    assert built.code == 0, built.said
    (warning,) = built.warnings()
    assert "_posts/large.md keeps its picture addresses: 413 body_too_large" in warning
    assert "news.example" not in built.text("2024/10/18/lake/index.html")


def test_pictures_that_come_too_late_or_not_at_all_are_named(
    site: Site, news: Origin, service: Service
) -> None:
    news.on("/pictures/never.jpg", Reply(hang="head"))
    site.post("slow", {}, f"![slow]({NEWS}/never.jpg)")
    site.post("gone", {}, "![gone](http://static.news.example/gone.jpg)")

    built = site.generate(eager(service, timeout=8))

    assert built.code == 0, built.said
    said = "\n".join(built.warnings())
    assert f"_posts/slow.md keeps its picture addresses: {service.address} did not answer within 8 s" in said
    assert "_posts/gone.md keeps http://static.news.example/gone.jpg (source_missing)" in said
    assert "news.example" not in built.text("2024/10/18/lake/index.html")


def test_a_lazy_build_leads_every_picture_to_the_service(site: Site, service: Service) -> None:
    built = site.generate(eager(service, mode="lazy"))

    assert built.code == 0, built.said
    assert built.warnings() == []
    assert not (built.public / "mediasvc").exists()
    addresses = set()
    for path, text in built.texts().items():
        assert "workers.dev" not in text, path
        assert "news.example" not in text, path
        addresses |= set(re.findall(re.escape(service.address) + r"/img/[\w/,-]+", text))
    assert len(addresses) >= 9
    assert any("/600x400/" in address for address in addresses)
    for address in addresses:
        assert service.get(address.removeprefix(service.address)).status == 200


def test_with_the_key_covers_are_signed_though_the_service_is_down(
    site: Site, service: Service, nobody: str
) -> None:
    settings = {
        "service": nobody,
        "mode": "lazy",
        "key": KEY,
        "public_url": "https://media.example",
    }

    built = site.generate(settings | {"settings": False})

    assert built.code == 0, built.said
    page = built.text("2024/10/18/lake/index.html")
    photos = re.findall(r"https://media\.example(/img/[\w-]+/original/[\w-]+)", page)
    assert photos
    assert service.get(photos[0]).status == 200


def test_a_site_below_a_root_with_options_of_its_own(site: Site, service: Service) -> None:
    site.settings |= {"url": f"{SITE}/blog", "root": "/blog/"}
    site.settings["search"] = {"path": "search.json", "field": "all", "content": True, "format": "raw"}
    site.post("webp", {"mediasvc": {"format": "webp"}}, f'<img src="{NEWS}/w.jpg" width="300" height="200">')
    site.post("left", {"mediasvc": False}, f"![left]({NEWS}/left.jpg)")
    site.post("odd", {"mediasvc": {"no_such_option": 1}}, f"![odd]({NEWS}/odd.jpg)")

    built = site.generate(eager(service, path="pictures", front_matter={"cover": "skip"}))

    assert built.code == 0, built.said
    (warning,) = built.warnings()
    assert "_posts/odd.md keeps its picture addresses: 400 invalid_request" in warning
    (webp,) = set(
        re.findall(r'src="/blog/pictures/([0-9a-f]{64}\.webp)"', built.text("2024/10/18/webp/index.html"))
    )
    assert (built.public / "pictures" / webp).exists()
    assert f"{NEWS}/left.jpg" in built.text("2024/10/18/left/index.html")
    assert f"{SITE}/blog/pictures/" in built.text("2024/10/18/lake/index.html")
    searched = {entry["title"]: entry["content"] for entry in json.loads(built.text("search.json"))}
    assert "(/blog/pictures/" in searched["lake"]
    assert "news.example" not in searched["lake"]


def test_the_plugins_own_tests_pass() -> None:
    done = subprocess.run(
        [NODE, "--test"], cwd=PLUGIN, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout
