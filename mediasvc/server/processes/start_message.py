"""The start message: what the supervisor sends to a server process that it starts."""

import json
import os
import site
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import mediasvc


@dataclass(frozen=True, slots=True)
class ProcessStart:
    """Start message of a server process.

    settings: packed (mediasvc.config.settings), secrets included.
    image_processes: number of image processes of this server process.
    socket_fd: listening socket, kept open by the supervisor too.
    ready_fd: pipe that gets one byte once requests are answered.
    purges_fd: memory that all server processes share (purge_token).
    is_first: the first server process alone logs what is true of all.
    """

    settings: Mapping[str, object]
    image_processes: int
    socket_fd: int
    ready_fd: int
    supervisor_pid: int
    purges_fd: int
    is_first: bool = True


def send(pipe: IO[bytes], message: ProcessStart) -> None:
    """Writes the message and closes the pipe.

    Other users can read a command line, but not a pipe with secrets.
    """
    with pipe:
        pipe.write(json.dumps(asdict(message)).encode())


def receive(pipe: IO[bytes]) -> ProcessStart:
    """Reads the message in the server process. TypeError where something else started this program."""
    try:
        return ProcessStart(**json.loads(pipe.read()))
    except (ValueError, TypeError) as error:
        raise TypeError("this program is started by `mediasvc serve`") from error


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of mediasvc. -P: files of the working folder are not taken for
    libraries.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """Our environment plus the folder of this package in PYTHONPATH, for programs started by `command`."""
    folder = str(Path(mediasvc.__file__).parents[1])
    if folder in site.getsitepackages():  # Python finds it there anyway, and behind the standard library
        return {**os.environ, **more}
    folders = (folder, os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders)), **more}
