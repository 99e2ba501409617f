"""A container on a large machine has few cores of its own."""

import os
from pathlib import Path

import pytest

from mediasvc.effects.machine import usable_cores


@pytest.fixture
def limit(tmp_path: Path) -> Path:
    return tmp_path / "cpu.max"


@pytest.mark.parametrize("text", ["100000 100000\n", "150000 100000", "20000 100000", "1 1000000"])
def test_a_container_uses_no_more_than_it_may(limit: Path, text: str) -> None:
    limit.write_text(text)
    most = max(1, round(int(text.split()[0]) / int(text.split()[1])))

    assert usable_cores(limit) == min(most, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("text", ["max 100000\n", "", "hello", "9900000 100000", "5 0 5"])
def test_without_a_limit_all_cores_are_used(limit: Path, text: str) -> None:
    limit.write_text(text)

    assert usable_cores(limit) == len(os.sched_getaffinity(0))
    assert usable_cores(limit.with_name("missing")) == len(os.sched_getaffinity(0))
