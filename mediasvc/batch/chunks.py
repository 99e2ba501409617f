"""The unit of batch work: a few articles of one run, and what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mediasvc.articles.options import Links
from mediasvc.articles.rows import Asset, ImageRow, UndoRecord
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.text.reference import ArticleType, FrontMatterUse
from mediasvc.errors import Failure


@dataclass(frozen=True, slots=True)
class Task:
    """One article to rewrite.

    type: how it is read; None: its content decides.
    prefix: the text before asset names in it.
    """

    content: bytes
    type: ArticleType | None
    prefix: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some articles of one run, with the options that they share.

    report_prefix: the text before asset names in the report.
    links, leave: as in ArticleOptions, hosts as they were written.
    store: name of the store in which the run looks for blobs.
    began: start of the run; failures of images remembered from before it are retried.
    base_url: the address against which relative addresses are resolved; None leaves them alone.
    """

    tasks: tuple[Task, ...]
    front_matter: Mapping[str, FrontMatterUse]
    format: OutputFormat | None
    default_size: Size | None
    report_prefix: str
    placeholder: bool
    links: Links = Links.PICTURE
    leave: tuple[str, ...] = ()
    store: str = ""
    began: datetime | None = None
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The result of one article.

    content: the rewritten article; None where it is unchanged.
    undo: the steps that bring the input back.
    failure: set where the article as a whole failed.
    settings: fingerprint of the settings that decided about its images; "" for those of the run.
    """

    content: bytes | None
    images: tuple[ImageRow, ...]
    undo: UndoRecord
    assets: tuple[Asset, ...]
    failure: Failure | None
    warnings: tuple[str, ...]
    seconds: float
    settings: str = ""
