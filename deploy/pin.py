"""Writes deploy/constraints.txt anew: the exact versions that the container image gets, for Linux and Python 3.11."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("standard", "heif")
HEAD = "# Written by deploy/pin.py (make pin); what it pins is what the tests ran with on that day.\n"


def main() -> None:
    """Ask pip what it would install for our dependencies, and write that down."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--quiet",
        "--report",
        "-",
    ]
    answer = subprocess.run([*pip, *wanted], check=True, capture_output=True, text=True)  # noqa: S603  # our own list
    report = json.loads(answer.stdout)
    pins = sorted(
        (f"{item['metadata']['name']}=={item['metadata']['version']}" for item in report["install"]),
        key=str.lower,
    )
    (ROOT / "deploy" / "constraints.txt").write_text(
        HEAD + "".join(f"{pin}\n" for pin in pins), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
