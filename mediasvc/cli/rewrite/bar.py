"""A line that stays at the bottom of a terminal and changes, with others passing above it."""

from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text


class Bar:
    """There from the moment it is made."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def show(self, line: str) -> None:
        """In the place of what was there."""
        self._live.update(Text(line))

    def say(self, line: str) -> None:
        """Above it, to stay."""
        self._console.print(Text(line), soft_wrap=True)

    def end(self) -> None:
        """Takes it away."""
        self._live.stop()
