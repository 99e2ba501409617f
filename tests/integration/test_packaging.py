"""The wheel and the sdist: what an index and a distribution would say of them, and that they run."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
TOOL = (UV, "tool", "run", "--quiet", "--python", sys.executable)
DEMO_SAYS = "7 of 7 places lead to local files now"


def run(*command: str | Path, cwd: Path = ROOT, timeout_s: float = 180) -> str:
    """stdout of a program that succeeds."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def tracked(*below: str) -> set[str]:
    """Files below some folders, as the repository has them."""
    return {
        str(path.relative_to(ROOT))
        for folder in below
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--out-dir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    (found,) = dist.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode("utf-8"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        notes = {name.partition(".dist-info/")[2] for name in archive.namelist() if ".dist-info/" in name}

    assert names == tracked("mediasvc")
    assert "mediasvc/py.typed" in names
    assert notes == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    run(*TOOL, "check-wheel-contents", wheel)


def test_the_sdist_holds_what_builds_tests_and_documents_it(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"pyproject.toml", "LICENSE", "README.md", "PKG-INFO", "CHANGELOG.md", "Dockerfile"} <= names
    assert tracked("mediasvc", "docs") <= names
    assert "tests/conftest.py" in names
    assert {name.partition("/")[0] for name in names} <= {
        "mediasvc", "tests", "docs", "deploy", "clients", "pyproject.toml", "LICENSE", "README.md", "PKG-INFO",  # noqa: E501
        "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Dockerfile", "docker-compose.yml", "Makefile", ".gitignore",  # noqa: E501
    }  # fmt: skip


def test_an_index_takes_both(wheel: Path, sdist: Path) -> None:
    said = run(*TOOL, "twine", "check", "--strict", wheel, sdist)

    assert said.count("PASSED") == 2


def test_a_distribution_rates_the_sdist_nine_of_ten(sdist: Path) -> None:
    said = run(*TOOL, "pyroma", "--min", "9", sdist)

    rating = re.search(r"rating: (\d+)/10", said)
    assert rating is not None, said
    assert int(rating[1]) >= 9


def test_the_metadata_say_who_where_and_for_what(metadata: Message) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    classifiers = metadata.get_all("Classifier") or []

    assert metadata["Name"] == "mediasvc"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert [f"Programming Language :: Python :: 3.{minor}" in classifiers for minor in range(11, 15)] == [
        True
    ] * 4
    assert "Typing :: Typed" in classifiers
    assert len(metadata.get_all("Project-URL") or []) == len(project["urls"])
    assert set(metadata.get_all("Provides-Extra") or []) == set(project["optional-dependencies"])


def test_the_long_description_has_absolute_links_alone(metadata: Message) -> None:
    description = str(metadata.get_payload())
    links = re.findall(r"\]\(([^)]+)\)", description)

    assert metadata["Description-Content-Type"] == "text/markdown"
    assert len(links) > 5
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@pytest.mark.timeout(300)
def test_the_wheel_runs_as_uvx_runs_it(wheel: Path, tmp_path: Path) -> None:
    said = run(
        *TOOL,
        "--isolated",
        "--from",
        wheel,
        "mediasvc",
        "demo",
        "--out",
        tmp_path / "demo",
        cwd=tmp_path,
        timeout_s=240,
    )

    assert DEMO_SAYS in said
    assert os.listdir(tmp_path / "demo")
