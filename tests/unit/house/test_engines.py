"""Faster libraries are optional: what is missing or broken is replaced, and said."""

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from mediasvc.core.pictures.engine import OPTIONAL_MODULES, Engine, choose
from mediasvc.engines import event_loop
from mediasvc.wiring import engines
from mediasvc.wiring.engines import Machine

PROJECT = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text("utf-8"))["project"]
PLAIN: Engine[int] = Engine("Plain", 1)
DEBIAN, GRAVITON = Machine("linux", "x86_64", "glibc"), Machine("linux", "aarch64", "glibc")
ALPINE, MAC = Machine("linux", "x86_64", ""), Machine("darwin", "arm64", "")


def work(module: object) -> int:
    found: int = vars(module)["WORK"]
    return found


def fails(_work: int) -> bool:
    raise RuntimeError("no such instruction")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str) -> None:
        tmp_path.joinpath(f"{name}.py").write_text(text, "utf-8")

    return write


def test_a_library_that_is_installed_and_right_is_used(library: Callable[[str, str], None]) -> None:
    library("engine_right", "WORK = 2")

    assert choose("right", "engine_right", work, lambda found: found == 2, PLAIN) == Engine("right", 2)


def test_a_library_that_is_not_installed_is_no_trouble() -> None:
    assert choose("absent", "engine_absent", work, lambda _: True, PLAIN) == PLAIN


@pytest.mark.parametrize(
    ("name", "text", "trouble"),
    [
        ("half", "import engine_absent", "half needs engine_absent, which is not installed"),
        ("foreign", "raise ImportError('wrong ELF class')", "foreign cannot be loaded: wrong ELF class"),
        ("odd", "raise SystemError('bad magic\\nand more')", "odd cannot be loaded: bad magic"),
        ("silent", "raise MemoryError", "silent cannot be loaded: MemoryError"),
        ("older", "WORKS = 2", "older cannot be loaded: 'WORK'"),
        ("wrong", "WORK = 3", "wrong gives wrong pixels for a known picture"),
    ],
)
def test_a_library_that_is_broken_is_replaced_and_said_to_be(
    library: Callable[[str, str], None], name: str, text: str, trouble: str
) -> None:
    library(f"engine_{name}", text)

    assert choose(name, f"engine_{name}", work, lambda found: found == 2, PLAIN) == Engine(
        "Plain", 1, trouble
    )


def test_a_library_that_fails_its_check_is_replaced(library: Callable[[str, str], None]) -> None:
    library("engine_failing", "WORK = 2")

    found = choose("failing", "engine_failing", work, fails, PLAIN)

    assert found == Engine("Plain", 1, "failing fails on a known picture: RuntimeError")


@pytest.mark.parametrize(
    "machine", [DEBIAN, GRAVITON, MAC, Machine("win32", "AMD64", ""), Machine("linux", "s390x", "glibc")]
)
def test_the_markers_of_the_extra_are_those_of_the_code(machine: Machine) -> None:
    wanted = [Requirement(text) for text in PROJECT["optional-dependencies"]["standard"]]
    environment = {
        "sys_platform": machine.system,
        "platform_machine": machine.machine,
        "python_version": "3.14",
    }

    by_markers = {one.name for one in wanted if (one.marker or Marker("")).evaluate(environment)}

    assert by_markers == {one.name for one in engines.STANDARD if one.has_wheel(machine)}


def test_all_image_libraries_of_the_extra_can_be_forbidden() -> None:
    assert {one.module for one in engines.STANDARD} == {*OPTIONAL_MODULES, "uvloop"}


def test_alpine_has_wheels_of_two() -> None:
    assert [one.name for one in engines.STANDARD if one.has_wheel(ALPINE)] == ["numpy", "uvloop"]


def test_nothing_is_missing_where_all_is_installed() -> None:
    assert engines.missing() == []


@pytest.mark.parametrize(
    ("names", "machine", "sentence"),
    [
        ([], DEBIAN, None),
        (
            ["kornia-rs", "uvloop"],
            DEBIAN,
            "slower than it could be without kornia-rs, uvloop; to install: pip install 'mediasvc[standard]'",
        ),
        (
            ["numpy", "uvloop"],
            ALPINE,
            "slower than it could be without numpy, uvloop; to install: pip install numpy uvloop",
        ),
    ],
)
def test_what_is_missing_is_said_with_what_to_type(
    names: list[str], machine: Machine, sentence: str | None
) -> None:
    assert engines.advice(names, machine) == sentence


def test_the_loop_is_uvloop_here() -> None:
    async def loop_of() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert event_loop.in_use() == ("uvloop", None)
    assert event_loop.run(loop_of()).startswith("uvloop")
