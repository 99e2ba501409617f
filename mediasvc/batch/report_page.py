"""A report as one self-contained page for people, of bounded size."""

import base64
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files as package_files
from pathlib import Path
from urllib.parse import urlsplit

from mediasvc.articles.rows import ImageRow, Status
from mediasvc.batch.rows import ArticleRow, ArticleStatus, digest
from mediasvc.core.formats import FORMATS
from mediasvc.errors import BY_CODE

_GALLERY = 60
_LARGEST_SHOWN = 96 * 1024
_GROUPS_SHOWN = 200
_ARTICLES_SHOWN = 12
_TYPES = {info.extension: info.media_type for info in FORMATS.values()}


@dataclass(slots=True)
class _Failures:
    """The failures of one host with one code. Keeps the names of the first articles only."""

    count: int = 0
    articles: dict[str, str] = field(default_factory=dict)
    more: bool = False

    def add(self, article: str, source: str) -> None:
        self.count += 1
        if article in self.articles:
            return
        if len(self.articles) < _ARTICLES_SHOWN:
            self.articles[article] = source
        else:
            self.more = True


@dataclass(slots=True)
class _Summary:
    """The content of the page, gathered in bounded memory, except for 8 bytes for each distinct asset."""

    articles: Counter[ArticleStatus] = field(default_factory=Counter)
    references: Counter[Status] = field(default_factory=Counter)
    original_bytes: int = 0
    shown_bytes: int = 0
    pictures: int = 0
    failed_articles: list[tuple[str, str]] = field(default_factory=list)
    further_articles: int = 0
    failures: dict[tuple[str, str], _Failures] = field(default_factory=dict)
    # A picture's row, its article, and the output folder of that.
    gallery: list[tuple[ImageRow, str, Path]] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311  # picks examples

    def add(self, row: ArticleRow, root: Path | None) -> None:
        self.articles[row.status] += 1
        if row.failure:
            if len(self.failed_articles) < _GROUPS_SHOWN:
                self.failed_articles.append((row.path, f"{row.failure.message} ({row.failure.code})"))
            else:
                self.further_articles += 1
        for image in row.images:
            self.references[image.status] += 1
            if image.status is Status.FAILED:
                failures = self.failures.setdefault((_host(image), image.code or ""), _Failures())
                failures.add(row.path, image.source)
            elif image.status is Status.LOCALISED:
                self._add_picture(image, row.out, root or Path(row.root or "."))

    def _add_picture(self, image: ImageRow, article: str, root: Path) -> None:
        mark = hash((image.original, image.thumbnail))
        if mark in self._seen:
            return
        self._seen.add(mark)
        self.pictures += 1
        self.shown_bytes += image.bytes or 0
        self.original_bytes += image.original_bytes or image.bytes or 0
        if len(self.gallery) < _GALLERY:
            self.gallery.append((image, article, root))
        elif (index := self._chance.randrange(self.pictures)) < _GALLERY:
            self.gallery[index] = (image, article, root)


def make_page(rows: Iterable[ArticleRow], root: Path | None) -> tuple[int, bytes]:
    """The number of articles in a report, and its page.

    root: the run's output folder, for the pictures; None for the folder that the report names for each
    article. The gallery leaves out pictures whose files are missing. Raises InvalidRequest where the report
    cannot be read.
    """
    summary = _Summary()
    for row in rows:
        summary.add(row, root)
    return sum(summary.articles.values()), _html(summary).encode("utf-8", "backslashreplace")


def _html(summary: _Summary) -> str:
    style = package_files("mediasvc.batch").joinpath("report_page.css").read_text(encoding="utf-8")
    body = "\n".join([_head(summary), _gallery(summary), _failures(summary)])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>mediasvc report</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"  # noqa: E501
    )


def _head(summary: _Summary) -> str:
    total = sum(summary.articles.values())
    references = sum(summary.references.values())
    localised = summary.references[Status.LOCALISED]
    saved = max(summary.original_bytes - summary.shown_bytes, 0)
    share = f"{saved / summary.original_bytes:.0%}" if summary.original_bytes else "0%"
    failed = summary.references[Status.FAILED]
    cells = [
        (f"{total:,}", "articles", _tally(summary.articles)),
        (
            f"{localised:,}",
            f"of {references:,} references localised",
            f"{summary.references[Status.LEFT]:,} left alone",
        ),
        (f"{summary.pictures:,}", "pictures", f"{_weight(summary.shown_bytes)} shown to readers"),
        (
            _weight(saved),
            "saved by thumbnails",
            f"{share} of {_weight(summary.original_bytes)} originals",
        ),
        (f"{failed:,}", "references failed", "their text stayed as it was" if failed else "nothing failed"),
    ]
    totals = "".join(
        f"<div><dt>{escape(label)}</dt><dd><strong>{escape(number)}</strong><span>{escape(note)}</span></dd></div>"
        for number, label, note in cells
    )
    return f'<header><h1>What the run did</h1></header>\n<dl class="totals">{totals}</dl>'


def _tally(articles: Counter[ArticleStatus]) -> str:
    return ", ".join(f"{articles[status]:,} {status}" for status in ArticleStatus if articles[status])


def _gallery(summary: _Summary) -> str:
    figures = [figure for one in summary.gallery if (figure := _figure(*one))]
    if not figures:
        return ""
    shown = f"{len(figures):,} of {summary.pictures:,}" if len(figures) < summary.pictures else "All of them"
    return (
        f'<section><h2>Pictures</h2><p>{shown}.</p>\n<div class="gallery">{"".join(figures)}</div></section>'
    )


def _figure(image: ImageRow, article: str, root: Path) -> str | None:
    name = image.thumbnail or image.original or ""
    media_type = _TYPES.get(name.rpartition(".")[2])
    data = _picture(root, name)
    if data is None or media_type is None:
        return None
    size = f"{image.width}×{image.height}, {_weight(image.bytes or 0)}"
    before = image.original_bytes
    saving = f" from {_weight(before)}" if before and before != image.bytes else ""
    source = f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
    return (
        f'<figure><img src="{source}" alt="" loading="lazy" width="{image.width}" height="{image.height}">'
        f"<figcaption>{escape(size + saving)}<br><span>{escape(article)}</span></figcaption></figure>"
    )


def _picture(root: Path, name: str) -> bytes | None:
    """The bytes of a picture of the run; None where the file is missing, too large or another one."""
    path = root / name
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_SHOWN:
            return None
        data = path.read_bytes()
    except (OSError, ValueError):
        return None
    # The assets folder can be anywhere, but a report from a stranger must not make the page show other files.
    return data if digest(data) == path.stem else None


def _failures(summary: _Summary) -> str:
    parts = []
    if summary.failed_articles:
        items = "".join(
            f"<li><b>{escape(path)}</b> {escape(why)}</li>" for path, why in summary.failed_articles
        )
        more = summary.further_articles
        rest = f"<p>and {more:,} further articles, all in the report</p>" if more else ""
        parts.append(f"<section><h2>Articles that failed</h2><ul>{items}</ul>{rest}</section>")
    if summary.failures:
        groups = sorted(summary.failures.items(), key=lambda item: -item[1].count)
        rows = "".join(_group(host, code, failures) for (host, code), failures in groups[:_GROUPS_SHOWN])
        more = len(groups) - _GROUPS_SHOWN
        rest = f"<p>and {more:,} further kinds of failure, all in the report</p>" if more > 0 else ""
        parts.append(f"<section><h2>Images that failed, by host</h2>{rows}{rest}</section>")
    return "\n".join(parts)


def _group(host: str, code: str, failures: _Failures) -> str:
    items = "".join(
        f"<li>{escape(article)}<br><code>{escape(source[:200])}</code></li>"
        for article, source in failures.articles.items()
    )
    more = "<li>and more, all in the report</li>" if failures.more else ""
    why = BY_CODE[code].explanation if code in BY_CODE else code
    return (
        f"<details><summary><b>{escape(host or 'no host')}</b> {failures.count:,} × "
        f"<code>{escape(code)}</code> {escape(why)}</summary><ul>{items}{more}</ul></details>"
    )


def _host(image: ImageRow) -> str:
    try:
        return urlsplit(image.origin or image.source).hostname or ""
    except ValueError:
        return ""


def _weight(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
