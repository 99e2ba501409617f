"""What the documentation for renderers shows is run as it stands, and gives what it says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable  # the Node.js that every test machine has

from mediasvc.demo.origin import connect_to, origin_beside
from tests.support.service import Service

PAGE = Path(__file__).parents[2] / "docs" / "renderers.md"
ADDRESS = "http://127.0.0.1:8080"
KEY = "000102030405060708090a0b0c0d0e0f"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """says: the output that the page shows; None where it shows none."""

    language: str
    code: str
    says: str | None
    heading: str


def examples() -> list[Example]:
    text = PAGE.read_text(encoding="utf-8")
    blocks = list(_BLOCK.finditer(text))
    found = []
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block[1] == "text":
            continue
        says = following[2] if following and following[1] == "text" else None
        heading = re.findall(r"^## (.*)$", text[: block.start()], re.MULTILINE)[-1]
        found.append(Example(block[1], block[2], says, heading))
    return found


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with (
        origin_beside() as news,
        Service(CONNECT_TO=connect_to(news.port), SIGNING_KEYS=KEY, ALLOW_UNSIGNED="true") as running,
    ):
        yield running


def run(example: Example, service: Service, folder: Path) -> str:
    node, _ = compute_driver_executable()
    code = example.code.replace(ADDRESS, service.address)
    command = {
        "sh": ["bash", "-euc", code],
        "python": [sys.executable, "-W", "error", "-c", code],
        "js": [node, "-e", code],
    }[example.language]
    own_programs = str(Path(sys.executable).parent)
    done = subprocess.run(
        command,
        cwd=folder,
        env=service.environment | {"PATH": f"{own_programs}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def matches(said: str, shown: str) -> bool:
    """… stands for what is different each time."""
    pattern = ".*?".join(re.escape(piece) for piece in shown.strip().split("…"))
    return re.fullmatch(pattern, said.strip()) is not None


PRINTING = [one for one in examples() if one.says is not None]


@pytest.mark.parametrize("example", PRINTING, ids=[f"{one.heading}: {one.language}" for one in PRINTING])
def test_an_example_gives_what_the_page_shows(example: Example, service: Service, tmp_path: Path) -> None:
    said = run(example, service, tmp_path)

    assert example.says is not None
    assert matches(said, example.says), said


def test_every_language_is_shown() -> None:
    assert {one.language for one in examples()} == {"sh", "python", "js", "yaml"}
