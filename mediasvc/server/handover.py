"""What the supervisor hands to a server process when it starts it."""

import json
from dataclasses import dataclass
from typing import IO

from mediasvc.settings import Settings, pack, unpack


@dataclass(frozen=True, slots=True)
class Handover:
    """image_processes: for this server process. socket_fd: listening, kept open by the supervisor too.

    ready_fd: a byte goes there once requests are taken.
    """

    settings: Settings
    image_processes: int
    socket_fd: int
    ready_fd: int
    supervisor_pid: int


def give(pipe: IO[bytes], handover: Handover) -> None:
    """Writes it and closes the pipe. Secrets go this way and not by the command line, which others can read."""
    numbers = [handover.image_processes, handover.socket_fd, handover.ready_fd, handover.supervisor_pid]
    with pipe:
        pipe.write(json.dumps({"settings": pack(handover.settings), "numbers": numbers}).encode())


def take(pipe: IO[bytes]) -> Handover:
    """Reads it in the process that was started. TypeError where that was not done by the supervisor."""
    try:
        told = json.loads(pipe.read())
        return Handover(unpack(told["settings"]), *told["numbers"])
    except (ValueError, KeyError) as error:
        raise TypeError("this program is started by `mediasvc serve`") from error
