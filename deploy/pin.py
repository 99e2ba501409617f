"""Writes deploy/constraints.txt anew: exact versions with the hashes of their files, for the image on amd64
and arm64.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("standard", "heif")
HEAD = "# Written by deploy/pin.py (make pin): what the image installs, by pip with --require-hashes.\n"


def main() -> None:
    """Asks uv, of the test extra, for versions that fit every platform."""
    compiled = subprocess.run(  # noqa: S603  # our own list
        [
            Path(sys.executable).parent / "uv",
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--python-version=3.11",
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            *(f"--extra={extra}" for extra in EXTRAS),
            "pyproject.toml",
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    (ROOT / "deploy" / "constraints.txt").write_text(HEAD + compiled, encoding="utf-8")


if __name__ == "__main__":
    main()
