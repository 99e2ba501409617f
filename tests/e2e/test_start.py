"""What a command reads in before it does anything: no more than it uses, for that is most of what a short one
takes.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.origin import Origin, Reply, jpeg
from tests.support.programs import environment
from tests.support.service import Service

# What images, articles, fetching, serving, drawing and logging take.
HEAVY = {
    "PIL", "aiofiles", "aiohttp", "can_ada", "cykooz", "dramatiq", "kornia_rs", "multidict", "numpy", "obstore",  # noqa: E501
    "prometheus_client", "pyromark", "redis", "rich", "structlog", "turbohtml", "yaml", "yarl",
}  # fmt: skip
WORKING = {
    "mediasvc.wiring.parts", "mediasvc.config.policies", "mediasvc.images", "mediasvc.articles.walk", "mediasvc.core.text.references",  # noqa: E501
    "mediasvc.effects.fetch.fetcher", "mediasvc.effects.fetch.sockets", "mediasvc.effects.imaging.pool", "mediasvc.effects.queue",  # noqa: E501
    "mediasvc.effects.blobs.file_store", "mediasvc.server", "mediasvc.demo", "mediasvc.queue_worker",
}  # fmt: skip
WAITING = {"asyncio", "uvloop", "sqlite3"}


def _names(lines: list[str]) -> set[str]:
    """The modules that Python says it read in (-X importtime), with the packages around them."""
    names = set()
    for line in lines:
        if line.startswith("import time:"):
            parts = line.rpartition("|")[2].strip().split(".")
            names |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return names


def _read_in(env: Mapping[str, str], *arguments: str | Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mediasvc", *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return _names(done.stderr.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("--help",),
        ("cache", "stats", "--help"),
        ("rewrite", "--help"),
        ("report", "--help"),
        ("serve", "--help"),
        ("settings",),
    ],
    ids=" ".join,
)
def test_what_only_tells_reads_in_nothing_that_works_or_waits(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    names = _read_in(environment(tmp_path / "data"), *arguments)

    assert "mediasvc.cli.main" in names
    assert names & (HEAVY | WORKING | WAITING) == set()


@pytest.mark.parametrize(
    "arguments", [("cache", "stats"), ("cache", "verify"), ("cache", "gc")], ids=" ".join
)
def test_looking_after_the_cache_reads_in_nothing_that_fills_it(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    names = _read_in(environment(tmp_path / "data"), *arguments)

    assert "mediasvc.effects.blobs.file_store" in names
    assert names & (HEAVY | WORKING) <= {"aiofiles", "prometheus_client", "mediasvc.effects.blobs.file_store"}


def test_a_run_that_finds_everything_done_reads_in_nothing_that_works(tmp_path: Path, origin: Origin) -> None:
    origin.on("/a.jpg", Reply(body=jpeg("a", 320, 200)))
    posts = tmp_path / "posts"
    posts.mkdir()
    (posts / "a.md").write_text('<img src="http://news.example/a.jpg" data-size="160,160">\n')
    (posts / "b.html").write_text("<p>no image</p>\n")
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    known = environment(tmp_path / "data")
    run = ("rewrite", posts, "--out", tmp_path / "out", "--report", tmp_path / "run.jsonl")

    first, second = _read_in(env, *run), _read_in(known, *run)

    assert {"aiohttp", "mediasvc.wiring.parts"} <= first
    assert second & (HEAVY | WORKING) == set()
    assert len((tmp_path / "run.jsonl").read_text().splitlines()) == 2


def test_a_service_has_read_in_everything_before_its_first_request(origin: Origin) -> None:
    origin.on("/a.jpg", Reply(body=jpeg("a", 320, 200)))
    service = Service(origin)
    service.environment["PYTHONPROFILEIMPORTTIME"] = "1"

    with service:
        before = len(service.lines)
        found = service.get("/v1/image?url=http://news.example/a.jpg&size=160,160")
        missing = service.get("/v1/image?url=http://news.example/none.jpg")
        told = service.get("/metrics")

    assert (found.status, missing.status, told.status) == (200, 404, 200)
    assert {"aiohttp", "structlog", "prometheus_client", "mediasvc.wiring.parts"} <= _names(
        service.lines[:before]
    )
    late = _names(service.lines[before:])
    assert late & HEAVY == set()
    assert [name for name in late if name.startswith("mediasvc.")] == []
