"""The image process: does one errand after another from its socket, and may die of any of them."""

import ctypes
import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path

from PIL import Image

from mediasvc.core.picture import Limits, Rendered, ThumbnailSpec
from mediasvc.core.pictures import engines, thumbnail
from mediasvc.core.pictures.engine import forbid
from mediasvc.core.pictures.headers import sniff
from mediasvc.core.pictures.headers.header import Header
from mediasvc.core.records import image_messages
from mediasvc.core.records.image_messages import Errand, Outcome
from mediasvc.errors import MediaError, StoreFailed, Undecodable

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
# Blocks of up to 16 MiB that Pillow keeps: fresh pages cost more than the work that is done on them.
_KEPT_BLOCKS = 1


def main() -> None:
    """argv: the socket's descriptor, the parent's process id, the settings (core.records.image_messages), and modules
    that must not be imported.
    """
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    limits, timeout_s, memory_bytes = image_messages.unpack_settings(sys.argv[3])
    _confine(parent, memory_bytes)
    _silence_decoders()
    Image.core.set_blocks_max(_KEPT_BLOCKS)  # type: ignore[attr-defined]  # documented, but not exported
    # Headers are checked against our own limits before Pillow sees the bytes; its limit may be the lower one.
    Image.MAX_IMAGE_PIXELS = None
    forbid(sys.argv[4:])
    used = engines.in_use()
    with socket.socket(fileno=descriptor) as channel:
        channel.sendall(image_messages.pack_engines(used))
        while (received := _receive(channel)) is not None:
            _allow_cpu(timeout_s)
            channel.sendall(image_messages.pack_outcome(run(image_messages.unpack_errand(*received), limits)))


def run(errand: Errand, limits: Limits) -> Outcome:
    """Inspects the picture and renders every spec; a rendition that fails does not hinder the others."""
    try:
        data = errand.data if errand.path is None else _read(errand.path)
        header = sniff.read_header(data, limits)
        renditions = tuple(_render(data, header, spec) for spec in errand.specs)
        # Of the original, not of a thumbnail that is at hand: they must not depend on who asked first.
        found = _placeholders(data, header) if errand.placeholder else None
    except MediaError as error:
        return Outcome(None, error, rss_bytes=_rss_bytes())
    thumbhash, dominant = found or (None, None)
    picture = sniff.describe(header, len(data))
    return Outcome(picture, None, renditions, thumbhash, dominant, _rss_bytes())


def _render(data: bytes, header: Header, spec: ThumbnailSpec) -> Rendered | MediaError:
    try:
        return thumbnail.render_known(data, header, spec)
    except MediaError as error:
        return error
    except MemoryError:
        return Undecodable("the image needs more memory than allowed", reason="memory")


def _placeholders(data: bytes, header: Header) -> tuple[str, str] | None:
    try:
        return thumbnail.placeholders(data, header)
    except (MediaError, MemoryError):  # broken pixels; the header still has something to tell
        return None


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise StoreFailed("the stored image could not be read", reason="read") from error


def _receive(channel: socket.socket) -> tuple[bytes, bytes] | None:
    """One frame; None when the parent has gone or wants no more."""
    head = _exactly(channel, image_messages.HEAD.size)
    if head is None:
        return None
    text_bytes, blob_bytes = image_messages.HEAD.unpack(head)
    text, blobs = _exactly(channel, text_bytes), _exactly(channel, blob_bytes)
    return None if text is None or blobs is None else (text, blobs)


def _exactly(channel: socket.socket, length: int) -> bytes | None:
    """So many bytes, as they came: pictures are large, and each copy of one costs its pages anew."""
    received = channel.recv(length, socket.MSG_WAITALL) if length else b""
    return received if len(received) == length else None


def _confine(parent: int, memory_bytes: int) -> None:
    """Dies with its parent, cannot use the network, cannot take more memory, leaves no core file."""
    # A terminal sends these to all of its job, systemd to the whole unit: the parent ends its workers in order.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Root may do it alone; others need a user namespace, which some hosts forbid. Then it is left with what holds
        # anyway: no descriptor but its own socket.
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        libc.prctl(
            _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0
        )  # last: new credentials would clear it (prctl(2))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if os.getppid() != parent:  # gone before PDEATHSIG was set
        sys.exit(0)


def _silence_decoders() -> None:
    """C libraries tell descriptor 2 of every oddity of every picture; only our own tracebacks are for the log."""
    ours = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    sys.stderr = os.fdopen(ours, "w", buffering=1)
    logging.disable()


def _allow_cpu(seconds: float) -> None:
    """From here on so much processor time, then SIGXCPU: the deadline holds even while the parent is stuck."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 2, hard))


def _rss_bytes() -> int:
    """Resident now; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


if __name__ == "__main__":
    main()
