"""The page that is made of a report."""

from pathlib import Path

from tests.origin import Origin, Reply, jpeg
from tests.programs import environment, mediasvc


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


def test_what_is_not_a_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("hello\n")

    ended = mediasvc(
        ["report", tmp_path / "r.jsonl", "--html", tmp_path / "r.html"], environment(tmp_path / "d")
    )

    assert ended.code == 2
    assert "line 1" in ended.err
    assert not (tmp_path / "r.html").exists()
