"""Shows the progress of a run: a bar on a terminal, a line now and then elsewhere."""

import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

from mediasvc.articles.rows import Status
from mediasvc.batch.rows import ArticleRow
from mediasvc.batch.totals import Totals
from mediasvc.cli import programs
from mediasvc.effects.disk import files

_BAR_AFTER_S = 0.5
_LINE_EVERY_S = 30.0
_IMAGES_SHOWN = 20
# Addresses and names come from strangers: characters that would control the terminal are left out.
_CONTROLS = {code: None for code in (*range(32), 127) if chr(code) not in "\t\n"}


class Progress:
    """A context manager; call update as often as you like."""

    def __init__(self, stream: TextIO, *, every_s: float = _LINE_EVERY_S) -> None:
        """stream: for people, usually stderr.
        every_s: seconds between two lines where there is no bar.
        """
        self._stream = stream
        self._every_s = every_s
        self._has_bar = stream.isatty()
        self._bar: programs.Bar | None = None
        self._began = self._shown_at = time.monotonic()

    def __enter__(self) -> "Progress":
        self._began = self._shown_at = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.end()
            self._bar = None

    def say(self, line: str) -> None:
        """Prints a line, above the bar where there is one."""
        line = line.translate(_CONTROLS)
        if self._bar is not None:
            self._bar.say(line)
        else:
            print(line, file=self._stream, flush=True)

    def update(self, totals: Totals) -> None:
        """Shows the totals of the run so far."""
        now = time.monotonic()
        if self._has_bar:
            self._show(self._line(totals, now), now)
        elif now - self._shown_at >= self._every_s:
            self._shown_at = now
            self.say(self._line(totals, now))

    def _show(self, line: str, now: float) -> None:
        if self._bar is None and now - self._began >= _BAR_AFTER_S:
            self._bar = programs.Bar(self._stream)
        if self._bar is not None:
            self._bar.show(line)

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
    """Prints a line for each failure, for the first few images only: the report has them all."""

    def __init__(self, progress: Progress, report: Path | None) -> None:
        self._progress = progress
        self._report = report
        self._images = 0

    def __call__(self, row: ArticleRow) -> None:
        """Prints the failures of one article."""
        path = files.shown(Path(row.path))
        if row.failure:
            self._progress.say(f"mediasvc: {path}: {row.failure.message} ({row.failure.code})")
        for image in row.images:
            if image.status is not Status.FAILED:
                continue
            self._images += 1
            if self._images <= _IMAGES_SHOWN:
                self._progress.say(f"mediasvc: {path}: {image.source}: {image.code}")
            elif self._images == _IMAGES_SHOWN + 1:
                where = f"are in {self._report}" if self._report else "can be listed with --report"
                self._progress.say(f"mediasvc: more images failed; all of them {where}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
