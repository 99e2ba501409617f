"""How much is under way at once, and whether anything new is still taken."""

from collections.abc import Iterator
from contextlib import contextmanager

from mediasvc.errors import Overloaded


class Gate:
    """Bounds the requests that need more than memory. Belongs to one event loop.

    is_leaving: the process is about to end, so replies close their connections.
    is_draining: and nothing new is let in; what is inside finishes.
    """

    def __init__(self, limit: int) -> None:
        """limit: most requests inside at once; the next is told to come back."""
        self.limit = limit
        self.inside = 0
        self.is_leaving = False
        self.is_draining = False

    def check(self) -> None:
        """Overloaded where nothing more is let in."""
        if self.is_draining:
            raise Overloaded("this server is going away; ask again", retry_after_s=1)
        if self.inside >= self.limit:
            raise Overloaded("too much to do at the moment; ask again", retry_after_s=1)

    def drain(self) -> None:
        """From now on nothing new is let in."""
        self.is_leaving = self.is_draining = True

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Held while a request is worked on. Overloaded as check says."""
        self.check()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
