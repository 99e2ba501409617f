"""Runs mediasvc as a process, the way people run it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

SEED_SHAPED = """
---
title: '湖畔小城的秋天'
categories: 
 - 新媒体
headimg: 'https://cors.zfour.workers.dev/?http://static.news.example/a/lake.jpeg'
author: 示例
comments: false
date: Fri, 18 Oct 2024 06:14:45 GMT
thumbnail: 'https://cors.zfour.workers.dev/?http://static.news.example/a/lake.jpeg'
---

<div>   
<p>秋天到了，湖边的人多了起来。</p><p><img src="https://cors.zfour.workers.dev/?http://static.news.example/a/lake.jpeg" data-size="600,400" referrerpolicy="no-referrer"></p><p>湖。</p><p><img src="https://cors.zfour.workers.dev/?http://static.news.example/a/hill.jpeg?x=1&amp;y=2" data-size="300x300" referrerpolicy="no-referrer"></p>  
</div>
            """  # noqa: E501


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program said and how it ended."""

    code: int
    out: bytes
    err: str


def program(name: str, *arguments: object) -> list[str]:
    """The command that runs a program of tests/programs. It must be run in REPOSITORY."""
    return [sys.executable, "-m", f"tests.programs.{name}", *map(str, arguments)]


def with_a_disk_of_its_own(command: Sequence[str]) -> list[str]:
    """The same command where it may mount file systems that no other process sees."""
    # Root has the right already, and may be forbidden user namespaces.
    rights = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
    return ["unshare", *rights, *command]


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """The environment of a run that reads no settings of the machine. settings: without their prefix."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDIASVC_")}
    own = {f"MEDIASVC_{name}": value for name, value in settings.items()}
    return kept | {"MEDIASVC_DATA_DIR": str(data_dir)} | own


def mediasvc(
    arguments: Sequence[object],
    env: Mapping[str, str],
    *,
    cwd: Path | None = None,
    stdin: bytes = b"",
    timeout_s: float = 60,
) -> Ended:
    """Runs one command to its end. arguments: text and paths."""
    done = subprocess.run(
        [sys.executable, "-m", "mediasvc", *map(str, arguments)],
        env=env,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def peak_rss(arguments: Sequence[str | Path], env: Mapping[str, str]) -> int:
    """Runs one command, which must succeed.

    Peak resident memory of it or of any process that it started, bytes.

    A small program starts it: the kernel counts the memory of the starting process as well, and pytest has
    much.
    """
    command = program("peak_memory", sys.executable, "-m", "mediasvc", *arguments)
    output = subprocess.run(
        command, cwd=REPOSITORY, env=env, check=True, stdout=subprocess.PIPE, timeout=300
    ).stdout
    return 1024 * int(output.split()[-1])
