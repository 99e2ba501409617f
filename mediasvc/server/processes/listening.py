"""Listening sockets: several for one port, among which the kernel distributes connections."""

import errno
import os
import socket
import sys

from mediasvc.errors import InvalidSettings

_BACKLOG = 4096
# Elsewhere one of the sockets that share a port gets all connections.
_KERNEL_DISTRIBUTES = sys.platform == "linux"


def bind(host: str, port: int, count: int, *, distributes: bool = _KERNEL_DISTRIBUTES) -> list[socket.socket]:
    """Opens `count` listening sockets for one address.

    port: 0 takes a free one.
    distributes: whether the kernel distributes connections among sockets of one port; else all are one
    socket. Raises InvalidSettings with what is in the way.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise InvalidSettings(f"MEDIASVC_HOST: {host} is no address of this machine") from error
    sockets: list[socket.socket] = []
    try:
        _refuse_port_in_use(family, address)
        for _ in range(count if distributes else 1):
            one = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if distributes:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            one.bind(address)
            one.listen(_BACKLOG)
            one.setblocking(False)
            address = (address[0], one.getsockname()[1], *address[2:])
        sockets += [sockets[0].dup() for _ in range(count - len(sockets))]
    except OSError as error:
        for one in sockets:
            one.close()
        raise InvalidSettings(_explained(error, host, port)) from error
    return sockets


def _refuse_port_in_use(family: int, address: tuple[object, ...]) -> None:
    """Raises OSError where the port is in use: SO_REUSEPORT would silently share it with a service of the
    same user.
    """
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        probe.bind(address)


def _explained(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"MEDIASVC_PORT: {port} is in use on {host}; choose another, or 0 for a free one"
    if error.errno == errno.EACCES:
        return f"MEDIASVC_PORT: {port} needs privileges; choose one above 1023"
    return f"MEDIASVC_HOST: cannot listen on {host}:{port} ({os.strerror(error.errno or 0)})"


def address(one: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = one.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def port(one: socket.socket) -> int:
    """The port number; the kernel's choice where the setting is 0."""
    number: int = one.getsockname()[1]
    return number
