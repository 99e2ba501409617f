"""The system's name service, asked in threads."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

# The system asks a hanging name server for 10 to 20 s, a fetch waits 5 s: more look-ups can hang than fetches
# wait. A thread is made only when all others are busy.
_LOOKUP_THREADS = 256


class SystemNames(AbstractResolver):
    """The system's name service, in threads of its own, so that a hanging name delays no other work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, "names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """OSError: no such name, or no answer. Link-local answers lose their zone."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        )
        return [_answer(host, str(address[0]), port) for _, _, _, _, address in found]

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._threads.shutdown(wait=False, cancel_futures=True)


def _answer(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )
