"""Batch work through the queue: the same result as in process, and workers that may die."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.support.origin import Gate, Origin, Reply, jpeg
from tests.support.programs import SEED_SHAPED, environment, mediasvc
from tests.support.servers import SeaweedS3, Valkey
from tests.support.service import eventually


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


def _own_images(folder: Path, count: int, origin: Origin) -> Path:
    """Articles with an image of their own each, which the origin takes its time for."""
    folder.mkdir()
    for number in range(count):
        origin.on(f"/own/{number}.jpg", Reply(body=jpeg(f"own{number % 12}", 320, 200), delay_s=0.1))
        text = f'<img src="http://news.example/own/{number}.jpg" data-size="160,160">\n'
        (folder / f"{number:04}.md").write_text(text)
    return folder


def _begin(arguments: list[str], env: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "mediasvc", *arguments], env=env, stderr=subprocess.PIPE, text=True
    )


def _has_written(out: Path, articles: int) -> bool:
    return len(list(out.glob("*.md"))) >= articles


def _outlasts(run: "subprocess.Popen[str]", seconds: float) -> None:
    """Fails if the run ends within that time."""
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(seconds)


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


def test_images_that_a_worker_refused_by_settings_that_are_not_the_runs_are_tried_again(
    tmp_path: Path, env: dict[str, str], workers: list[subprocess.Popen[bytes]]
) -> None:
    posts = _posts(tmp_path / "posts", 1)
    command = ["rewrite", str(posts), "--out", str(tmp_path / "out")]
    elsewhere = env | {"MEDIASVC_DATA_DIR": str(tmp_path / "elsewhere")}
    workers.append(_start(elsewhere | {"MEDIASVC_DENIED_HOSTS": "static.news.example,news.example"}))
    refused = mediasvc(command, env)
    workers[0].terminate()
    assert workers[0].wait(20) == 0

    workers.append(_start(elsewhere))
    ended = mediasvc(command, env)
    again = mediasvc(command, env)

    assert (refused.code, ended.code, again.code) == (3, 0, 0), refused.err + ended.err
    assert "source_refused" in refused.err
    assert "1 of them done before" not in ended.err
    assert "1 of them done before" in again.err


def test_small_images_come_with_the_result_and_large_ones_through_the_object_store(
    tmp_path: Path,
    env: dict[str, str],
    origin: Origin,
    s3: SeaweedS3,
    workers: list[subprocess.Popen[bytes]],
) -> None:
    small, large = jpeg("small"), jpeg("large") + bytes(1_100_000)
    origin.on("/small.jpg", Reply(body=small))
    origin.on("/large.jpg", Reply(body=large))
    posts = _posts(tmp_path / "posts", 0)
    (posts / "a.html").write_text(
        '<img src="http://news.example/small.jpg"><img src="http://news.example/large.jpg">'
    )
    env |= s3.environment | {"MEDIASVC_STORE_URL": s3.url("carried")}
    workers.append(_start(env | {"MEDIASVC_DATA_DIR": str(tmp_path / "elsewhere")}))

    ended = mediasvc(["rewrite", posts, "--out", tmp_path / "out"], env)

    assert ended.code == 0, ended.err
    placed = {path.read_bytes() for path in (tmp_path / "out" / "assets").iterdir()}
    (cache,) = (tmp_path / "data").glob("blobs-*")
    pulled = {path.name for path in cache.rglob("*") if len(path.name) == 64}
    assert placed == {small, large}
    assert pulled == {hashlib.sha256(large).hexdigest()}


def test_a_worker_does_four_pieces_at_once(
    tmp_path: Path, env: dict[str, str], origin: Origin, workers: list[subprocess.Popen[bytes]]
) -> None:
    gate = Gate()
    posts = _own_images(tmp_path / "posts", 32, origin)
    for number in range(32):
        origin.on(f"/own/{number}.jpg", Reply(body=jpeg("own", 320, 200), hold=gate))
    env["MEDIASVC_FETCH_PER_HOST"] = "32"
    workers.append(_start(env))
    run = _begin(["rewrite", str(posts), "--out", str(tmp_path / "out")], env)

    origin.wait_hits(None, 32, timeout_s=30)
    gate.open()
    _, err = run.communicate(timeout=60)

    assert run.returncode == 0, err


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
    killed = time.monotonic()
    _, err = run.communicate(timeout=60)

    assert run.returncode == 0, err
    assert len(_tree(tmp_path / "out")) == 14
    assert time.monotonic() - killed < 25


def test_twenty_kills_of_workers_lose_no_article_and_fetch_only_what_was_under_way_again(
    tmp_path: Path, env: dict[str, str], origin: Origin, workers: list[subprocess.Popen[bytes]]
) -> None:
    posts = _own_images(tmp_path / "posts", 240, origin)
    workers += [_start(env), _start(env)]
    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    run = _begin(["rewrite", str(posts), "--out", str(out), "--report", str(report)], env)
    chance = random.Random(5)

    kills = 0
    while run.poll() is None and kills < 20:
        want = len(list(out.glob("*.md"))) + chance.randrange(1, 9)
        with suppress(AssertionError):  # near the end of the run no more articles come
            eventually(partial(_has_written, out, want), 3)
        number = chance.randrange(2)
        workers[number].kill()
        workers[number].wait()
        kills += 1
        workers[number] = _start(env)
    _, err = run.communicate(timeout=90)

    assert run.returncode == 0, err
    assert kills >= 10
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(row["out"] for row in rows) == sorted(path.name for path in posts.iterdir())
    assert {row["status"] for row in rows} == {"rewritten"}
    for path in out.glob("*.md"):
        (name,) = re.findall(r"assets/([0-9a-f]{64})\.jpg", path.read_text())
        assert hashlib.sha256((out / "assets" / f"{name}.jpg").read_bytes()).hexdigest() == name
    # Four chunks of eight images may be under way in a worker that dies.
    assert origin.hits() <= 240 + kills * 32


@pytest.mark.parametrize("fault", ["started anew", "emptied", "hung"])
def test_a_queue_that_fails_in_the_middle_of_a_run_costs_seconds(
    tmp_path: Path,
    env: dict[str, str],
    origin: Origin,
    own_valkey: Valkey,
    workers: list[subprocess.Popen[bytes]],
    fault: str,
) -> None:
    env["MEDIASVC_QUEUE_URL"] = own_valkey.url
    posts = _own_images(tmp_path / "posts", 120, origin)
    workers += [_start(env), _start(env)]
    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    run = _begin(["rewrite", str(posts), "--out", str(out), "--report", str(report)], env)
    eventually(partial(_has_written, out, 8), 30)

    began = time.monotonic()
    match fault:
        case "started anew":
            own_valkey.kill()
            _outlasts(run, 2)
            own_valkey.start()
        case "emptied":
            own_valkey.ask("FLUSHALL")
        case _:
            own_valkey.pause()
            _outlasts(run, 6)  # longer than the library's own limit
            own_valkey.resume()
    _, err = run.communicate(timeout=110)

    assert run.returncode == 0, err
    assert time.monotonic() - began < 60
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(row["out"] for row in rows) == sorted(path.name for path in posts.iterdir())
    assert {row["status"] for row in rows} == {"rewritten"}


def test_a_queue_that_is_full_when_the_work_is_done_gets_it_later_and_no_article_into_the_log(
    tmp_path: Path,
    env: dict[str, str],
    origin: Origin,
    own_valkey: Valkey,
    workers: list[subprocess.Popen[bytes]],
) -> None:
    gate = Gate()
    origin.on("/a/lake.jpeg", Reply(body=jpeg("lake"), hold=gate))
    env["MEDIASVC_QUEUE_URL"] = own_valkey.url
    posts = _posts(tmp_path / "posts", 1)
    (posts / "0000.md").write_text(SEED_SHAPED + random.Random(1).randbytes(20_000).hex())
    log = tmp_path / "log"
    with log.open("wb") as output:
        workers.append(subprocess.Popen([sys.executable, "-m", "mediasvc", "worker"], env=env, stderr=output))
    run = _begin(["rewrite", str(posts), "--out", str(tmp_path / "out")], env)
    origin.wait_hits("/a/lake.jpeg", 1, timeout_s=30)

    own_valkey.ask("CONFIG", "SET", "maxmemory", "1")
    gate.open()
    eventually(lambda: "chunk.undelivered" in log.read_text(), 30)
    own_valkey.ask("CONFIG", "SET", "maxmemory", "0")
    _, err = run.communicate(timeout=60)

    assert run.returncode == 0, err
    assert "chunk.undelivered" in log.read_text()
    assert max(map(len, log.read_text().splitlines())) < 2_000


def test_a_worker_ends_well_when_told_to(env: dict[str, str], workers: list[subprocess.Popen[bytes]]) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "mediasvc", "worker"], env=env, stderr=subprocess.PIPE, text=True
    )
    workers.append(worker)  # type: ignore[arg-type]  # only to be ended
    assert worker.stderr is not None
    while "queue_worker.ready" not in worker.stderr.readline():
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


def test_a_queue_that_wants_another_password_is_said_to(
    tmp_path: Path, env: dict[str, str], own_valkey: Valkey
) -> None:
    own_valkey.ask("CONFIG", "SET", "requirepass", "right")
    posts = _posts(tmp_path / "posts", 1)
    url = own_valkey.url.replace("redis://", "redis://:swordfish@")

    ended = mediasvc(["rewrite", posts, "--out", tmp_path / "out"], env | {"MEDIASVC_QUEUE_URL": url})

    assert ended.code == 4
    assert "MEDIASVC_QUEUE_URL" in ended.err
    assert "username-password" in ended.err
    assert "swordfish" not in ended.err


def test_what_a_library_says_of_the_queue_is_logged_in_the_form_that_was_asked_for(
    env: dict[str, str], workers: list[subprocess.Popen[bytes]]
) -> None:
    away = {"MEDIASVC_QUEUE_URL": "redis://127.0.0.1:1", "MEDIASVC_LOG_FORMAT": "json"}
    worker = subprocess.Popen(
        [sys.executable, "-m", "mediasvc", "worker"], env=env | away, stderr=subprocess.PIPE
    )
    workers.append(worker)
    assert worker.stderr is not None

    told = [json.loads(worker.stderr.readline())]
    while told[-1]["level"] != "critical":
        told.append(json.loads(worker.stderr.readline()))

    assert str(told[-1]["logger"]).startswith("dramatiq.")
    assert "connection error" in told[-1]["event"]
