"""What the supervisor hands to a server process when it starts it."""

import json
import os
import site
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import mediasvc


@dataclass(frozen=True, slots=True)
class Handover:
    """settings: packed (mediasvc.config.settings), secrets included. image_processes: for this server process.

    socket_fd: listening, kept open by the supervisor too. ready_fd: a byte goes there once requests are taken.
    """

    settings: Mapping[str, object]
    image_processes: int
    socket_fd: int
    ready_fd: int
    supervisor_pid: int


def give(pipe: IO[bytes], handover: Handover) -> None:
    """Writes it and closes the pipe. Secrets go this way and not by the command line, which others can read."""
    numbers = [handover.image_processes, handover.socket_fd, handover.ready_fd, handover.supervisor_pid]
    with pipe:
        pipe.write(json.dumps({"settings": handover.settings, "numbers": numbers}).encode())


def take(pipe: IO[bytes]) -> Handover:
    """Reads it in the process that was started. TypeError where that was not done by the supervisor."""
    try:
        told = json.loads(pipe.read())
        return Handover(told["settings"], *told["numbers"])
    except (ValueError, KeyError) as error:
        raise TypeError("this program is started by `mediasvc serve`") from error


def command(module: str, *arguments: str) -> list[str]:
    """Starts a module of ours as a program; -P: no file of the folder that we are started in is taken for a library."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """Ours, with the place where this package was found, for programs started by command."""
    place = str(Path(mediasvc.__file__).parents[1])
    if place in site.getsitepackages():  # found there anyway, and behind the standard library
        return {**os.environ, **more}
    places = (place, os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)), **more}
