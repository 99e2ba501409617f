"""A batch whose output folder or report is full, read-only or gone, and articles that change while they are
read.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mediasvc.effects.disk import files
from mediasvc.errors import StoreFailed
from tests.support.origin import Gate, Origin, Reply, Request, jpeg
from tests.support.programs import REPOSITORY, environment, mediasvc, program, with_a_disk_of_its_own

POSTS = 24


class Disk:
    """A program that runs where one folder is a file system of its own."""

    def __init__(self, folder: Path, size: str, command: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            with_a_disk_of_its_own(program("command_on_a_small_disk", folder, size, *command)),
            cwd=REPOSITORY,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        return line.strip()

    def tell(self, order: str) -> str:
        """What it said before it was done; of "wait", the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        said = self._line()
        return said if said == "done" else said + self._line().removesuffix("done")

    def seen(self, folder: Path) -> Path:
        """A folder of that file system, from outside."""
        assert self.process.pid
        return Path(f"/proc/{self.process.pid}/root{folder}")


@contextmanager
def on_a_disk(folder: Path, size: str, command: list[str], env: dict[str, str]) -> Iterator[Disk]:
    folder.mkdir()
    disk = Disk(folder, size, command, env)
    try:
        yield disk
    finally:
        disk.process.communicate(timeout=60)


def _posts(folder: Path, origin: Origin, hold: Gate | None = None) -> None:
    """Each with an image of its own; those that are asked for in the second half wait for the gate."""
    folder.mkdir()

    def answer(request: Request) -> Reply:
        late = hold if origin.hits() > POSTS // 2 else None
        return Reply(body=jpeg(request.path, 320, 200), hold=late)

    for number in range(POSTS):
        origin.on(f"/{number}.jpg", answer)
        (folder / f"{number:02}.md").write_text(
            f'<img src="http://news.example/{number}.jpg" data-size="160,160">\n'
        )


def _rewrite(tmp_path: Path, *more: str) -> list[str]:
    program = [sys.executable, "-m", "mediasvc", "rewrite", str(tmp_path / "posts")]
    return [*program, "--out", str(tmp_path / "out"), "--jobs", "1", *more]


def _broken(out: Path) -> list[str]:
    """Articles that are empty, name no asset of ours, or one that is not there or not whole."""
    broken = []
    for path in sorted(out.glob("*.md")):
        names = re.findall(r'src="assets/([0-9a-f]{64})\.jpg"', path.read_text())
        kept = [out / "assets" / f"{name}.jpg" for name in names]
        digests = [hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "" for file in kept]
        if len(names) != 1 or digests != names:
            broken.append(path.name)
    return broken


def _report(path: Path) -> list[dict[str, Any]]:  # Any: as JSON is
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_full_output_folder_fails_what_does_not_fit_and_the_next_run_does_the_rest(
    tmp_path: Path, origin: Origin
) -> None:
    _posts(tmp_path / "posts", origin)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    command = _rewrite(tmp_path, "--report", str(tmp_path / "r.jsonl"))

    with on_a_disk(tmp_path / "out", "200k", command, env) as disk:
        out = disk.seen(tmp_path / "out")
        code = disk.tell("wait")
        rows = _report(tmp_path / "r.jsonl")
        done = [row for row in rows if row["status"] == "rewritten"]
        there = {path.name for path in out.glob("*.md")}

        assert code == "4"
        assert len(rows) == POSTS
        assert 0 < len(done) < POSTS
        failed = [row for row in rows if row["status"] != "rewritten"]
        assert {row["error"] for row in failed} == {"store_failed"}
        assert all(row["counts"]["localised"] == 0 and row["edits"] == [] for row in failed)
        assert {(image["status"], image["original"]) for row in failed for image in row["images"]} == {
            ("left", None)
        }
        assert there == {row["out"] for row in done}
        assert _broken(out) == []
        assert not list(out.rglob(".mediasvc-*"))

        disk.tell("remount size=10m")
        disk.tell("again")
        assert disk.tell("wait") == "0"
        assert len(list(out.glob("*.md"))) == POSTS
        assert _broken(out) == []
    assert origin.hits() == POSTS


def test_an_output_folder_that_becomes_read_only_is_told_and_taken_up_again(
    tmp_path: Path, origin: Origin
) -> None:
    gate = Gate()
    _posts(tmp_path / "posts", origin, gate)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    command = _rewrite(tmp_path, "--report", str(tmp_path / "r.jsonl"))

    with on_a_disk(tmp_path / "out", "10m", command, env) as disk:
        out = disk.seen(tmp_path / "out")
        origin.wait_hits(None, POSTS // 2 + 1, timeout_s=30)
        disk.tell("remount ro")
        gate.open()

        assert disk.tell("wait") == "4"
        assert [row["status"] for row in _report(tmp_path / "r.jsonl")].count("rewritten") == POSTS // 2
        assert _broken(out) == []

        disk.tell("remount rw")
        disk.tell("again")
        assert disk.tell("wait") == "0"
        assert len(list(out.glob("*.md"))) == POSTS
        assert _broken(out) == []
    assert origin.hits() == POSTS


def test_a_report_that_does_not_fit_ends_the_run_after_a_whole_line(tmp_path: Path, origin: Origin) -> None:
    _posts(tmp_path / "posts", origin)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    command = _rewrite(tmp_path, "--report", str(tmp_path / "disk" / "r.jsonl"))

    with on_a_disk(tmp_path / "disk", "12k", command, env) as disk:
        assert disk.tell("wait") == "4"
        text = (disk.seen(tmp_path / "disk") / "r.jsonl").read_text()

        assert text.endswith("\n")
        rows = [json.loads(line) for line in text.splitlines()]
        assert 0 < len(rows) < POSTS
        assert {row["status"] for row in rows} == {"rewritten"}
        assert _broken(tmp_path / "out") == []


def test_an_output_folder_that_vanishes_is_made_anew_and_the_next_run_fills_it(
    tmp_path: Path, origin: Origin
) -> None:
    gate = Gate()
    _posts(tmp_path / "posts", origin, gate)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    command = _rewrite(tmp_path)
    run = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    origin.wait_hits(None, POSTS // 2 + 1, timeout_s=30)

    (tmp_path / "out").rename(tmp_path / "gone")
    gate.open()

    assert run.wait(timeout=60) == 0
    assert len(list((tmp_path / "out").glob("*.md"))) == POSTS // 2
    assert mediasvc(command[3:], env).code == 0
    assert len(list((tmp_path / "out").glob("*.md"))) == POSTS
    assert _broken(tmp_path / "out") == []
    assert origin.hits() == POSTS


def test_an_asset_that_was_cut_short_is_placed_again(tmp_path: Path, origin: Origin) -> None:
    _posts(tmp_path / "posts", origin)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    command = _rewrite(tmp_path)
    mediasvc(command[3:], env)
    for asset in (tmp_path / "out" / "assets").iterdir():
        asset.write_bytes(b"")

    ended = mediasvc(command[3:], env)

    assert ended.code == 0
    assert _broken(tmp_path / "out") == []
    assert origin.hits() == POSTS


def test_an_asset_of_other_bytes_is_placed_again_by_force(tmp_path: Path, origin: Origin) -> None:
    _posts(tmp_path / "posts", origin)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    command = _rewrite(tmp_path)
    mediasvc(command[3:], env)
    for asset in (tmp_path / "out" / "assets").iterdir():
        asset.write_bytes(bytes(asset.stat().st_size))

    ended = mediasvc([*command[3:], "--force"], env)

    assert ended.code == 0
    assert _broken(tmp_path / "out") == []
    assert origin.hits() == POSTS


def test_what_is_read_is_the_file_at_one_moment_or_nothing(tmp_path: Path) -> None:
    """A writer lengthens the file all the time; a reading that saw two of its states would not fit its own
    mark.
    """
    path = tmp_path / "a.md"
    path.write_bytes(bytes(2_000_000))
    writer = subprocess.Popen(program("lengthen_file", path), cwd=REPOSITORY)
    outcomes = set()
    try:
        while writer.poll() is None:
            try:
                seen = files.read_whole(path, 1 << 30)
                outcomes.add("whole" if len(seen.data) == seen.mark[1] else "torn")
            except StoreFailed:
                outcomes.add("refused")
    finally:
        writer.kill()
        writer.wait()

    assert "torn" not in outcomes
    assert len(files.read_whole(path, 1 << 30).data) == path.stat().st_size


@pytest.mark.parametrize("in_place", [False, True])
def test_an_article_that_changes_meanwhile_is_never_written_over(
    tmp_path: Path, origin: Origin, in_place: bool
) -> None:
    gate = Gate()
    origin.on("/a.jpg", Reply(body=jpeg("a"), hold=gate))
    (tmp_path / "posts").mkdir()
    article = tmp_path / "posts" / "a.md"
    article.write_text("![x](http://news.example/a.jpg)\n")
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    command = [sys.executable, "-m", "mediasvc", "rewrite", str(tmp_path / "posts")]
    command += ["--in-place"] if in_place else ["--out", str(tmp_path / "out")]
    run = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    origin.wait_hits("/a.jpg", 1, timeout_s=30)

    article.write_text("![x](http://news.example/a.jpg)\nwritten meanwhile\n")
    gate.open()
    _, err = run.communicate(timeout=30)
    between = article.read_text()
    again = mediasvc(command[3:], env)

    assert run.returncode == (4 if in_place else 0), err
    assert between == "![x](http://news.example/a.jpg)\nwritten meanwhile\n"
    assert again.code == 0
    written = (article if in_place else tmp_path / "out" / "a.md").read_text()
    assert "assets/" in written
    assert written.endswith("\nwritten meanwhile\n")
    assert origin.hits() == 1
