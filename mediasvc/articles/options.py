"""How an article is to be rewritten."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.text.reference import ArticleType, FrontMatterUse


class Mode(StrEnum):
    """LAZY: no network, references become signed paths. EAGER: images are fetched first."""

    LAZY = "lazy"
    EAGER = "eager"


@dataclass(frozen=True, slots=True)
class ArticleOptions:
    """What a caller may say of one article.

    type: None finds out. base_url: what relative addresses stand against; None leaves them alone.
    prefix: what stands before an asset's name in the article; report_prefix: the same in the report.
    default_size: the box of images that declare none. placeholder: whether a tiny picture becomes the
    background of localised images. failures_since: failures of images that are remembered from before it are
    tried again; None: they stand until their time is over. only_kept: an image that cannot be put into the store
    counts as failed, because its name would lead nowhere.
    """

    type: ArticleType | None = None
    base_url: str | None = None
    front_matter: Mapping[str, FrontMatterUse] = field(default_factory=dict)
    format: OutputFormat | None = None
    default_size: Size | None = None
    prefix: str = "assets/"
    report_prefix: str = "assets/"
    placeholder: bool = False
    failures_since: datetime | None = None
    only_kept: bool = False
