"""A progress line at the bottom of a terminal, with other lines above it."""

from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text


class Bar:
    """The progress line; creating it shows it."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def show(self, line: str) -> None:
        """Replaces the progress line."""
        self._live.update(Text(line))

    def say(self, line: str) -> None:
        """Prints a line above the progress line."""
        self._console.print(Text(line), soft_wrap=True)

    def end(self) -> None:
        """Removes the progress line."""
        self._live.stop()
