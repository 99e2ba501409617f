"""The Python door: `mediasvc.open` inside a program."""

import asyncio
import hashlib
import io
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from PIL import Image

import mediasvc
from mediasvc.errors import InvalidRequest, InvalidSettings, Overloaded, SourceMissing, SourceRefused
from mediasvc.library import Media
from tests.support.origin import Origin

KEY = "736563726574736563726574736563726574"
ARTICLE = '<p>ä <img src="{}" data-size="300,200"></p>\r\n'


@pytest.fixture
async def media(origin: Origin, tmp_path: Path) -> AsyncIterator[Media]:
    async with mediasvc.open(data_dir=tmp_path, connect_to=origin.connect_to, signing_keys=KEY) as opened:
        yield opened


async def test_an_article_is_rewritten_in_the_type_that_it_came_in(origin: Origin, media: Media) -> None:
    article = ARTICLE.format("https://cors.zfour.workers.dev/?http://news.example/pictures/a.jpg")

    as_text = await media.rewrite(article)
    as_bytes = await media.rewrite(article.encode(), type="html")

    assert as_text.content.encode() == as_bytes.content
    assert as_text.counts["localised"] == 1
    name = as_text.images[0]["thumbnail"].rpartition("/")[2]
    assert as_text.content == ARTICLE.format(f"/assets/{name}")
    asset = await media.asset(name)
    assert hashlib.sha256(asset.data).hexdigest() == name.partition(".")[0]
    assert asset.media_type == "image/jpeg"
    assert Image.open(io.BytesIO(asset.data)).size == (300, 200)


async def test_a_lazy_rewrite_asks_no_origin(origin: Origin, media: Media) -> None:
    article = ARTICLE.format("http://news.example/pictures/a.jpg")

    rewritten = await media.rewrite(article, mode="lazy")

    assert media.sign("http://news.example/pictures/a.jpg", size=(300, 200)) in rewritten.content
    assert origin.hits() == 0


async def test_an_image_and_what_is_known_of_it(origin: Origin, media: Media) -> None:
    url = "http://news.example/pictures/b.jpg"

    original = await media.image(url)
    small = await media.image(url, size="300,200", format="webp", quality=50)
    info = await media.info(url)

    assert (original.width, original.height, original.media_type) == (1200, 800, "image/jpeg")
    assert original.etag == f'"{info.digest}"'
    assert (small.width, small.height, small.media_type) == (300, 200, "image/webp")
    assert small.origin == info.origin == media.resolve(f"https://wsrv.nl/?url={url}").origin == url
    assert (info.format, info.bytes) == ("jpeg", len(original.data))
    assert info.thumbhash


async def test_a_purged_image_is_fetched_again(origin: Origin, media: Media) -> None:
    url = "http://news.example/pictures/c.jpg"
    await media.image(url)

    await media.purge(url)
    await media.image(url)

    assert origin.hits("/pictures/c.jpg") == 2


async def test_what_cannot_be_done_has_its_error(media: Media) -> None:
    with pytest.raises(InvalidRequest):
        await media.image("http://news.example/a.jpg", size="many")
    with pytest.raises(InvalidRequest):
        await media.rewrite("x", mode="sometimes")
    with pytest.raises(TypeError):
        await media.rewrite("x", colour="red")
    with pytest.raises(SourceRefused):
        await media.image("http://127.0.0.1/a.jpg")
    with pytest.raises(SourceMissing):
        await media.asset("0" * 64 + ".jpg")


async def test_a_signed_path_may_end(media: Media) -> None:
    url = "http://news.example/pictures/a.jpg"
    moment = datetime(2027, 1, 1, tzinfo=UTC)

    path = media.sign(url, size="600x", dpr=1.5, expires=moment)

    assert ",exp1798761600/" in path
    assert path == media.sign(url, size=(600, None), dpr=1.5, expires=1798761600)
    with pytest.raises(InvalidRequest, match="time zone"):
        media.sign(url, expires=moment.replace(tzinfo=None))


async def test_settings_are_those_of_the_call_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASVC_SIGNING_KEYS", KEY)
    monkeypatch.setenv("MEDIASVC_NO_SUCH_SETTING", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mediasvc.toml").write_text('public_url = "https://img.example"\n')

    async with mediasvc.open(data_dir=tmp_path / "data") as opened:
        with pytest.raises(InvalidSettings):
            opened.sign("http://news.example/a.jpg")
    async with mediasvc.open(config="mediasvc.toml", data_dir=tmp_path / "data", signing_keys=KEY) as opened:
        assert opened.sign("http://news.example/a.jpg").startswith("https://img.example/img/")
    with pytest.raises(TypeError, match="colour"):
        async with mediasvc.open(colour="red"):
            pass
    with pytest.raises(InvalidSettings, match="FETCH_TIMEOUT"):
        async with mediasvc.open(data_dir=tmp_path, fetch_timeout="soon"):
            pass


async def test_closing_leaves_no_process_thread_or_task(origin: Origin, tmp_path: Path) -> None:
    def processes() -> set[int]:
        return {child.pid for child in psutil.Process().children(recursive=True)}

    threads, children, tasks = set(threading.enumerate()), processes(), asyncio.all_tasks()
    handlers = logging.getLogger().handlers[:]

    async with mediasvc.open(data_dir=tmp_path, connect_to=origin.connect_to) as opened:
        await opened.image("http://news.example/pictures/d.jpg", size="30x20")
        assert processes() > children

    assert set(threading.enumerate()) == threads
    assert processes() == children
    assert asyncio.all_tasks() == tasks
    assert logging.getLogger().handlers == handlers
    with pytest.raises(Overloaded):
        await opened.image("http://news.example/pictures/d.jpg")


async def test_two_may_be_open_on_one_folder(origin: Origin, tmp_path: Path) -> None:
    url = "http://news.example/pictures/e.jpg"

    async with (
        mediasvc.open(data_dir=tmp_path, connect_to=origin.connect_to) as one,
        mediasvc.open(data_dir=tmp_path, connect_to=origin.connect_to) as other,
    ):
        first, second = await asyncio.gather(one.image(url, size="30x20"), other.image(url, size="30x20"))

    assert first == second
    assert origin.hits("/pictures/e.jpg") == 1


async def test_a_cancelled_call_disturbs_no_other(origin: Origin, media: Media) -> None:
    url = "http://news.example/pictures/f.jpg"
    leaving = asyncio.create_task(media.image(url))
    await asyncio.to_thread(origin.wait_hits, None, 1)

    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving

    assert (await media.image(url)).width == 1200


async def test_cancelling_the_opening_leaves_nothing(tmp_path: Path) -> None:
    threads = set(threading.enumerate())

    async def use() -> None:
        async with mediasvc.open(data_dir=tmp_path):
            pass

    opening = asyncio.create_task(use())
    await asyncio.to_thread(lambda: None)
    threads |= {thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")}
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    assert set(threading.enumerate()) <= threads


async def test_lines_go_to_the_programs_logging_and_nothing_is_printed(
    media: Media, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    with pytest.raises(SourceMissing):
        await media.image("http://news.example/nothing.jpg")

    assert [record.name for record in caplog.records] == ["mediasvc"]
    assert "fetch" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_importing_reads_in_nothing_heavy() -> None:
    program = "import sys, mediasvc; print([name for name in sys.modules if 'mediasvc.' in name], 'asyncio' in sys.modules)"  # noqa: E501

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert said.stdout == "[] False\n"
