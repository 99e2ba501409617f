"""Starts the service: what can be wrong is found here, before this program becomes its supervisor."""

import json
import os
import sys
import tempfile
from dataclasses import asdict, replace
from typing import IO

from mediasvc.config.settings import Settings, check_serving, find_open_doors, make_data_dir, pack
from mediasvc.effects.machine import usable_cores
from mediasvc.errors import InvalidSettings
from mediasvc.server.processes import listening, start_message
from mediasvc.server.processes.supervisor import Charge, supervise


def serve(settings: Settings, *, stay: bool = False) -> int:
    """Runs the service until SIGTERM (0) or Ctrl-C (130); 2 where settings or the port do not allow it.

    stay: in this very process, for callers with threads of their own. Otherwise the process is replaced by the
    supervisor's own program, a fifth of the size, and this returns only if nothing could be started.
    """
    cores = usable_cores()
    try:
        check_serving(settings)
        make_data_dir(settings)
        sockets = listening.bind(settings.host, settings.port, settings.workers or cores)
    except InvalidSettings as error:
        print(f"mediasvc: {error}", file=sys.stderr)
        return error.exit_code
    # Of a free port that was asked for, everyone must know the number: it is one that is never fetched from.
    settings = replace(settings, port=listening.port(sockets[0]))
    charge = Charge(
        settings=pack(settings),
        log_format=settings.log_format,
        log_level=settings.log_level,
        open_doors=list(find_open_doors(settings)),
        image_processes=max(1, -(-cores // len(sockets))),
        socket_fds=[one.detach() for one in sockets],
    )
    return supervise(charge) if stay else _become(charge)


def _become(charge: Charge) -> int:
    with _unnamed() as told:
        told.write(json.dumps(asdict(charge)).encode())
        told.seek(0)
        for descriptor in (told.fileno(), *charge.socket_fds):
            os.set_inheritable(descriptor, True)
        sys.stdout.flush()
        sys.stderr.flush()
        command = start_message.command("mediasvc.server.processes.supervisor", str(told.fileno()))
        os.execve(command[0], command, start_message.environment())  # noqa: S606  # our own program


def _unnamed() -> IO[bytes]:
    """A file without a name; in memory where the system has such, since secrets go into it."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("charge"), "w+b")
    return tempfile.TemporaryFile()
