"""The demo's article, its origin's pictures, and what it tells the reader."""

import asyncio
import io
import re
import urllib.error
import urllib.request
from importlib import resources

from PIL import Image

from mediasvc.articles.rows import ImageRow, Status
from mediasvc.demo import origin, paint
from mediasvc.demo.summary import AssetFile, summarise

PATH = "/wetland/img/2024/10/26/lake-dawn.jpeg"


def place(source: str, where: str, **changed: object) -> ImageRow:
    row = ImageRow(
        source=source,
        origin="http://static.news.example/a.jpeg",
        where=where,
        declared_size=None,
        status=Status.LOCALISED,
        original="assets/aa.jpg",
    )
    return row._replace(**changed)  # type: ignore[arg-type]  # by name


def article() -> str:
    return (resources.files("mediasvc.demo") / "article.md").read_text(encoding="utf-8")


def test_the_article_begins_with_a_line_break_before_its_front_matter() -> None:
    assert article().startswith("\n---\ntitle: '")
    assert not article().endswith("\n")


def test_the_article_wraps_its_head_image_and_its_thumbnail() -> None:
    fields = dict(re.findall(r"^(headimg|thumbnail): '(.*)'$", article(), re.MULTILINE))

    assert set(fields) == {"headimg", "thumbnail"}
    assert all(url.startswith("https://cors.zfour.workers.dev/?http://") for url in fields.values())


def test_the_article_has_one_image_of_its_own_size_one_wrapped_twice_and_one_bare() -> None:
    tags = re.findall(r"<img [^>]*>", article())

    assert len(tags) == 4
    assert all('referrerpolicy="no-referrer"' in tag for tag in tags)
    assert sum(f'data-size="{paint.WIDTH_PX},{paint.HEIGHT_PX}"' in tag for tag in tags) == 1
    assert sum("workers.dev/?https://images.weserv.nl/?url=" in tag for tag in tags) == 1
    assert sum('data-original="http://static.news.example/' in tag for tag in tags) == 1


def test_the_articles_hosts_are_all_led_to_the_origin() -> None:
    hosts = set(re.findall(r"[a-z.]+\.example", article()))

    assert hosts <= set(origin.NEWS_HOSTS)
    assert origin.connect_to(1234).startswith("static.news.example:80=127.0.0.1:1234")


def test_a_picture_is_the_same_for_the_same_path_and_another_for_another() -> None:
    first, again, other = paint.paint(PATH), paint.paint(PATH), paint.paint("/b/lake-dawn.jpeg")

    picture = Image.open(io.BytesIO(first))
    assert (picture.format, picture.size) == ("JPEG", (1200, 800))
    assert first == again
    assert first != other


async def test_the_origin_serves_pictures_and_nothing_else() -> None:
    def ask(url: str, headers: dict[str, str]) -> tuple[int, str, bytes]:
        request = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, reply.headers.get("ETag", ""), reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, "", b""

    async with origin.open_origin() as running:
        base = f"http://127.0.0.1:{running.port}"
        status, etag, body = await asyncio.to_thread(ask, base + PATH, {})
        again, _, _ = await asyncio.to_thread(ask, base + PATH, {"If-None-Match": etag})
        missing, _, _ = await asyncio.to_thread(ask, base + "/secret.txt", {})

    assert (status, again, missing, running.requests) == (200, 304, 404, 3)
    assert body[:2] == b"\xff\xd8"


def test_the_summary_says_what_was_unwrapped_fetched_and_made() -> None:
    places = [
        place("https://w/?http://static.news.example/a.jpeg", "front-matter:headimg"),
        place("https://w/?http://static.news.example/a.jpeg", "img[src]", thumbnail="assets/bb.jpg"),
    ]
    wrappers = {places[0].source: ["cors-worker", "weserv"]}
    files = {"assets/aa.jpg": AssetFile(1200, 800, 160_400), "assets/bb.jpg": AssetFile(600, 400, 38_000)}

    assert summarise(places, wrappers, files, 1) == [
        "2 places in the article name 1 picture:",
        "",
        "1  http://static.news.example/a.jpeg",
        "   used in     front-matter:headimg, img[src]",
        "   unwrapped   cors-worker, then weserv",
        "   original    1200x800, 160 kB  assets/aa.jpg",
        "   thumbnail   600x400, 38 kB  assets/bb.jpg",
        "",
        "2 of 2 places lead to local files now: 1 original (160 kB) and 1 thumbnail (38 kB); 1 request to the origin.",  # noqa: E501
    ]


def test_the_summary_says_when_the_original_is_its_own_thumbnail_and_when_nothing_was_fetched() -> None:
    places = [place("http://static.news.example/a.jpeg", "img[src]", thumbnail="assets/aa.jpg")]

    lines = summarise(places, {}, {"assets/aa.jpg": AssetFile(1200, 800, 160_400)}, 0)

    assert lines[0] == "1 place in the article names 1 picture:"
    assert "   thumbnail   the original itself: it has the size that the article asks for" in lines
    assert lines[-1].endswith("0 thumbnails (0 kB); nothing fetched: all of it was known.")


def test_the_summary_says_what_failed_and_what_was_left() -> None:
    places = [
        place("http://x.example/a", "img[src]", status=Status.FAILED, code="source_missing", original=None),
        place("data:,", "img[src]", origin=None, status=Status.LEFT, original=None),
    ]

    lines = summarise(places, {}, {}, 1)

    assert "   failed      source_missing: its text stays as it was" in lines
    assert "   left        as it was" in lines


def test_an_origin_beside_answers_while_this_thread_is_busy() -> None:
    with (
        origin.origin_beside() as running,
        urllib.request.urlopen(f"http://127.0.0.1:{running.port}{PATH}") as reply,
    ):
        media_type = reply.headers["Content-Type"]

    assert media_type == "image/jpeg"
