"""The page that is made of a report."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from tests.support.chromium import open_browser
from tests.support.origin import Origin, Reply, jpeg
from tests.support.programs import environment, mediasvc, peak_rss


def test_a_report_becomes_one_page_that_needs_nothing_else(tmp_path: Path, origin: Origin) -> None:
    origin.on("/ok.jpg", Reply(body=jpeg("ok")))
    posts = tmp_path / "posts"
    posts.mkdir()
    (posts / "<b>.md").write_text(
        '<img src="http://news.example/ok.jpg" data-size="300,300">\n\n'
        "![x](http://dead.example/a.jpg) ![y](http://dead.example/b.jpg)\n"
    )
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    run = mediasvc(["rewrite", posts, "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"], env)

    ended = mediasvc(["report", tmp_path / "r.jsonl", "--html", tmp_path / "r.html"], env)

    page = (tmp_path / "r.html").read_text()
    assert (run.code, ended.code) == (3, 0)
    assert "data:image/jpeg;base64," in page
    assert "dead.example</b> 2 ×" in page
    assert "&lt;b&gt;.md" in page
    assert "<b>.md" not in page
    assert "http-equiv" in page


def test_the_page_shows_what_lies_beside_the_output_and_in_several_folders(
    tmp_path: Path, origin: Origin
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        text = f'<img src="http://news.example/pictures/{folder}.jpg" data-size="300,300">\n'
        (tmp_path / folder / "post.md").write_text(text)
        for number in range(150):
            (tmp_path / folder / f"{number}.html").write_text(
                '<base href="http://x.example/"><img src="a.jpg">'
            )
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)

    def pictures(*arguments: str) -> str:
        mediasvc(["rewrite", "a", "b", *arguments, "--report", "r.jsonl"], env, cwd=tmp_path)
        ended = mediasvc(["report", "r.jsonl", "--html", "r.html"], env, cwd=tmp_path)
        assert ended.code == 0, ended.err
        return (tmp_path / "r.html").read_text()

    (tmp_path / "media").mkdir()
    page = pictures("--in-place")
    assert page.count("data:image/jpeg;base64,") == 2
    assert "and 100 further articles" in page
    mediasvc(["restore", "--report", "r.jsonl", "a", "b"], env, cwd=tmp_path)
    assert pictures("--in-place", "--assets", "media").count("data:image/jpeg;base64,") == 2


def test_a_report_shows_no_file_that_is_not_its_runs(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    image: dict[str, object] = {
        "source": "x",
        "origin": "x",
        "where": "img[src]",
        "status": "localised",
        "code": None,
    }
    image |= {"original": None, "width": 1, "height": 1, "bytes": 6}
    names = ["../secret.jpg", "secret.jpg", str(tmp_path / "secret.jpg"), "\0.jpg"]
    row: dict[str, object] = {
        "path": "a",
        "out": "a",
        "root": str(tmp_path),
        "status": "rewritten",
        "error": None,
    }
    row["images"] = [image | {"thumbnail": name} for name in names]
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")

    ended = mediasvc(["report", "r.jsonl", "--html", "r.html"], environment(tmp_path / "d"), cwd=tmp_path)

    assert ended.code == 0, ended.err
    assert "data:image" not in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        '{"out": "a", "status": "x"}',
        '{"out": 5, "status": 5, "path": "a", "error": null, "images": []}',
        '{"out": "a", "status": "x", "path": "a", "error": null, "images": [{}]}',
        '{"out": "a", "status": "x", "path": "a", "error": null, "images": [{"source": "x", "status": "localised",'  # noqa: E501
        ' "origin": "x", "code": null, "original": "x", "thumbnail": "x", "width": 1, "height": 1, "bytes": 1,'  # noqa: E501
        ' "original_bytes": "many"}]}',
        "[" * 100_000,
    ],
)
def test_what_is_not_a_report_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "r.jsonl").write_text(line + "\n")

    ended = mediasvc(
        ["report", tmp_path / "r.jsonl", "--html", tmp_path / "r.html"], environment(tmp_path / "d")
    )

    assert ended.code == 2
    assert "line 1" in ended.err
    assert not (tmp_path / "r.html").exists()


def test_a_report_is_not_lost_to_its_page_nor_to_a_run_that_does_not_begin(
    tmp_path: Path, origin: Origin
) -> None:
    (tmp_path / "a.md").write_text("![x](http://news.example/pictures/a.jpg)\n")
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    report = tmp_path / "r.jsonl"
    command: list[str | Path] = ["rewrite", tmp_path / "a.md", "--in-place", "--report", report]
    mediasvc(command, env)
    before = report.read_bytes()

    onto_itself = mediasvc(["report", report, "--html", report.parent / "." / "r.jsonl"], env)
    not_begun = mediasvc([*command, "--data-dir", tmp_path / "a.md" / "no"], env)

    assert (onto_itself.code, not_begun.code) == (2, 2), onto_itself.err + not_begun.err
    assert report.read_bytes() == before


def test_a_pipe_or_a_device_stays_what_it_is(tmp_path: Path, origin: Origin) -> None:
    url = origin.on("/ok.jpg", Reply(body=jpeg("ok"))).replace(f"127.0.0.1:{origin.port}", "news.example")
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    (tmp_path / "r.jsonl").touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 1024 * 1024)
    try:
        page = mediasvc(["report", tmp_path / "r.jsonl", "--html", pipe], env)
        read = os.read(reader, 1024 * 1024)
        image = mediasvc(["fetch", url, "-o", pipe], env)

        assert (page.code, image.code) == (0, 0), page.err + image.err
        assert pipe.is_fifo()
        assert read.endswith(b"</html>\n")
        assert os.read(reader, 1024 * 1024) == jpeg("ok")
    finally:
        os.close(reader)
    assert mediasvc(["report", tmp_path / "r.jsonl", "--html", "-"], env).out == read


def test_names_give_a_terminal_no_orders(tmp_path: Path) -> None:
    row: dict[str, object] = {
        "path": "a",
        "out": "\x1b]0;x\x07\n.md",
        "root": "",
        "status": "rewritten",
        "error": None,
        "images": [],
    }
    row["edits"] = [[0, "a", "b"]]
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")

    ended = mediasvc(["restore", "--report", "r.jsonl"], environment(tmp_path / "d"), cwd=tmp_path)

    assert ended.code == 3
    assert ended.err.splitlines()[0].startswith("mediasvc: \\x1b]0;x\\x07\\n.md: ")
    assert ended.err.isascii()
    assert not set(ended.err) & {"\x1b", "\x07"}


def test_pictures_that_grew_saved_nothing(tmp_path: Path) -> None:
    image: dict[str, object] = {
        "source": "x",
        "origin": "x",
        "where": "img[src]",
        "status": "localised",
        "code": None,
    }
    image |= {"original": "a.jpg", "thumbnail": "b.webp", "width": 1, "height": 1}
    image |= {"bytes": 1500, "original_bytes": 1000}
    row = {"path": "a", "out": "a", "status": "rewritten", "error": None, "images": [image]}
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")

    ended = mediasvc(["report", "r.jsonl", "--html", "-"], environment(tmp_path / "d"), cwd=tmp_path)

    assert "<strong>0 bytes</strong><span>0% of 1.0 kB originals</span>" in ended.out.decode()


def test_long_names_do_not_make_the_page_wider_than_a_telephone(tmp_path: Path) -> None:
    address = f"http://{'sub.' * 50}news.example/{'a' * 250}.jpg"
    image: dict[str, object] = {"source": address, "origin": address, "where": "img[src]", "status": "failed"}
    image |= {"code": "source_missing"}
    image |= dict.fromkeys(("original", "thumbnail", "width", "height", "bytes"))
    row = {
        "path": "p" * 250,
        "out": "p" * 250,
        "status": "failed",
        "error": "store_failed",
        "images": [image],
    }
    row |= {"message": "m" * 250}
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")
    mediasvc(["report", "r.jsonl", "--html", "r.html"], environment(tmp_path / "d"), cwd=tmp_path)

    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.goto((tmp_path / "r.html").as_uri())
        page.click("summary")
        width = page.evaluate("document.documentElement.scrollWidth")

    assert width == 390


def test_a_report_of_100_000_articles_is_still_one_page_that_opens(tmp_path: Path, origin: Origin) -> None:
    origin.on("/ok.jpg", Reply(body=jpeg("ok")))
    posts = tmp_path / "posts"
    posts.mkdir()
    (posts / "a.md").write_text(
        '<img src="http://news.example/ok.jpg" data-size="300,300"> ![x](http://dead.example/a.jpg)\n'
    )
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    mediasvc(["rewrite", posts, "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"], env)
    row = json.loads((tmp_path / "r.jsonl").read_text())
    failed = next(image for image in row["images"] if image["status"] == "failed")
    with (tmp_path / "big.jsonl").open("w") as file:
        for number in range(100_000):
            failed["origin"] = f"http://dead{number % 3000}.example/a.jpg"
            row["out"] = row["path"] = f"{number}.md"
            file.write(json.dumps(row) + "\n")

    peak = peak_rss(["report", tmp_path / "big.jsonl", "--html", tmp_path / "big.html"], env)

    page = (tmp_path / "big.html").read_text()
    assert len(page) < 2_000_000
    assert peak < 150 * 2**20
    assert "<strong>100,000</strong>" in page
    assert "2,800 further kinds of failure" in page
