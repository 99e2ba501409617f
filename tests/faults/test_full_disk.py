"""A service whose disk is full, or becomes read-only: images are served without being kept, and operators
hear of it.
"""

import subprocess
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY, program, with_a_disk_of_its_own


@pytest.mark.parametrize("day", ["full", "read-only"])
def test_a_service_without_a_disk_serves_and_says_what_is_wrong(tmp_path: Path, day: str) -> None:
    command = with_a_disk_of_its_own(program("service_on_a_small_disk", tmp_path, day))

    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
