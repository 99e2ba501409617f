"""docs/scaling.md has the arithmetic and the machines that follow from the costs kept in bench/results."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_arithmetic_and_the_machines_follow_from_the_measured_costs() -> None:
    verified = subprocess.run(
        [sys.executable, "-m", "bench.simulate", "--verify"],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert verified.returncode == 0, verified.stderr
