"""The program of an image process: answers one request after another from its socket.

Any of them can end it.
"""

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
from mediasvc.core.pictures import thumbnail, whole
from mediasvc.core.pictures.engine import forbid
from mediasvc.core.pictures.headers import sniff
from mediasvc.core.pictures.headers.header import Header
from mediasvc.core.records import image_messages
from mediasvc.core.records.image_messages import PictureRequest, PictureResult
from mediasvc.effects.imaging import engines
from mediasvc.errors import MediaError, StoreFailed, Undecodable

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
# Blocks of up to 16 MiB that Pillow keeps: fresh pages cost more than the work on them.
_KEPT_BLOCKS = 1


def main() -> None:
    """Arguments in argv:

    1: the descriptor of the socket.
    2: the process id of the parent.
    3: the settings, as image_messages.pack_settings writes them.
    4 and following: modules that must not be imported.
    """
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    limits, timeout_s, memory_bytes = image_messages.unpack_settings(sys.argv[3])
    _confine(parent, memory_bytes)
    _silence_decoders()
    Image.core.set_blocks_max(_KEPT_BLOCKS)  # type: ignore[attr-defined]  # documented, but not exported
    # Our own limits are checked before Pillow sees the bytes, and can be higher than its limit.
    Image.MAX_IMAGE_PIXELS = None
    forbid(sys.argv[4:])
    used = engines.in_use()
    with socket.socket(fileno=descriptor) as channel:
        channel.sendall(image_messages.pack_engines(used))
        while (received := _receive(channel)) is not None:
            _allow_cpu(timeout_s)
            channel.sendall(image_messages.pack_result(run(image_messages.unpack_request(*received), limits)))


def run(request: PictureRequest, limits: Limits) -> PictureResult:
    """Inspects the picture and renders every spec. A thumbnail that fails does not stop the others."""
    try:
        data = request.data if request.path is None else _read(request.path)
        header = whole.read_header(data, limits)
        thumbnails = tuple(_render(data, header, spec) for spec in request.specs)
        # Computed from the original and not from a thumbnail, so that the first request does not decide about
        # it.
        found = _placeholders(data, header) if request.placeholder else None
    except MediaError as error:
        return PictureResult(None, error, rss_bytes=_rss_bytes())
    thumbhash, dominant = found or (None, None)
    picture = sniff.describe(header, len(data))
    return PictureResult(picture, None, thumbnails, thumbhash, dominant, _rss_bytes())


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
    except (MediaError, MemoryError):  # the pixels are broken, but the header is of use
        return None


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise StoreFailed("the stored image could not be read", reason="read") from error


def _receive(channel: socket.socket) -> tuple[bytes, bytes] | None:
    """One message: its JSON and its blobs; None when the parent has closed the socket."""
    head = _exactly(channel, image_messages.HEAD.size)
    if head is None:
        return None
    text_bytes, blob_bytes = image_messages.HEAD.unpack(head)
    text, blobs = _exactly(channel, text_bytes), _exactly(channel, blob_bytes)
    return None if text is None or blobs is None else (text, blobs)


def _exactly(channel: socket.socket, length: int) -> bytes | None:
    """The next bytes, not copied: each copy of a large picture costs fresh pages."""
    received = channel.recv(length, socket.MSG_WAITALL) if length else b""
    return received if len(received) == length else None


def _confine(parent: int, memory_bytes: int) -> None:
    """Makes this process end with its parent, without network, with bounded memory and without core files."""
    # Terminals and systemd signal the whole group; the parent ends its image processes in order.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Root can do this directly; others need a user namespace, which some hosts forbid. Where both fail,
        # the process still has no descriptor but its own socket.
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        libc.prctl(
            _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0
        )  # last: new credentials would clear it (prctl(2))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if os.getppid() != parent:  # gone before PDEATHSIG was set
        sys.exit(0)


def _silence_decoders() -> None:
    """C libraries write warnings about pictures to descriptor 2.

    Only Python's tracebacks belong in the log.
    """
    ours = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    sys.stderr = os.fdopen(ours, "w", buffering=1)
    logging.disable()


def _allow_cpu(seconds: float) -> None:
    """Sends SIGXCPU after this much processor time, so that the deadline holds while the parent hangs."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 2, hard))


def _rss_bytes(statm: Path = Path("/proc/self/statm")) -> int:
    """Resident memory now; at its peak where the system reports no more (macOS, in bytes there)."""
    try:
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    main()
