"""What the supervisor hands to a server process when it starts it."""

import pickle
from dataclasses import dataclass
from typing import IO

from mediasvc.settings import Settings


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
    with pipe:
        pickle.dump(handover, pipe)


def take(pipe: IO[bytes]) -> Handover:
    """Reads it in the process that was started."""
    handover = pickle.load(pipe)  # noqa: S301  # a pipe from the process that started this one
    if not isinstance(handover, Handover):
        raise TypeError("this program is started by `mediasvc serve`")
    return handover
