"""A run over many articles may be killed at any moment and started again."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.origin import Origin, Reply, jpeg
from tests.support.programs import environment, mediasvc

POSTS = 60
KILLS = 20


def _posts(folder: Path, origin: Origin) -> dict[str, str]:
    """Articles with one image of their own each, and the digest of each image by its path."""
    folder.mkdir()
    digests = {}
    for number in range(POSTS):
        body = jpeg(f"kill{number % 12}", 320, 200)
        path = f"/{number}.jpg"
        origin.on(path, Reply(body=body, delay_s=0.02))
        digests[path] = hashlib.sha256(body).hexdigest()
        (folder / f"{number:03}.md").write_text(
            f'<img src="https://cors.zfour.workers.dev/?http://news.example{path}" data-size="160,160">\n'
        )
    return digests


def test_twenty_kills_tear_nothing_and_repeat_nothing(tmp_path: Path, origin: Origin) -> None:
    _posts(tmp_path / "posts", origin)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    command = [sys.executable, "-m", "mediasvc", "rewrite", str(tmp_path / "posts"), "--out", str(out)]
    command += ["--report", str(report), "--jobs", "4"]
    chance = random.Random(7)
    killed = 0
    done: dict[str, int] = {}
    for _ in range(KILLS):
        run = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
        want = len(done) + chance.randrange(1, 4)
        while run.poll() is None and len(_finished(out)) < want:
            try:
                origin.wait_hits(None, origin.hits() + 1, timeout_s=0.1)
            except AssertionError:
                continue
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
            killed += 1
        run.wait()
        for name in done:
            assert (out / name).stat().st_mtime_ns == done[name], "a finished article was touched"
        done = _finished(out)

    ended = mediasvc([*command[3:]], env)

    assert ended.code == 0, ended.err
    assert killed >= KILLS // 2
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(row["out"] for row in rows) == sorted(path.name for path in (tmp_path / "posts").iterdir())
    for row in rows:
        text = (out / row["out"]).read_text()
        (name,) = re.findall(r'src="(assets/[0-9a-f]{64}\.jpg)"', text)
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() in name
    assert not list(out.rglob(".mediasvc-*"))
    # Only what was under way at a kill may be asked for again: four articles at once.
    assert origin.hits() <= POSTS + 4 * killed
    before = origin.hits()
    assert mediasvc([*command[3:]], env).code == 0
    assert origin.hits() == before


def _finished(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("*.md")} if out.is_dir() else {}


@pytest.mark.parametrize(
    ("number", "code", "shell"),
    [
        (signal.SIGINT, 130, ""),
        (signal.SIGTERM, 143, ""),
        (signal.SIGTERM, 143, "trap '' INT; "),  # as of a job in the background of a script
    ],
)
def test_an_interrupted_run_says_so_and_leaves_the_rest_alone(
    tmp_path: Path, origin: Origin, number: signal.Signals, code: int, shell: str
) -> None:
    (tmp_path / "posts").mkdir()
    origin.on("/slow.jpg", Reply(hang="head"))
    text = "![x](http://news.example/slow.jpg)\n"
    (tmp_path / "posts" / "a.md").write_text(text)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    run = subprocess.Popen(
        [
            *("sh", "-c", f'{shell}exec "$@"', "sh"),
            *(sys.executable, "-m", "mediasvc", "rewrite", str(tmp_path / "posts"), "--in-place"),
        ],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    origin.wait_hits("/slow.jpg", 1)

    run.send_signal(number)
    _, err = run.communicate(timeout=20)

    assert run.returncode == code
    assert "run the same command again" in err
    assert "Traceback" not in err
    assert (tmp_path / "posts" / "a.md").read_text() == text
