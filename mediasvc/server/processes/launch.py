"""Starts the service: finds what is wrong with settings and port, then becomes the supervisor."""

import json
import os
import sys
import tempfile
from dataclasses import asdict, replace
from typing import IO

from mediasvc.config.exposure import check_serving, find_open_doors
from mediasvc.config.settings import Settings, make_data_dir, pack
from mediasvc.effects.machine import usable_cores
from mediasvc.errors import InvalidSettings
from mediasvc.server.processes import listening, start_message
from mediasvc.server.processes.purge_token import PurgeToken
from mediasvc.server.processes.supervisor import ServiceStart, supervise


def serve(settings: Settings, *, stay: bool = False) -> int:
    """Runs the service.

    Returns 0 after SIGTERM, 130 after Ctrl-C, 2 where settings or the port do not allow it.

    stay: supervise in this process, for callers with threads of their own. Otherwise the supervisor's
    program, a fifth
        of the size, replaces this process, and this function returns only if the service could not start.
    """
    cores = usable_cores()
    try:
        check_serving(settings)
        make_data_dir(settings)
        sockets = listening.bind(settings.host, settings.port, settings.workers or cores)
    except InvalidSettings as error:
        print(f"mediasvc: {error}", file=sys.stderr)
        return error.exit_code
    # For port 0, the number that the kernel chose: the service never fetches from its own port.
    settings = replace(settings, port=listening.port(sockets[0]))
    start = ServiceStart(
        settings=pack(settings),
        log_format=settings.log_format,
        log_level=settings.log_level,
        open_doors=list(find_open_doors(settings)),
        image_processes=max(1, -(-cores // len(sockets))),
        socket_fds=[one.detach() for one in sockets],
        purges_fd=PurgeToken.create(),
    )
    return supervise(start) if stay else _become(start)


def _become(start: ServiceStart) -> int:
    with _unnamed_file() as message:
        message.write(json.dumps(asdict(start)).encode())
        message.seek(0)
        for descriptor in (message.fileno(), start.purges_fd, *start.socket_fds):
            os.set_inheritable(descriptor, True)
        sys.stdout.flush()
        sys.stderr.flush()
        command = start_message.command("mediasvc.server.processes.supervisor", str(message.fileno()))
        os.execve(command[0], command, start_message.environment())  # noqa: S606  # our own program


def _unnamed_file() -> IO[bytes]:
    """A file without a name, in memory where the system can, because it gets secrets."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("mediasvc-start"), "w+b")
    return tempfile.TemporaryFile()
