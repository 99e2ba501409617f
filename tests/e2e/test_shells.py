"""Completion in real shells, and the manual page."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from mediasvc.cli.main import program

PROGRAMS = Path(sys.executable).parent
# What docs/installation.md has people type, by shell.
SETUP = {
    "bash": 'eval "$(_MEDIASVC_COMPLETE=bash_source mediasvc)"',
    "zsh": 'eval "$(_MEDIASVC_COMPLETE=zsh_source mediasvc)"',
    "fish": "_MEDIASVC_COMPLETE=fish_source mediasvc | source",
}
PAGE = Path(__file__).parents[2].joinpath("docs/installation.md").read_text("utf-8")
_DEADLINE_S = 60.0


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a user with an empty home, whose terminal is plain."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDIASVC_")}
    path = os.pathsep.join((str(PROGRAMS), os.environ["PATH"]))
    return kept | {"PATH": path, "HOME": str(tmp_path), "TERM": "dumb", "PS1": "$ "}


def shell(name: str) -> str:
    """The program. Fails the test, with what to type, where there is none and none can be had."""
    command = f"apt-get install -y --no-install-recommends {name}"
    if shutil.which(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for line in ("apt-get update", command):
            subprocess.run(
                line.split(),
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdout=subprocess.DEVNULL,
                check=False,
                timeout=600,
            )
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"completion is tested in a real {name}, and there is none; type: sudo {command}")
    return found


def typed(command: list[str], lines: list[str], until: str, environment: dict[str, str]) -> str:
    """What an interactive shell shows after some lines were typed, up to a pattern."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(command[0], command, environment)
    shown, deadline = "", time.monotonic() + _DEADLINE_S
    try:
        os.write(terminal, "".join(lines).encode())
        while not re.search(until, shown) and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.5)[0]:
                shown += os.read(terminal, 65536).decode("utf-8", "replace")
        return shown
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


@pytest.mark.parametrize("name", SETUP)
def test_the_page_has_the_line_that_turns_completion_on(name: str) -> None:
    assert f"`{SETUP[name]}`" in PAGE.replace("\\|", "|")


def test_bash_completes_commands(environment: dict[str, str]) -> None:
    lines = [f"{SETUP['bash']}\n", "mediasvc rewr\t--help\n"]

    shown = typed(
        [shell("bash"), "--norc", "--noprofile", "-i"], lines, r"Usage: mediasvc rewrite", environment
    )

    assert "Usage: mediasvc rewrite" in shown, shown


def test_zsh_completes_commands(environment: dict[str, str]) -> None:
    lines = ["autoload -Uz compinit; compinit -u\n", f"{SETUP['zsh']}\n", "mediasvc rewr\t--help\n"]

    shown = typed([shell("zsh"), "-f", "-i"], lines, r"Usage: mediasvc rewrite", environment)

    assert "Usage: mediasvc rewrite" in shown, shown


def test_fish_completes_commands_and_options(environment: dict[str, str]) -> None:
    def completed(line: str) -> list[str]:
        script = f'{SETUP["fish"]}; complete -C "{line}"'
        done = subprocess.run(
            [shell("fish"), "--no-config", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=True,
        )
        return [found.split("\t")[0] for found in done.stdout.splitlines()]

    assert completed("mediasvc rewr") == ["rewrite"]
    assert {"--out", "--in-place", "--dry-run"} <= set(completed("mediasvc rewrite --"))


def test_the_manual_page_has_every_command_and_option(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mediasvc.cli.manual"], capture_output=True, text=True, timeout=60, check=True
    )

    page = done.stdout.replace("\\-", "-")
    assert page.startswith(".TH MEDIASVC 1 ")
    context = click.Context(program)
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        assert command is not None
        assert f'.SS "mediasvc {name}' in page
        for parameter in command.params:
            assert all(option in page for option in parameter.opts if option.startswith("-")), parameter
    assert ".SH EXIT STATUS" in page
    assert [line for line in page.splitlines() if line.startswith("'")] == []
