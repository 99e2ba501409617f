"""What each reference of an article asks for, decided before anything is fetched."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import urljoin, urlsplit

from mediasvc.articles.reports import ImageReport, Status
from mediasvc.core import rewrite, urls
from mediasvc.core.geometry import Size
from mediasvc.core.picture import EXTENSIONS, Format, OutputFormat, ThumbnailSpec
from mediasvc.core.rewrite import ArticleType, FindOptions, FrontMatterUse, Reference, Wants
from mediasvc.errors import InvalidRequest, MediaError
from mediasvc.images import Addresses

_HEX = frozenset("0123456789abcdef")
_ENDINGS = frozenset(EXTENSIONS.values())
_LINKS = frozenset({"a[href]", "markdown-link"})


class Mode(StrEnum):
    """LAZY: no network, references become signed paths. EAGER: images are fetched first."""

    LAZY = "lazy"
    EAGER = "eager"


@dataclass(frozen=True, slots=True)
class ArticleOptions:
    """How an article is to be rewritten.

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


@dataclass(frozen=True, slots=True)
class Target:
    """What one reference asks for: an origin, and the thumbnail's spec where it wants one."""

    reference: Reference
    resolution: urls.Resolution
    spec: ThumbnailSpec | None
    declared_size: Size | None


@dataclass(frozen=True, slots=True)
class Sorted:
    """An article's references: those that ask for something, and those of which the report is known already."""

    targets: tuple[Target | ImageReport, ...]
    warnings: tuple[str, ...]

    @property
    def asking(self) -> list[Target]:
        """Only those that ask for something."""
        return [one for one in self.targets if isinstance(one, Target)]


def sort_references(
    article: bytes, options: ArticleOptions, addresses: Addresses, *, prefix: str, public_url: str
) -> Sorted:
    """What each reference asks for.

    prefix: what will stand before names in the article. public_url: of our own service, "" where it has none.
    InvalidRequest for UTF-16, and for a page with <base href> unless the prefix is absolute.
    """
    found = rewrite.find_references(
        article,
        options.type or rewrite.detect_type(article),
        FindOptions(options.front_matter, options.default_size),
    )
    base = options.base_url
    if found.base_href is not None:
        base = urljoin(base, found.base_href) if base else found.base_href
    resolved = [_resolve(reference, base, options, addresses, public_url) for reference in found.references]
    asking = [one for one in resolved if isinstance(one, Target)]
    if found.base_href is not None and asking and not urlsplit(prefix).scheme:
        raise InvalidRequest(
            "the page has a <base href>, against which relative asset names would lead elsewhere; "
            "give an absolute address for assets (--asset-url, MEDIASVC_PUBLIC_URL)"
        )
    sizes: dict[str, Size] = {}
    for target in asking:
        if target.declared_size is not None:
            sizes.setdefault(target.resolution.origin, target.declared_size)
    # A link is a reference only where it leads to a picture of this article.
    pictures = {target.resolution.origin for target in asking if target.reference.same_as is None}
    targets: list[Target | ImageReport] = []
    for one in resolved:
        if isinstance(one, Target):
            if one.reference.same_as is None or one.resolution.origin in pictures:
                targets.append(_sized(one, sizes, options))
        elif one.where not in _LINKS:
            targets.append(one)
    return Sorted(tuple(targets), found.warnings)


def _resolve(
    reference: Reference,
    base: str | None,
    options: ArticleOptions,
    addresses: Addresses,
    public_url: str,
) -> Target | ImageReport:
    address = reference.address
    if is_local(address, options.prefix, public_url):
        return _settled(reference, Status.LEFT)
    if base is None and is_relative(address):
        return _settled(reference, Status.LEFT)
    led_to = addresses.lead(address, base)
    if isinstance(led_to, MediaError):
        return _settled(reference, Status.FAILED, led_to.code)
    return Target(reference, led_to, None, reference.declared_size)


def _sized(target: Target, sizes: Mapping[str, Size], options: ArticleOptions) -> Target:
    reference = target.reference
    if reference.wants is not Wants.THUMBNAIL:
        return target
    size = reference.declared_size
    if size is None and reference.where.startswith("front-matter:"):
        size = sizes.get(target.resolution.origin) or options.default_size
    if size is None:
        return target
    form = options.format or OutputFormat.KEEP
    accepts = frozenset({Format.WEBP, Format.AVIF}) if form is OutputFormat.AUTO else frozenset[Format]()
    spec = ThumbnailSpec(size, format=form, accepts=accepts)
    return Target(reference, target.resolution, spec, size)


def is_local(address: str, prefix: str, public_url: str) -> bool:
    """Whether an address is one that we wrote: an asset's name behind our prefix, or one of our /img paths."""
    if public_url and address.startswith((f"{public_url}/img/", f"{public_url}/assets/")):
        return True
    relative = is_relative(address)
    if address.startswith("/img/") and address.count("/") >= 4 and relative:
        return True
    if not relative and not address.startswith(prefix):
        return False
    name = address.partition("?")[0].partition("#")[0].rpartition("/")[2]
    digest, _, ending = name.partition(".")
    return len(digest) == 64 and ending in _ENDINGS and set(digest) <= _HEX


def is_relative(address: str) -> bool:
    """Whether an address needs a base: no scheme and no host of its own."""
    if address.startswith(("https://", "http://")):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc and not address.startswith(("//", "\\\\", "/\\", "\\/"))


def _settled(reference: Reference, status: Status, code: str | None = None) -> ImageReport:
    return ImageReport(
        source=reference.address,
        origin=None,
        where=reference.where,
        declared_size=reference.declared_size,
        status=status,
        code=code,
        warnings=reference.warnings,
    )
