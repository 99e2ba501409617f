"""How far a run is: a bar on a terminal, a line every so often elsewhere."""

import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mediasvc.batch.report import Row
from mediasvc.batch.walk import Totals
from mediasvc.effects import files

_LINE_EVERY_S = 30.0
_IMAGES_TOLD = 20


class Progress:
    """A context manager; update may be called as often as one likes."""

    def __init__(self, stream: TextIO, *, every_s: float = _LINE_EVERY_S) -> None:
        """stream: where people look, usually stderr. every_s: between two lines, where there is no bar."""
        self._every_s = every_s
        self._console = Console(file=stream)
        self._live = (
            Live(console=self._console, refresh_per_second=4, transient=True) if stream.isatty() else None
        )
        self._began = self._told = time.monotonic()

    def __enter__(self) -> "Progress":
        self._began = self._told = time.monotonic()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """A line of its own, above the bar where there is one."""
        self._console.print(Text(line), soft_wrap=True)

    def update(self, totals: Totals) -> None:
        """What the run has done so far."""
        now = time.monotonic()
        if self._live is not None:
            self._live.update(Text(self._line(totals, now)))
        elif now - self._told >= self._every_s:
            self._told = now
            self._console.print(self._line(totals, now), highlight=False, soft_wrap=True)

    def _line(self, totals: Totals, now: float) -> str:
        seconds = max(now - self._began, 0.001)
        rate = totals.articles / seconds
        parts = [
            f"{totals.articles} articles" + (f" of {totals.expected}" if totals.expected else ""),
            f"{totals.images} images",
            f"{totals.image_bytes / 1e6:.1f} MB",
            f"{rate:.1f}/s",
        ]
        if totals.expected and rate > 0:
            parts.append(f"{_duration((totals.expected - totals.articles) / rate)} left")
        parts.append(f"{totals.images_failed + totals.failed} failed")
        return ", ".join(parts)


class Failures:
    """Says what failed, a line each; images only so many times, for the report has them all."""

    def __init__(self, progress: Progress, report: Path | None) -> None:
        self._progress = progress
        self._report = report
        self._images = 0

    def __call__(self, told: Row) -> None:
        """One article of the report."""
        path = files.shown(Path(told["path"]))
        if told["error"]:
            self._progress.say(f"mediasvc: {path}: {told['message']} ({told['error']})")
        for image in told["images"]:
            if image["status"] != "failed":
                continue
            self._images += 1
            if self._images <= _IMAGES_TOLD:
                self._progress.say(f"mediasvc: {path}: {image['source']}: {image['code']}")
            elif self._images == _IMAGES_TOLD + 1:
                where = f"are in {self._report}" if self._report else "can be had with --report"
                self._progress.say(f"mediasvc: further images failed; all of them {where}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
