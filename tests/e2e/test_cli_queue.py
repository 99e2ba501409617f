"""Batch work through the queue: the same result as in process, and workers that may die."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.origin import Gate, Origin, Reply, jpeg
from tests.programs import SEED_SHAPED, environment, mediasvc
from tests.servers import Valkey


@pytest.fixture
def env(tmp_path: Path, origin: Origin, valkey: Valkey) -> dict[str, str]:
    origin.on("/a/lake.jpeg", Reply(body=jpeg("lake")))
    origin.on("/a/hill.jpeg?x=1&y=2", Reply(body=jpeg("hill")))
    return environment(
        tmp_path / "data", CONNECT_TO=origin.connect_to, QUEUE_URL=valkey.url, FETCH_TIMEOUT="60s"
    )


@pytest.fixture
def workers(env: dict[str, str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for one in running:
        one.kill()
        one.wait()
        if one.stderr is not None:
            one.stderr.close()


def _start(env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "mediasvc", "worker"], env=env)


def _posts(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:04}.md").write_text(SEED_SHAPED)
    return folder


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_queue_gives_what_one_process_gives(
    tmp_path: Path, env: dict[str, str], workers: list[subprocess.Popen[bytes]]
) -> None:
    posts = _posts(tmp_path / "posts", 40)
    workers += [_start(env), _start(env)]

    ended = mediasvc(["rewrite", posts, "--out", tmp_path / "a", "--report", tmp_path / "r.jsonl"], env)
    alone = mediasvc(
        ["rewrite", posts, "--out", tmp_path / "b"],
        {name: value for name, value in env.items() if name != "MEDIASVC_QUEUE_URL"},
    )

    assert (ended.code, alone.code) == (0, 0), ended.err + alone.err
    assert _tree(tmp_path / "a") == _tree(tmp_path / "b")
    assert len(_tree(tmp_path / "a")) == 44
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert sorted(row["out"] for row in rows) == sorted(path.name for path in posts.iterdir())


def test_a_worker_that_shares_no_store_sends_the_bytes(
    tmp_path: Path, env: dict[str, str], workers: list[subprocess.Popen[bytes]]
) -> None:
    posts = _posts(tmp_path / "posts", 3)
    workers.append(_start(env | {"MEDIASVC_DATA_DIR": str(tmp_path / "elsewhere")}))

    ended = mediasvc(["rewrite", posts, "--out", tmp_path / "out"], env)

    assert ended.code == 0, ended.err
    assert len(_tree(tmp_path / "out")) == 7


def test_a_killed_worker_costs_seconds_not_articles(
    tmp_path: Path, env: dict[str, str], origin: Origin, workers: list[subprocess.Popen[bytes]]
) -> None:
    gate = Gate()
    origin.on("/a/lake.jpeg", Reply(body=jpeg("lake"), hold=gate), Reply(body=jpeg("lake")))
    posts = _posts(tmp_path / "posts", 10)
    doomed = _start(env)
    workers.append(doomed)
    run = subprocess.Popen(
        [sys.executable, "-m", "mediasvc", "rewrite", str(posts), "--out", str(tmp_path / "out")],
        env=env,
        stderr=subprocess.PIPE,
    )
    origin.wait_hits("/a/lake.jpeg", 1, timeout_s=30)

    os.kill(doomed.pid, signal.SIGKILL)
    gate.open()
    workers.append(_start(env))
    _, err = run.communicate(timeout=60)

    assert run.returncode == 0, err
    assert len(_tree(tmp_path / "out")) == 14


def test_a_worker_ends_well_when_told_to(env: dict[str, str], workers: list[subprocess.Popen[bytes]]) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "mediasvc", "worker"], env=env, stderr=subprocess.PIPE, text=True
    )
    workers.append(worker)  # type: ignore[arg-type]  # only to be ended
    assert worker.stderr is not None
    while "worker.ready" not in worker.stderr.readline():
        assert worker.poll() is None

    worker.terminate()

    assert worker.wait(timeout=30) == 0


def test_a_queue_that_does_not_answer_is_said_to(tmp_path: Path, env: dict[str, str]) -> None:
    posts = _posts(tmp_path / "posts", 1)

    ended = mediasvc(
        ["rewrite", posts, "--out", tmp_path / "out"], env | {"MEDIASVC_QUEUE_URL": "redis://127.0.0.1:1"}
    )

    assert ended.code == 4
    assert "MEDIASVC_QUEUE_URL" in ended.err
