"""Admission control: how many requests are worked on at once, and whether new ones are accepted."""

from collections.abc import Iterator
from contextlib import contextmanager

from mediasvc.errors import Overloaded


class Admission:
    """Bounds the requests that the memory cache cannot answer. Belongs to one event loop.

    is_leaving: the process is about to end, so replies close their connections.
    is_draining: new requests are refused as well; admitted ones finish.
    """

    def __init__(self, limit: int) -> None:
        """limit: most requests admitted at once; the next one gets Overloaded."""
        self.limit = limit
        self.admitted = 0
        self.is_leaving = False
        self.is_draining = False

    def check(self) -> None:
        """Raises Overloaded where no request is admitted at the moment."""
        if self.is_draining:
            raise Overloaded("this server is shutting down; try again", retry_after_s=1)
        if self.admitted >= self.limit:
            raise Overloaded("too many requests are being worked on; try again", retry_after_s=1)

    def drain(self) -> None:
        """Refuses new requests from now on."""
        self.is_leaving = self.is_draining = True

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Counts a request while it is worked on. Raises Overloaded as `check` does."""
        self.check()
        self.admitted += 1
        try:
            yield
        finally:
            self.admitted -= 1
