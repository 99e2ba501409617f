"""The totals of a run: what it reports at its end, and the exit code."""

from dataclasses import dataclass, field

from mediasvc.articles.rows import Status
from mediasvc.batch.rows import ArticleRow, ArticleStatus
from mediasvc.errors import ExitCode, worst_exit_code


@dataclass(slots=True)
class Totals:
    """The counts of a run so far.

    expected: number of articles; None until they are counted.
    known: articles that an earlier run had finished.
    image_bytes: bytes of the files that the articles show.
    exit_codes: those of the articles, each once.
    """

    expected: int | None = None
    articles: int = 0
    rewritten: int = 0
    unchanged: int = 0
    failed: int = 0
    known: int = 0
    images: int = 0
    images_failed: int = 0
    images_left: int = 0
    image_bytes: int = 0
    exit_codes: list[ExitCode] = field(default_factory=list)

    def add(self, row: ArticleRow, *, known: bool) -> None:
        """Counts one article. known: an earlier run had finished it."""
        self.articles += 1
        self.known += known
        match row.status:
            case ArticleStatus.REWRITTEN:
                self.rewritten += 1
            case ArticleStatus.UNCHANGED:
                self.unchanged += 1
            case ArticleStatus.FAILED:
                self.failed += 1
        for image in row.images:
            self.images += image.status is Status.LOCALISED
            self.images_failed += image.status is Status.FAILED
            self.images_left += image.why is not None
            self.image_bytes += image.bytes or 0
        self.note(row.exit_code)

    def note(self, code: ExitCode) -> None:
        """Takes an exit code into account."""
        if code not in self.exit_codes:
            self.exit_codes.append(code)

    @property
    def exit_code(self) -> ExitCode:
        """The worst exit code of all articles."""
        return worst_exit_code(self.exit_codes)
