"""Runs over many articles: what people see of them, two at once, again with something changed, and undone."""

import fcntl
import hashlib
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from mediasvc.batch.totals import Totals
from mediasvc.cli.rewrite.progress import Progress
from tests.support.origin import Gate, Origin, Reply, Request, jpeg
from tests.support.programs import REPOSITORY, mediasvc, peak_rss

PROGRAM = [sys.executable, "-m", "mediasvc"]


def _posts(folder: Path, origin: Origin, count: int, **reply: Any) -> dict[str, bytes]:
    """Articles with an image of their own each; what each of them says, by its name."""
    folder.mkdir(parents=True)
    for number in range(count):
        origin.on(f"/{number}.jpg", Reply(body=jpeg(f"batch{number % 12}", 320, 200), **reply))
        text = f'<img src="http://news.example/{number}.jpg" data-size="160,160">\n'
        (folder / f"{number:04}.md").write_text(text)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _is_whole(folder: Path, count: int) -> bool:
    articles = list(folder.glob("*.md"))
    for path in articles:
        (name,) = re.findall(r'src="assets/([0-9a-f]{64})\.jpg"', path.read_text())
        if hashlib.sha256((folder / "assets" / f"{name}.jpg").read_bytes()).hexdigest() != name:
            return False
    return len(articles) == count and not list(folder.rglob(".mediasvc-*"))


@pytest.mark.parametrize("where", ["--out", "--in-place"])
@pytest.mark.parametrize("reports", [("a.jsonl", "b.jsonl"), ("a.jsonl", "a.jsonl")], ids=["two", "one"])
def test_two_runs_over_one_folder_at_once_do_each_others_work_and_no_harm(
    tmp_path: Path, env: dict[str, str], origin: Origin, where: str, reports: tuple[str, str]
) -> None:
    posts = tmp_path / "posts"
    before = _posts(posts, origin, 60, delay_s=0.02)
    out = tmp_path / "out" if where == "--out" else posts
    place = [where, str(out)] if where == "--out" else [where]
    runs = [
        subprocess.Popen(
            [*PROGRAM, "rewrite", str(posts), *place, "--report", str(tmp_path / report)],
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        for report in reports
    ]
    said = [run.communicate(timeout=60)[1] for run in runs]

    assert [run.returncode for run in runs] == [0, 0], said
    assert _is_whole(out, 60)
    assert origin.hits() == 60
    for report in reports:
        rows = _rows(tmp_path / report)
        assert sorted(row["out"] for row in rows) == sorted(before)
        assert {row["status"] for row in rows} == {"rewritten"}

    undone = mediasvc(["restore", "--report", tmp_path / reports[1], out], env)

    assert undone.code == 0, undone.err
    assert {path.name: path.read_bytes() for path in out.glob("*.md")} == before


def test_only_what_has_changed_is_done_again_and_force_does_all(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    posts, out = tmp_path / "posts", tmp_path / "out"
    _posts(posts, origin, 6)
    command: list[str | Path] = ["rewrite", posts, "--out", out]

    def written(*more: str) -> set[str]:
        marks = {path.name: path.stat().st_ino for path in out.glob("*.md")}
        ended = mediasvc([*command, *more], env)
        assert ended.code == 0, ended.err
        return {path.name for path in out.glob("*.md") if path.stat().st_ino != marks.get(path.name)}

    assert len(written()) == 6
    assert written() == set()
    with (posts / "0003.md").open("a") as file:
        file.write("more\n")
    assert written() == {"0003.md"}
    assert len(written("--format", "webp")) == 6
    assert len(written("--asset-url", "/media")) == 6
    assert len(written()) == 6
    assert written() == set()
    (out / "0005.md").unlink()
    (out / "0002.md").write_text("spoilt")
    assert written() == {"0005.md", "0002.md"}
    assert origin.hits() == 6

    # The source is another one by now, and the cache has heard of it.
    origin.on("/1.jpg", Reply(body=jpeg("another", 320, 200)))
    mediasvc(["cache", "purge", "http://news.example/1.jpg"], env)
    mediasvc(["fetch", "http://news.example/1.jpg", "-o", tmp_path / "x.jpg"], env)
    assert written() == {"0001.md"}
    shutil.rmtree(tmp_path / "data")
    hits = origin.hits()
    assert written("--force") == set()  # the same bytes: nothing to write
    assert origin.hits() == hits + 6


def test_a_whole_run_is_undone_whatever_its_files_are_called(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    posts = tmp_path / "posts"
    origin.on("/a.jpg", Reply(body=jpeg("a", 320, 200)))
    folder = os.fsencode(posts)
    names = [
        b"a b.md",
        b"\"'.md",
        "\N{DOG FACE}.md".encode(),
        b"x" * 247 + b".md",
        b"\xff\xfe.md",
        b"%20#?.md",
    ]
    for place in (b"", b'in \xe9 "#?%', "\N{DOG FACE}".encode()):
        os.makedirs(os.path.join(folder, place), exist_ok=True)
        for number, name in enumerate(names):
            path = os.path.join(folder, place, name)
            Path(os.fsdecode(path)).write_text('<img src="http://news.example/a.jpg" data-size="160,160">\n')
            os.chmod(path, 0o600 + number)
    before = {path: (path.read_bytes(), path.stat().st_mode) for path in posts.rglob("*.md")}
    report = tmp_path / "r.jsonl"

    ended = mediasvc(["rewrite", posts, "--in-place", "--report", report], env)
    rewritten = {path: path.read_bytes() for path in before}
    modes = {path: path.stat().st_mode for path in before}
    undone = mediasvc(["restore", "--report", report, posts], env)

    assert (ended.code, undone.code) == (0, 0), ended.err + undone.err
    assert len(before) == 18
    assert all(b"news.example" not in text for text in rewritten.values())
    assert modes == {path: mode for path, (_, mode) in before.items()}
    assert {path: (path.read_bytes(), path.stat().st_mode) for path in before} == before
    assert origin.hits() == 1


def _on_a_terminal(arguments: list[str], env: dict[str, str]) -> tuple[int, str]:
    """The exit code, and everything that a terminal of 100 columns was sent."""
    pid, handle = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*PROGRAM, *arguments], env | {"TERM": "xterm-256color"})
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    said = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([handle], [], [], 0.5)[0]:
            try:
                part = os.read(handle, 65536)
            except OSError:  # the other end is closed
                break
            said += part
    os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def test_a_terminal_shows_how_far_a_run_is(tmp_path: Path, env: dict[str, str], origin: Origin) -> None:
    _posts(tmp_path / "posts", origin, 60, delay_s=0.15)
    origin.on("/7.jpg", Reply(status=404))

    code, said = _on_a_terminal(
        ["rewrite", str(tmp_path / "posts"), "--out", str(tmp_path / "out"), "--jobs", "8"], env
    )

    shown = re.findall(
        r"(\d+) articles of 60, (\d+) images, [\d.]+ MB, [\d.]+/s, (\d+m\d\d)s left, (\d+) failed", said
    )
    assert code == 3
    assert len({articles for articles, *_ in shown}) > 2
    assert shown[-1][1] == "59"
    assert shown[-1][3] == "1"
    assert "0007.md: http://news.example/7.jpg: source_missing" in said
    assert "60 articles: 59 rewritten, 1 unchanged" in said


def test_one_is_no_plural(tmp_path: Path, env: dict[str, str], origin: Origin) -> None:
    _posts(tmp_path / "posts", origin, 1)
    report = tmp_path / "r.jsonl"

    ended = mediasvc(["rewrite", "posts", "--out", "out", "--report", report], env, cwd=tmp_path)
    undone = mediasvc(["restore", "--report", report, "out"], env, cwd=tmp_path)

    assert "1 article: 1 rewritten, 0 unchanged; 1 image localised in out/assets" in ended.err
    assert undone.err == "1 article restored\n"


def test_elsewhere_a_line_is_said_every_so_often() -> None:
    def lines(every_s: float) -> list[str]:
        stream = io.StringIO()
        with Progress(stream, every_s=every_s) as progress:
            for count in range(1, 4):
                progress.update(Totals(expected=10, articles=count, images=2 * count, image_bytes=3_000_000))
        return stream.getvalue().splitlines()

    assert lines(3600) == []
    assert [line.split(", ")[:3] for line in lines(0)] == [
        [f"{count} articles of 10", f"{2 * count} images", "3.0 MB"] for count in range(1, 4)
    ]
    assert lines(0)[0].endswith("left, 0 failed")


def test_what_would_steer_a_terminal_is_not_said() -> None:
    stream = io.StringIO()

    with Progress(stream) as progress:
        progress.say("http://a.test/\x1b[2J\r\x07湖.jpg")

    assert stream.getvalue() == "http://a.test/[2J湖.jpg\n"


def test_the_report_is_written_as_the_run_goes(tmp_path: Path, env: dict[str, str], origin: Origin) -> None:
    _posts(tmp_path / "posts", origin, 20)
    gate = Gate()

    def answer(request: Request) -> Reply:
        return Reply(body=jpeg(request.path, 320, 200), hold=gate if origin.hits() == 20 else None)

    for number in range(20):
        origin.on(f"/{number}.jpg", answer)
    report = tmp_path / "r.jsonl"
    run = subprocess.Popen(
        [
            *PROGRAM,
            "rewrite",
            str(tmp_path / "posts"),
            "--out",
            str(tmp_path / "out"),
            "--report",
            str(report),
            "--jobs",
            "1",
        ],
        env=env,
        stderr=subprocess.DEVNULL,
    )
    origin.wait_hits(None, 20, timeout_s=30)

    early = _rows(report)
    gate.open()

    assert run.wait(timeout=30) == 0
    assert 15 <= len(early) <= 19
    assert len(_rows(report)) == 20
    assert _rows(report)[: len(early)] == early


def test_a_second_ctrl_c_ends_a_run_as_well_as_the_first(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    _posts(tmp_path / "posts", origin, 30)

    def answer(request: Request) -> Reply:
        return Reply(body=jpeg(request.path, 320, 200), hang="head" if origin.hits() == 30 else "")

    for number in range(30):
        origin.on(f"/{number}.jpg", answer)
    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    run = subprocess.Popen(
        [
            *PROGRAM,
            "rewrite",
            str(tmp_path / "posts"),
            "--out",
            str(out),
            "--report",
            str(report),
            "--jobs",
            "1",
        ],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    origin.wait_hits(None, 30, timeout_s=30)

    for _ in range(2):
        os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=20)

    assert run.returncode in {130, -signal.SIGINT}  # a shell says 130 of both
    assert "Traceback" not in err
    assert _is_whole(out, len(_rows(report)))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_exit_code_of_a_signal_is_the_same_while_modules_are_read_in(
    tmp_path: Path, env: dict[str, str], number: signal.Signals, code: int
) -> None:
    (tmp_path / "a.md").write_text("hello\n")
    command = ["rewrite", tmp_path / "a.md", "--out", tmp_path / "out"]

    interrupted = REPOSITORY / "tests" / "programs" / "interrupted"

    env |= {"PYTHONPATH": f"{interrupted}{os.pathsep}{REPOSITORY}", "INTERRUPT": str(int(number))}
    ended = mediasvc(command, env, cwd=tmp_path)

    assert ended.code == code, ended.err
    assert "interrupted" in ended.err


def test_one_host_gets_no_more_at_once_than_it_may(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    _posts(tmp_path / "posts", origin, 60, delay_s=0.05)

    ended = mediasvc(
        ["rewrite", tmp_path / "posts", "--out", tmp_path / "out", "--jobs", "60"],
        env | {"MEDIASVC_FETCH_PER_HOST": "3"},
    )

    assert ended.code == 0, ended.err
    assert origin.peak == 3


@pytest.mark.parametrize("layout", ["a folder for each site", "names that begin with the site"])
def test_images_of_one_host_are_spread_out(
    tmp_path: Path, env: dict[str, str], origin: Origin, layout: str
) -> None:
    for site in range(6):
        folder = tmp_path / "posts" / (f"site{site}" if layout.startswith("a folder") else "")
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(40):
            path = f"/{site}-{number}.jpg"
            origin.on(path, Reply(body=jpeg(f"batch{number % 12}", 320, 200)))
            (folder / f"{site}-{number:04}.md").write_text(f"![x](http://site{site}.example{path})\n")

    ended = mediasvc(["rewrite", tmp_path / "posts", "--out", tmp_path / "out"], env)

    hosts = [request.host for request in origin.requests()]
    assert ended.code == 0, ended.err
    assert len(hosts) == 240
    for start in range(0, 240, 60):
        assert max(hosts[start : start + 60].count(host) for host in set(hosts)) <= 30
        assert len(set(hosts[start : start + 60])) >= 4


def test_memory_does_not_grow_with_the_number_of_articles(
    tmp_path: Path, env: dict[str, str], origin: Origin
) -> None:
    origin.on("/a.jpg", Reply(body=jpeg("a", 320, 200)))
    peaks = []
    for count in (400, 4000):
        posts = tmp_path / f"posts{count}"
        posts.mkdir()
        for number in range(count):
            text = f'<img src="http://news.example/a.jpg" data-size="160,160">\n{number}\n' + "word " * 400
            (posts / f"{number:05}.md").write_text(text)
        peaks.append(peak_rss(["rewrite", posts, "--out", tmp_path / f"out{count}"], env))

    assert peaks[1] <= 1.3 * peaks[0]
