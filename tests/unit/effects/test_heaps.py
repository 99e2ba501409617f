"""Threads of a process that shares one heap get none of their own."""

import subprocess

from tests.support.programs import REPOSITORY, program


def _heaps(how: str) -> int:
    command = program("thread_heaps", how)
    ended = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return int(ended.stdout)


def test_threads_share_the_heap_of_the_process() -> None:
    assert _heaps("shared") == 0
    assert _heaps("separate") > 0
