"""How this process asks the system for memory."""

import ctypes

_M_ARENA_MAX = -8  # malloc.h of glibc


def share_one_heap() -> bool:
    """From now on, threads get no heaps of their own: many live at once, and each would keep what it once needed.

    False where the C library knows no such thing. Server processes are started so (server.supervisor).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, 1) == 1)
