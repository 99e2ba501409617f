"""The options of rewriting one article."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mediasvc.core.addresses.host_patterns import HostPattern
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.text.reference import ArticleType, FrontMatterUse


class Mode(StrEnum):
    """LAZY: no network, references become signed paths. EAGER: images are fetched first."""

    LAZY = "lazy"
    EAGER = "eager"


class Links(StrEnum):
    """Which links around pictures get the original of what they lead to.

    PICTURE: those that lead to what looks like a picture, and those of SAME.
    SAME: those that lead to an image of the article.
    """

    PICTURE = "picture"
    SAME = "same"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ArticleOptions:
    """The options of one article.

    type: None detects it.
    base_url: the address against which relative addresses are resolved; None leaves them alone.
    prefix: the text before asset names in the article.
    report_prefix: the text before asset names in the report.
    default_size: the box of images that declare no size.
    placeholder: give localised images a tiny blurred background.
    failures_since: retry failures that the index remembers from before this moment; None retries none.
    only_kept: an image that cannot be stored counts as failed, because its name would lead nowhere.
    links: which links around pictures get an original.
    leave: hosts whose pictures keep their address.
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
    links: Links = Links.PICTURE
    leave: tuple[HostPattern, ...] = ()
