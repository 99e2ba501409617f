"""`mediasvc demo` as a newcomer runs it: offline, understandable, and ending with 0."""

import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from mediasvc.demo.run import read_article
from tests.support.programs import environment, mediasvc


def test_the_demo_does_the_main_job_and_says_what_it_did(tmp_path: Path) -> None:
    ended = mediasvc(["demo", "--out", tmp_path / "demo"], environment(tmp_path / "data"))

    said = ended.out.decode()
    local = tmp_path / "demo" / "local"
    assets = sorted((local / "assets").iterdir())
    assert (ended.code, ended.err) == (0, "")
    assert "7 places in the article name 4 pictures" in said
    assert "unwrapped   cors.zfour.workers.dev, then images.weserv.nl" in said
    assert "4 requests to the origin" in said
    assert str(local / "article.md") in said
    assert len(assets) == 7
    assert all(path.stem == hashlib.sha256(path.read_bytes()).hexdigest() for path in assets)


def test_the_article_is_the_same_but_for_its_addresses(tmp_path: Path) -> None:
    mediasvc(["demo", "--out", tmp_path], environment(tmp_path / "data"))

    result = (tmp_path / "local" / "article.md").read_text(encoding="utf-8")

    addresses = r"https?://[^'\"]+|assets/[0-9a-f]{64}\.jpg"
    assert re.sub(addresses, "@", result) == re.sub(addresses, "@", read_article())
    assert "http" not in result


def test_the_demo_again_fetches_nothing_and_changes_nothing(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    mediasvc(["demo", "--out", tmp_path / "demo"], env)
    article = tmp_path / "demo" / "local" / "article.md"
    before = os.stat(article).st_mtime_ns

    ended = mediasvc(["demo", "--out", tmp_path / "demo"], env)

    assert ended.code == 0
    assert "nothing fetched: all of it was known" in ended.out.decode()
    assert os.stat(article).st_mtime_ns == before


def test_settings_for_real_sources_do_not_stand_in_the_demos_way(tmp_path: Path) -> None:
    env = environment(
        tmp_path / "data",
        ALLOWED_HOSTS="cdn.example.org",
        ALLOWED_PORTS="443",
        FETCH_PROXY="http://127.0.0.1:9",
    )

    assert mediasvc(["demo", "--out", tmp_path / "demo"], env).code == 0


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    ended = mediasvc(["demo", "--out", tmp_path / "file" / "demo"], environment(tmp_path / "data"))

    assert ended.code == 4
    assert len(ended.err.splitlines()) == 1


def test_a_file_is_no_folder_for_the_demo(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    assert mediasvc(["demo", "--out", tmp_path / "file"], environment(tmp_path / "data")).code == 2


def test_a_demo_that_served_leaves_nothing_behind(tmp_path: Path) -> None:
    env = environment(tmp_path / "data", WORKERS="1") | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "mediasvc", "demo", "--serve", "--port", "0"]

    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as serving:
        assert serving.stderr is not None
        next(line for line in serving.stderr if b"listening on" in line)
        while_serving = list(tmp_path.glob("mediasvc-demo-*"))
        serving.send_signal(signal.SIGTERM)
        code = serving.wait(40)

    assert (code, len(while_serving)) == (0, 1)
    assert list(tmp_path.glob("mediasvc-demo-*")) == []


def test_another_command_reaches_the_demos_origin_with_what_the_demo_says(tmp_path: Path) -> None:
    env = environment(tmp_path / "data", WORKERS="1")
    command = [sys.executable, "-m", "mediasvc", "demo", "--serve", "--port", "0"]
    fetch = ["fetch", "http://static.news.example/lake-dawn.jpeg", "-o", tmp_path / "lake.jpeg"]

    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as serving:
        assert serving.stdout is not None
        said = next(line for line in serving.stdout if b"MEDIASVC_CONNECT_TO=" in line)
        reached = mediasvc(fetch, env | {"MEDIASVC_CONNECT_TO": said.decode().strip().partition("=")[2]})
        serving.send_signal(signal.SIGTERM)
        serving.wait(40)

    assert reached.code == 0
    assert (tmp_path / "lake.jpeg").read_bytes().startswith(b"\xff\xd8")
