"""Libraries of the extra `standard` that are broken: one line, and everything works, slower."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mediasvc
from tests.support.programs import environment

PACKAGE = Path(mediasvc.__file__).parent
BROKEN = {
    "cykooz_resizer": "raise ImportError('wrong ELF class: ELFCLASS32')",
    "kornia_rs": "import os, signal\nos.kill(os.getpid(), signal.SIGILL)",
    "simplejpeg": "import a_library_that_is_not_installed",
    "uvloop": "raise OSError('built for another system')",
}


def run(tmp_path: Path, broken: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of mediasvc beside libraries that shadow the installed ones."""
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    shadow.joinpath("mediasvc").symlink_to(PACKAGE)
    for name in broken:
        shadow.joinpath(f"{name}.py").write_text(BROKEN[name], "utf-8")
    return subprocess.run(
        [sys.executable, "-m", "mediasvc", *arguments],
        env=environment(tmp_path / "data") | {"PYTHONPATH": os.fspath(shadow)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def engines(output: str) -> dict[str, str]:
    return dict(re.findall(r"^engine_(\w+)=(.+)$", output, re.MULTILINE))


def test_settings_name_the_engines_in_use(tmp_path: Path) -> None:
    done = run(tmp_path, (), "settings")

    names = {kind: text.split()[0] for kind, text in engines(done.stdout).items()}
    assert names == {
        "event_loop": "uvloop",
        "jpeg": "simplejpeg",
        "png": "kornia-rs",
        "resize": "cykooz.resizer",
        "thumbhash": "numpy",
    }
    assert done.stderr == ""


def test_settings_say_why_a_library_is_not_used(tmp_path: Path) -> None:
    done = run(tmp_path, ("cykooz_resizer", "simplejpeg", "uvloop"), "settings")

    found = engines(done.stdout)
    assert re.fullmatch(
        r"Pillow \S+ \(cykooz.resizer cannot be loaded: wrong ELF class: ELFCLASS32\)", found["resize"]
    )
    assert "simplejpeg needs a_library_that_is_not_installed, which is not installed" in found["jpeg"]
    assert found["event_loop"] == "asyncio (uvloop cannot be loaded: built for another system)"
    assert found["png"].startswith("kornia-rs ")


def test_settings_say_that_a_library_ends_the_process(tmp_path: Path) -> None:
    done = run(tmp_path, ("kornia_rs",), "settings")

    found = engines(done.stdout)
    assert {found[kind].split()[0] for kind in ("jpeg", "png", "resize", "images")} == {"Pillow"}
    assert "ends the process (-4)" in found["images"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("broken", [("cykooz_resizer", "simplejpeg", "uvloop"), ("kornia_rs",)], ids=" ".join)
def test_the_demo_works_without_what_is_broken_and_says_so(tmp_path: Path, broken: tuple[str, ...]) -> None:
    done = run(tmp_path, broken, "demo", "--out", str(tmp_path / "demo"))

    assert done.returncode == 0, done.stderr
    assert "7 of 7 places lead to local files now" in done.stdout
    lines = done.stderr.splitlines()
    assert all("engine.unusable" in line for line in lines), done.stderr
    assert len(lines) == len([name for name in broken if name != "uvloop"])
