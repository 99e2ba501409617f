"""Writes the result of a command to a file or to stdout."""

import sys
from pathlib import Path

from mediasvc.effects.disk import files
from mediasvc.errors import InvalidRequest, MediaError


def write_result(output: str, data: bytes) -> None:
    """Writes data to a file, whole or not at all; "-" is stdout. Raises InvalidRequest where it cannot."""
    if output == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    if path.is_dir():  # the empty name as well
        raise InvalidRequest(f"cannot write {files.shown(path)}: is a directory")
    try:
        if path.exists() and not path.is_file():
            # A pipe or a device, such as /dev/null: a rename would replace it by a file.
            with path.open("wb") as file:
                file.write(data)
            return
        files.write_whole(path, data)
    except OSError as error:
        raise InvalidRequest(f"cannot write {files.shown(path)}: {files.reason(error)}") from error
    except MediaError as error:
        raise InvalidRequest(str(error)) from error
