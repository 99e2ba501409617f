"""The main job from the command line: articles in, local images out."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.origin import Origin, Reply, jpeg
from tests.support.programs import SEED_SHAPED, environment, mediasvc

LAKE, HILL = jpeg("lake"), jpeg("hill")


@pytest.fixture
def env(env: dict[str, str], origin: Origin) -> dict[str, str]:
    origin.on("/a/lake.jpeg", Reply(body=LAKE))
    origin.on("/a/hill.jpeg?x=1&y=2", Reply(body=HILL))
    return env


def _report(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _article(folder: Path, text: str = SEED_SHAPED, name: str = "post.md") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_an_article_gets_local_images_and_no_other_byte_changes(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    article = _article(tmp_path / "posts")

    ended = mediasvc(["rewrite", article, "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"], env)

    assert ended.code == 0, ended.err
    (row,) = _report(tmp_path / "r.jsonl")
    assert row["status"] == "rewritten"
    assert row["counts"] == {"references": 4, "localised": 4, "left": 0, "failed": 0}
    written = (tmp_path / "out" / "post.md").read_text()
    lake, hill = hashlib.sha256(LAKE).hexdigest(), hashlib.sha256(HILL).hexdigest()
    by_place = {image["where"] + image["origin"]: image for image in row["images"]}
    small_lake = by_place["img[src]http://static.news.example/a/lake.jpeg"]["thumbnail"]
    small_hill = by_place["img[src]http://static.news.example/a/hill.jpeg?x=1&y=2"]["thumbnail"]
    expected = (
        SEED_SHAPED.replace(
            "headimg: 'https://cors.zfour.workers.dev/?http://static.news.example/a/lake.jpeg'",
            f"headimg: 'assets/{lake}.jpg'",
        )
        .replace(
            "https://cors.zfour.workers.dev/?http://static.news.example/a/hill.jpeg?x=1&amp;y=2", small_hill
        )
        .replace("https://cors.zfour.workers.dev/?http://static.news.example/a/lake.jpeg", small_lake)
    )
    assert written == expected
    assert (tmp_path / "out" / "assets" / f"{lake}.jpg").read_bytes() == LAKE
    assert (tmp_path / "out" / "assets" / f"{hill}.jpg").read_bytes() == HILL
    for name, size in ((small_lake, (600, 400)), (small_hill, (300, 200))):
        data = (tmp_path / "out" / name).read_bytes()
        assert name == f"assets/{hashlib.sha256(data).hexdigest()}.jpg"
        assert Image.open(io.BytesIO(data)).size == size
    assert origin.hits("/a/lake.jpeg") == 1
    assert origin.hits("/a/hill.jpeg?x=1&y=2") == 1


def test_run_again_nothing_is_fetched_and_nothing_changes(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    article = _article(tmp_path / "posts")
    command = ["rewrite", article, "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"]
    mediasvc(command, env)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    first = _report(tmp_path / "r.jsonl")

    ended = mediasvc(command, env)

    assert ended.code == 0, ended.err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    assert _report(tmp_path / "r.jsonl") == first
    assert origin.hits() == 2


def test_in_place_and_back_again(tmp_path: Path, env: dict[str, str]) -> None:
    article = _article(tmp_path / "posts")
    article.chmod(0o640)

    ended = mediasvc(["rewrite", tmp_path / "posts", "--in-place", "--report", tmp_path / "r.jsonl"], env)
    rewritten = article.read_bytes()
    undone = mediasvc(["restore", "--report", tmp_path / "r.jsonl", tmp_path / "posts"], env)

    assert (ended.code, undone.code) == (0, 0), ended.err + undone.err
    assert b"static.news.example" not in rewritten
    assert article.read_bytes() == SEED_SHAPED.encode()
    assert article.stat().st_mode & 0o777 == 0o640
    assert list((tmp_path / "posts" / "assets").iterdir())


def test_rewriting_in_place_twice_changes_nothing(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    article = _article(tmp_path / "posts")
    command = ["rewrite", tmp_path / "posts", "--in-place", "--report", tmp_path / "r.jsonl"]
    mediasvc(command, env)
    once, report = article.read_bytes(), _report(tmp_path / "r.jsonl")

    ended = mediasvc(command, env)

    assert ended.code == 0
    assert article.read_bytes() == once
    assert _report(tmp_path / "r.jsonl") == report
    assert origin.hits() == 2


def test_the_tree_is_mirrored_with_unchanged_articles(tmp_path: Path, env: dict[str, str]) -> None:
    _article(tmp_path / "posts" / "2024" / "秋 天")
    _article(tmp_path / "posts", "nothing to do\r\n", "plain.markdown")
    (tmp_path / "posts" / "notes.txt").write_text("not an article")

    ended = mediasvc(["rewrite", tmp_path / "posts", "--out", tmp_path / "out"], env)

    assert ended.code == 0, ended.err
    assert (tmp_path / "out" / "plain.markdown").read_bytes() == b"nothing to do\r\n"
    assert "../../assets/" in (tmp_path / "out" / "2024" / "秋 天" / "post.md").read_text()
    assert (tmp_path / "out" / "notes.txt").read_bytes() == (tmp_path / "posts" / "notes.txt").read_bytes()


def test_a_dry_run_prints_a_diff_and_touches_nothing(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    article = _article(tmp_path / "posts")

    ended = mediasvc(["rewrite", article, "--dry-run"], env, cwd=tmp_path)

    assert ended.code == 0, ended.err
    assert b"-headimg: 'https://cors.zfour.workers.dev/" in ended.out
    assert b"+headimg: 'assets/" in ended.out
    assert article.read_bytes() == SEED_SHAPED.encode()
    assert origin.hits() == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "data") == ["posts"]


def test_under_out_the_whole_tree_is_there_and_a_second_run_copies_nothing(
    tmp_path: Path, env: dict[str, str]
) -> None:
    posts = tmp_path / "posts"
    _article(posts, "no pictures\n", "a.md")
    for name, mode in {"x/local.jpg": 0o640, ".nojekyll": 0o600, ".well-known/b.md": 0o644}.items():
        path = posts / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        path.chmod(mode)
        os.utime(path, (1_600_000_000, 1_600_000_000.5))
    _article(posts / ".git", "private", "config")
    (posts / "leads-out").symlink_to("/etc/hostname")

    first = mediasvc(["rewrite", "posts", "--out", "out"], env, cwd=tmp_path)
    second = mediasvc(["rewrite", "posts", "--out", "out"], env, cwd=tmp_path)
    (posts / "x" / "local.jpg").write_bytes(b"changed")
    third = mediasvc(["rewrite", "posts", "--out", "out"], env, cwd=tmp_path)
    only = mediasvc(["rewrite", "posts", "--out", "only", "--articles-only"], env, cwd=tmp_path)

    assert (first.code, second.code, third.code, only.code) == (0, 0, 0, 0), first.err + third.err
    assert "3 other files copied" in first.err
    assert "other file" not in second.err
    assert "1 other file copied" in third.err
    assert (tmp_path / "out" / "x" / "local.jpg").read_bytes() == b"changed"
    copy, kept = tmp_path / "out" / ".well-known" / "b.md", posts / ".well-known" / "b.md"
    assert (copy.stat().st_mode, copy.stat().st_mtime_ns) == (kept.stat().st_mode, kept.stat().st_mtime_ns)
    assert not (tmp_path / "out" / ".git").exists()
    assert not (tmp_path / "out" / "leads-out").exists()
    assert [path.name for path in (tmp_path / "only").iterdir()] == ["a.md"]


def test_copied_files_never_go_through_a_link_out_of_the_output_nor_over_the_input(
    tmp_path: Path, env: dict[str, str]
) -> None:
    posts = tmp_path / "site" / "posts"
    _article(posts, "no pictures\n", "a.md")
    _article(posts / "away", "secret", "b.txt")
    _article(posts / "posts", "other", "c.txt")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "site" / "away").symlink_to(tmp_path / "elsewhere")

    ended = mediasvc(["rewrite", "site/posts", "--out", "site"], env, cwd=tmp_path)

    assert ended.code == 2, ended.err
    assert "away/b.txt is behind a link" in ended.err
    assert "posts/c.txt is input" in ended.err
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (posts / "c.txt").exists()


def test_patterns_and_types_say_which_files_are_articles(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    posts = tmp_path / "posts"
    tag = '<img src="http://static.news.example/a/lake.jpeg">\n'
    for name in ("layouts/post.liquid", "drafts/b.md", "notes.txt"):
        _article((posts / name).parent, tag, Path(name).name)
    _article(posts, '<img src="lake.jpeg">\n', "relative.md")
    chosen = ["--include", "*.liquid", "--exclude", "drafts", "--base-url", "http://static.news.example/a/"]

    ended = mediasvc(["rewrite", "posts", "--out", "out", *chosen], env, cwd=tmp_path)
    named = mediasvc(["rewrite", "posts/notes.txt", "--out", "one", "--type", "html"], env, cwd=tmp_path)
    unread = mediasvc(["rewrite", "posts/notes.txt", "--out", "two"], env, cwd=tmp_path)

    assert (ended.code, named.code, unread.code) == (0, 0, 2), ended.err + named.err
    out = tmp_path / "out"
    assert b"../assets/" in (out / "layouts" / "post.liquid").read_bytes()
    assert b'"assets/' in (out / "relative.md").read_bytes()
    assert (out / "drafts" / "b.md").read_text() == (out / "notes.txt").read_text() == tag
    assert b'"assets/' in (tmp_path / "one" / "notes.txt").read_bytes()
    assert "--type" in unread.err


def test_a_dry_run_writes_a_report_where_one_is_asked_for(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    article = _article(tmp_path / "posts")
    plain = _article(tmp_path / "posts", "no pictures\n", "plain.md")

    ended = mediasvc(["rewrite", "posts", "--dry-run", "--report", "r.jsonl"], env, cwd=tmp_path)
    undone = mediasvc(["restore", "--report", "r.jsonl", "posts"], env, cwd=tmp_path)

    assert (ended.code, undone.code) == (0, 0), ended.err + undone.err
    rows = {row["out"]: row for row in _report(tmp_path / "r.jsonl")}
    assert (rows["plain.md"]["status"], rows["post.md"]["status"]) == ("unchanged", "rewritten")
    assert rows["post.md"]["counts"]["localised"] > 0
    assert (article.read_bytes(), plain.read_bytes()) == (SEED_SHAPED.encode(), b"no pictures\n")
    assert origin.hits() == 0


def test_a_check_names_the_articles_that_have_pictures_elsewhere(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    _article(tmp_path / "posts", "![x](http://static.news.example/a.jpg)\n", "elsewhere.md")
    left = '<p data-mediasvc="skip"><img src="http://static.news.example/a.jpg"></p>\n'
    _article(tmp_path / "posts", f"![x](local.jpg) ![y](data:image/gif;base64,R0lG)\n\n{left}", "local.md")

    found = mediasvc(["rewrite", "posts", "--check"], env, cwd=tmp_path)
    (tmp_path / "posts" / "elsewhere.md").unlink()
    clean = mediasvc(["rewrite", "posts", "--check"], env, cwd=tmp_path)
    piped = mediasvc(
        ["rewrite", "-", "--check"], env, cwd=tmp_path, stdin=b'<img src="http://a.example/b.png">'
    )

    assert (found.code, found.out) == (3, b"posts/elsewhere.md: 1 reference to pictures elsewhere\n")
    assert (clean.code, clean.out) == (0, b"")
    assert (piped.code, piped.out) == (3, b"stdin: 1 reference to pictures elsewhere\n")
    assert origin.hits() == 0


def test_stdin_becomes_stdout(tmp_path: Path, env: dict[str, str]) -> None:
    html = b'<p><img src="http://static.news.example/a/lake.jpeg" width=300 height=300>'

    ended = mediasvc(
        ["rewrite", "-", "--type", "html", "--asset-url", "/media"], env, cwd=tmp_path, stdin=html
    )

    assert ended.code == 0, ended.err
    (thumbnail,) = (path for path in (tmp_path / "assets").iterdir() if path.read_bytes() != LAKE)
    assert ended.out == f'<p><img src="/media/{thumbnail.name}" width=300 height=300>'.encode()


@pytest.mark.parametrize(
    ("reply", "code", "exit_code"),
    [
        (Reply(status=404), "source_missing", 3),
        (Reply(status=503), "source_failed", 4),
        (Reply(body=b"<html>no picture</html>"), "unsupported_media", 3),
        (Reply(body=LAKE[: len(LAKE) // 2]), "undecodable", 3),
    ],
)
def test_an_image_that_fails_keeps_its_text(
    tmp_path: Path, env: dict[str, str], origin: Origin, reply: Reply, code: str, exit_code: int
) -> None:
    origin.on("/a/hill.jpeg?x=1&y=2", reply)
    article = _article(tmp_path / "posts")
    env["MEDIASVC_FETCH_RETRIES"] = "0"

    ended = mediasvc(["rewrite", article, "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"], env)

    assert ended.code == exit_code, ended.err
    (row,) = _report(tmp_path / "r.jsonl")
    assert row["status"] == "rewritten"
    assert [image["code"] for image in row["images"] if image["status"] == "failed"] == [code]
    text = (tmp_path / "out" / "post.md").read_text()
    assert "?http://static.news.example/a/hill.jpeg?x=1&amp;y=2" in text
    assert "lake.jpeg" not in text


def test_private_addresses_are_refused(tmp_path: Path, env: dict[str, str]) -> None:
    article = _article(tmp_path / "posts", "![x](http://127.0.0.1:80/a.jpg) ![y](http://2130706433/a.jpg)\n")

    ended = mediasvc(["rewrite", article, "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"], env)

    assert ended.code == 3
    assert [image["code"] for image in _report(tmp_path / "r.jsonl")[0]["images"]] == ["source_refused"] * 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rewrite", "missing.md", "--out", "out"], "no such file"),
        (["rewrite", "", "--in-place"], "the path is empty"),
        (["rewrite", "post.md", "--out", ""], "the path is empty"),
        (["rewrite", "post.md", "--in-place", "--data-dir", ""], "the path is empty"),
        (["rewrite", "empty", "--out", "out"], "no articles"),
        (["rewrite", "post.md"], "--out"),
        (["rewrite", "post.md", "--out", "out", "--base-url", "news.example/a"], "--base-url"),
        (["rewrite", "-", "--base-url", "news.example/a"], "--base-url"),
        (["rewrite", "post.md", "--out", "post.md/x"], "cannot write"),
        (["rewrite", "post.md", "--out", "out", "--assets", "post.md"], "not a folder"),
        (["rewrite", "post.md", "--in-place", "--assets", "post.md/x/y"], "post.md is not a folder"),
        (["rewrite", "-", "--assets", "post.md"], "not a folder"),
        (["rewrite", "post.md", "--out", "."], "is input too"),
        (["rewrite", "posts/", "--out", "posts/../posts"], "is the input too"),
        (["rewrite", "posts", "--out", "."], "is input too"),
        (["restore", "--report", "r.jsonl", "gone"], "does not exist"),
        (["resolve", "http://"], "mediasvc:"),
    ],
)
def test_wrong_use_is_one_clear_line(
    tmp_path: Path, env: dict[str, str], arguments: list[str], says: str
) -> None:
    (tmp_path / "empty").mkdir()
    _article(tmp_path)
    _article(tmp_path / "posts" / "posts")

    ended = mediasvc(arguments, env, cwd=tmp_path)

    assert ended.code == 2
    assert says in ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_variable_is_an_error(tmp_path: Path) -> None:
    ended = mediasvc(["settings"], environment(tmp_path, PROT="80"))

    assert ended.code == 2
    assert "did you mean MEDIASVC_PORT" in ended.err


def test_an_article_that_is_too_large_is_said_to_be(tmp_path: Path, env: dict[str, str]) -> None:
    article = _article(tmp_path / "posts")
    env["MEDIASVC_MAX_ARTICLE_BYTES"] = "100"

    ended = mediasvc(["rewrite", article, "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"], env)

    assert ended.code == 2
    assert _report(tmp_path / "r.jsonl")[0]["error"] == "body_too_large"
    assert "MEDIASVC_MAX_ARTICLE_BYTES" in ended.err
    assert (tmp_path / "out" / "post.md").read_bytes() == article.read_bytes()


def test_the_copy_of_an_article_that_is_too_large_is_as_the_article_is(
    tmp_path: Path, env: dict[str, str]
) -> None:
    env["MEDIASVC_MAX_ARTICLE_BYTES"] = "100"
    article, linked = _article(tmp_path / "posts"), _article(tmp_path / "posts" / "sub")
    article.chmod(0o600)
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    command: list[str | Path] = ["rewrite", tmp_path / "posts", "--out", tmp_path / "out"]
    copy = tmp_path / "out" / "post.md"

    mediasvc(command, env)
    first, mode = copy.read_text(), copy.stat().st_mode & 0o777
    changed = SEED_SHAPED.swapcase()
    article.write_text(changed)
    copy.chmod(0o604)
    mediasvc(command, env)

    assert (first, mode) == (SEED_SHAPED, 0o600)
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == (changed, 0o604)
    assert linked.exists()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_file_names_of_every_kind(tmp_path: Path, env: dict[str, str]) -> None:
    names = [
        b"a b.md",
        b"\"'.md",
        "\N{DOG FACE}.md".encode(),
        b"x" * 247 + b".md",
        b"\xff\xfe.md",
        b"%20#?.md",
    ]
    (tmp_path / "posts").mkdir()
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path / "posts"), name))).write_text(SEED_SHAPED)

    ended = mediasvc(
        ["rewrite", tmp_path / "posts", "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"], env
    )

    assert ended.code == 0, ended.err
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == sorted([*names, b"assets"])
    assert len(_report(tmp_path / "r.jsonl")) == len(names)


def test_links_out_of_the_tree_are_not_followed(tmp_path: Path, env: dict[str, str]) -> None:
    outside = _article(tmp_path / "outside", name="secret.md")
    _article(tmp_path / "posts")
    (tmp_path / "posts" / "link.md").symlink_to(outside)
    (tmp_path / "posts" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "posts" / "nowhere.md").symlink_to("gone.md")
    (tmp_path / "posts" / "itself.md").symlink_to("itself.md")
    (tmp_path / "posts" / "round").symlink_to(tmp_path / "posts")

    ended = mediasvc(["rewrite", tmp_path / "posts", "--out", tmp_path / "out"], env)

    assert ended.code == 0, ended.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["assets", "post.md"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, env: dict[str, str]) -> None:
    _article(tmp_path / "posts")
    # A path longer than the system takes; permissions do not hold back root, as whom tests may run.
    folder = os.open(tmp_path / "posts", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=folder)
        inner = os.open("x" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)

    ended = mediasvc(["rewrite", "posts", "--out", "out", "--report", "r.jsonl"], env, cwd=tmp_path)
    preview = mediasvc(["rewrite", "posts", "--dry-run"], env, cwd=tmp_path)

    assert (ended.code, preview.code) == (2, 2)
    assert "cannot read the folder: file name too long" in ended.err
    assert "file name too long" in preview.err
    assert [row["out"] for row in _report(tmp_path / "r.jsonl")] == ["post.md"]
    assert "static.news.example" not in (tmp_path / "out" / "post.md").read_text()


def test_the_tree_is_mirrored_whole_beside_another(tmp_path: Path, env: dict[str, str]) -> None:
    _article(tmp_path / "a")
    (tmp_path / "a" / "link.md").symlink_to("post.md")
    _article(tmp_path / "b", name="other.md")

    ended = mediasvc(["rewrite", "a", "b", "--out", "out"], env, cwd=tmp_path)

    assert ended.code == 0, ended.err
    assert sorted(path.name for path in (tmp_path / "out").glob("*.md")) == ["link.md", "other.md", "post.md"]


def test_two_inputs_that_would_meet_in_one_output_are_refused(tmp_path: Path, env: dict[str, str]) -> None:
    _article(tmp_path / "a")
    _article(tmp_path / "b")

    ended = mediasvc(["rewrite", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out"], env)

    assert ended.code == 2
    assert "would both become post.md" in ended.err
    assert not (tmp_path / "out" / "post.md").exists()


def test_an_article_named_twice_is_done_once(tmp_path: Path, env: dict[str, str]) -> None:
    article = _article(tmp_path / "a")

    ended = mediasvc(
        ["rewrite", tmp_path / "a", article, "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"], env
    )

    assert ended.code == 0, ended.err
    assert len(_report(tmp_path / "r.jsonl")) == 1


def test_in_place_an_article_is_done_once_however_it_is_named(tmp_path: Path, env: dict[str, str]) -> None:
    for folder in ("posts", "posts/sub", "posts/sub/deep"):
        _article(tmp_path / folder)
    _article(tmp_path / "posts" / "sub" / "deep", name="other.md")
    paths: list[str | Path] = [
        "posts",
        tmp_path / "posts",
        "posts/../posts/post.md",
        "posts/sub",
        "posts/sub/deep/other.md",
    ]

    ended = mediasvc(["rewrite", *paths, "--in-place", "--report", "r.jsonl"], env, cwd=tmp_path)

    assert ended.code == 0, ended.err
    rows = _report(tmp_path / "r.jsonl")
    assert sorted((os.path.relpath(row["root"], tmp_path), row["out"]) for row in rows) == [
        ("posts", "post.md"),
        ("posts/sub", "deep/post.md"),
        ("posts/sub", "post.md"),
        ("posts/sub/deep", "other.md"),
    ]
    assert {row["status"] for row in rows} == {"rewritten"}


def test_in_place_each_folder_gets_assets_of_its_own(tmp_path: Path, env: dict[str, str]) -> None:
    first, second = _article(tmp_path / "a"), _article(tmp_path / "b")
    report = tmp_path / "r.jsonl"

    ended = mediasvc(["rewrite", tmp_path / "a", tmp_path / "b", "--in-place", "--report", report], env)
    undone = mediasvc(["restore", "--report", report, tmp_path / "a", tmp_path / "b"], env)

    assert (ended.code, undone.code) == (0, 0), ended.err + undone.err
    assert list((tmp_path / "a" / "assets").iterdir())
    assert list((tmp_path / "b" / "assets").iterdir())
    assert first.read_text() == second.read_text() == SEED_SHAPED


def test_the_mode_of_the_file_that_is_replaced_stays(tmp_path: Path, env: dict[str, str]) -> None:
    article = _article(tmp_path / "posts")
    old = _article(tmp_path / "out", "old")
    old.chmod(0o604)

    mediasvc(["rewrite", article, "--out", tmp_path / "out"], env)

    assert old.stat().st_mode & 0o777 == 0o604
    assert old.read_text() != "old"


def test_stdin_has_a_report_too(tmp_path: Path, env: dict[str, str]) -> None:
    html = b'<img src="http://static.news.example/a/lake.jpeg">'

    ended = mediasvc(
        ["rewrite", "-", "--report", "r.jsonl", "--assets", "a #b"], env, cwd=tmp_path, stdin=html
    )

    (row,) = _report(tmp_path / "r.jsonl")
    assert ended.code == 0, ended.err
    assert row["counts"]["localised"] == 1
    assert b'src="a%20%23b/' in ended.out


def test_stdin_that_fails_as_a_whole_comes_out_as_it_is_and_is_reported(
    tmp_path: Path, env: dict[str, str]
) -> None:
    html = b'<base href="http://static.news.example/"><img src="a/lake.jpeg">'

    ended = mediasvc(["rewrite", "-", "--report", "r.jsonl"], env, cwd=tmp_path, stdin=html)

    (row,) = _report(tmp_path / "r.jsonl")
    assert (ended.code, ended.out) == (2, html)
    assert "--asset-url" in ended.err
    assert (row["status"], row["error"], row["digest_out"]) == ("failed", "invalid_request", row["digest_in"])
    assert row["seconds"] > 0


def test_a_dry_run_minds_no_output_folder(tmp_path: Path, env: dict[str, str]) -> None:
    _article(tmp_path / "out")
    _article(tmp_path / "x")

    ended = mediasvc(["rewrite", "out", "x/", "--dry-run"], env, cwd=tmp_path)

    assert ended.code == 0, ended.err
    assert b"+++ b/out/post.md" in ended.out
    assert b"+++ b/x/post.md" in ended.out


def test_the_report_names_articles_as_this_run_does(tmp_path: Path, env: dict[str, str]) -> None:
    article = _article(tmp_path / "posts")
    told = []
    names: tuple[str | Path, ...] = ("posts", tmp_path / "posts")
    for path in names:
        mediasvc(["rewrite", path, "--out", "out", "--report", "r.jsonl"], env, cwd=tmp_path)
        told.append(_report(tmp_path / "r.jsonl")[0]["path"])

    assert told == ["posts/post.md", str(article)]


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r"])
def test_a_dry_run_prints_what_patch_takes(tmp_path: Path, env: dict[str, str], break_: str) -> None:
    text = break_.join(["one", "![x](http://static.news.example/a/lake.jpeg)", "three", ""])
    article = _article(tmp_path, text, "a post.md")

    ended = mediasvc(["rewrite", article.name, "--dry-run"], env, cwd=tmp_path)

    before, after, _, *hunk = ended.out.removesuffix(b"\n").split(b"\n")
    assert (before, after) == (b"--- a/a post.md\t", b"+++ b/a post.md\t")
    assert b"\n".join(line[1:] for line in hunk if line[:1] in b" -") == text.encode().removesuffix(b"\n")
    assert hunk.count(b"\\ No newline at end of file") == (2 if break_ == "\r" else 0)


def test_a_dry_run_leaves_no_cache_behind(tmp_path: Path, env: dict[str, str]) -> None:
    article = _article(tmp_path / "posts")

    mediasvc(["rewrite", article, "--dry-run"], env)

    assert not (tmp_path / "data").exists()


def test_what_was_added_after_a_run_stays_when_it_is_undone(tmp_path: Path, env: dict[str, str]) -> None:
    article = _article(tmp_path / "posts")
    mediasvc(["rewrite", article, "--in-place", "--report", tmp_path / "r.jsonl"], env)
    article.write_text(article.read_text() + "added later\n")

    undone = mediasvc(["restore", "--report", tmp_path / "r.jsonl", tmp_path / "posts"], env)

    assert undone.code == 0, undone.err
    assert article.read_text() == SEED_SHAPED + "added later\n"


def test_an_image_that_failed_is_tried_again_by_the_next_run(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    env["MEDIASVC_FETCH_RETRIES"] = "0"
    origin.on("/a/hill.jpeg?x=1&y=2", Reply(status=503), Reply(body=HILL))
    article = _article(tmp_path / "posts")
    first = mediasvc(["rewrite", article, "--out", tmp_path / "out"], env)

    second = mediasvc(["rewrite", article, "--out", tmp_path / "out"], env)

    assert (first.code, second.code) == (4, 0)
    assert "hill.jpeg" not in (tmp_path / "out" / "post.md").read_text()
    assert origin.hits("/a/lake.jpeg") == 1


@pytest.mark.parametrize("where", [["--out", "out"], ["--in-place"]])
def test_an_image_that_failed_for_good_is_tried_again_under_other_settings(
    tmp_path: Path, env: dict[str, str], origin: Origin, where: list[str]
) -> None:
    _article(
        tmp_path / "posts", f"![x]({origin.url('/a/lake.jpeg')}) ![y](http://news.example/a/lake.jpeg)\n"
    )
    command = ["rewrite", "posts", *where]
    env["MEDIASVC_MAX_SOURCE_BYTES"] = "1000"
    inner = {"MEDIASVC_ALLOWED_CIDRS": "127.0.0.0/8", "MEDIASVC_ALLOWED_PORTS": f"80,{origin.port}"}

    refused = mediasvc(command, env, cwd=tmp_path)
    too_large = mediasvc(command, env | inner, cwd=tmp_path)
    del env["MEDIASVC_MAX_SOURCE_BYTES"]
    good = mediasvc(command, env | inner, cwd=tmp_path)
    again = mediasvc(command, env | inner, cwd=tmp_path)

    assert "source_refused" in refused.err
    assert (too_large.code, too_large.err.count("source_too_large")) == (3, 2)
    assert good.code == 0, good.err
    assert "1 of them done before" in again.err


def test_in_place_the_way_back_leads_past_earlier_runs(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    env["MEDIASVC_FETCH_RETRIES"] = "0"
    origin.on("/a/hill.jpeg?x=1&y=2", Reply(status=503), Reply(body=HILL))
    article = _article(tmp_path / "posts")
    command: list[str | Path] = [
        "rewrite",
        tmp_path / "posts",
        "--in-place",
        "--report",
        tmp_path / "r.jsonl",
    ]

    codes = [mediasvc([*command, *more], env).code for more in ([], [], ["--force"], ["--format", "webp"])]

    (row,) = _report(tmp_path / "r.jsonl")
    assert codes == [4, 0, 0, 0]
    assert row["status"] == "rewritten"
    assert row["counts"] == {"references": 4, "localised": 4, "left": 0, "failed": 0}
    assert row["digest_in"] == hashlib.sha256(SEED_SHAPED.encode()).hexdigest()
    assert row["digest_out"] == hashlib.sha256(article.read_bytes()).hexdigest()
    assert b"hill.jpeg" not in article.read_bytes()
    undone = mediasvc(["restore", "--report", tmp_path / "r.jsonl", tmp_path / "posts"], env)
    assert undone.code == 0, undone.err
    assert article.read_bytes() == SEED_SHAPED.encode()


def test_links_that_lead_to_no_picture_of_the_article_are_no_references(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    text = (
        "[![x](http://static.news.example/a/lake.jpeg)](http://static.news.example/a/lake.jpeg)\n\n"
        "[other](http://127.0.0.1/other.jpg) [more](http://static.news.example/more.jpg)\n"
    )
    article = _article(tmp_path / "posts", text)

    ended = mediasvc(["rewrite", article, "--out", tmp_path / "out", "--report", tmp_path / "r.jsonl"], env)

    (row,) = _report(tmp_path / "r.jsonl")
    assert ended.code == 0, ended.err
    assert row["counts"] == {"references": 3, "localised": 2, "left": 1, "failed": 0}
    assert (
        "[other](http://127.0.0.1/other.jpg) [more](http://static.news.example/more.jpg)"
        in (tmp_path / "out" / "post.md").read_text()
    )
