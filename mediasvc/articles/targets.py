"""Decides what each reference of an article needs, before anything is fetched."""

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from mediasvc.articles.options import ArticleOptions
from mediasvc.articles.rows import ImageRow, Status
from mediasvc.core.addresses import urls
from mediasvc.core.addresses.image_path import is_image_path
from mediasvc.core.addresses.lookup import Addresses
from mediasvc.core.formats import NEGOTIABLE, Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import ThumbnailSpec
from mediasvc.core.records.asset_name import parse_asset_name
from mediasvc.core.text.references import FindOptions, Reference, Wants, detect_type, find_references
from mediasvc.errors import InvalidRequest, MediaError, SourceRefused

_LINKS = frozenset({"a[href]", "markdown-link"})


class Target(NamedTuple):
    """The image that one reference needs: an origin, and the spec of a thumbnail where it wants one."""

    reference: Reference
    resolution: urls.Resolution
    spec: ThumbnailSpec | None
    declared_size: Size | None


@dataclass(frozen=True, slots=True)
class Sorted:
    """The references of an article in order: targets to fetch, and rows of references that need nothing."""

    targets: tuple[Target | ImageRow, ...]
    warnings: tuple[str, ...]

    @property
    def asking(self) -> list[Target]:
        """The targets alone."""
        return [one for one in self.targets if isinstance(one, Target)]


def sort_references(
    article: bytes, options: ArticleOptions, addresses: Addresses, *, prefix: str, public_url: str
) -> Sorted:
    """Finds the references of an article and decides what each needs.

    prefix: the text before asset names in the article.
    public_url: address of our own service; "" where it has none.
    Raises InvalidRequest for UTF-16, and for a page with <base href> unless the prefix is absolute.
    """
    found = find_references(
        article,
        options.type or detect_type(article),
        FindOptions(options.front_matter, options.default_size),
    )
    base = options.base_url
    if found.base_href is not None:
        base = _page_base(found.base_href, base)
    references = found.references
    led_to = [_lead(reference.address, base, options, addresses, public_url) for reference in references]
    sizes: dict[str, Size] = {}
    # A link is a reference only where it leads to a picture of this article.
    pictures: set[str] = set()
    asks = False
    for reference, there in zip(references, led_to, strict=True):
        if isinstance(there, urls.Resolution):
            asks = True
            if reference.declared_size is not None:
                sizes.setdefault(there.origin, reference.declared_size)
            if reference.same_as is None:
                pictures.add(there.origin)
    if asks and found.base_href is not None and not urlsplit(prefix).scheme:
        raise InvalidRequest(
            "the page has a <base href>, so relative asset names would lead elsewhere; "
            "give an absolute address for assets (--asset-url, MEDIASVC_PUBLIC_URL)"
        )
    specs = _Specs(options)
    targets: list[Target | ImageRow] = []
    for reference, there in zip(references, led_to, strict=True):
        if isinstance(there, urls.Resolution):
            if reference.same_as is None or there.origin in pictures:
                size = _size(reference, sizes.get(there.origin), options)
                spec = specs.of(size) if size is not None and reference.wants is Wants.THUMBNAIL else None
                targets.append(Target(reference, there, spec, size))
        elif reference.where not in _LINKS:
            targets.append(_settled(reference, there))
    return Sorted(tuple(targets), found.warnings)


def _page_base(href: str, base: str | None) -> str | None:
    """The base after `<base href>`; None where it cannot be known, as with `/` on a page of unknown address."""
    try:
        return urls.normalise(href, base)
    except InvalidRequest:
        return base
    except SourceRefused:
        return None


def _lead(
    address: str, base: str | None, options: ArticleOptions, addresses: Addresses, public_url: str
) -> urls.Resolution | MediaError | None:
    """The resolution of an address, or why it cannot be fetched; None where it must be left alone."""
    if is_local(address, options.prefix, public_url) or (base is None and is_relative(address)):
        return None
    return addresses.lead(address, base)


def _size(reference: Reference, in_the_body: Size | None, options: ArticleOptions) -> Size | None:
    """The declared size. in_the_body: the size of the same image in the body, for front matter, which declares none."""
    size = reference.declared_size
    if size is None and reference.wants is Wants.THUMBNAIL and reference.where.startswith("front-matter:"):
        return in_the_body or options.default_size
    return size


class _Specs:
    """The specs of an article's thumbnails, one for each size."""

    def __init__(self, options: ArticleOptions) -> None:
        self._format = options.format or OutputFormat.KEEP
        is_auto = self._format is OutputFormat.AUTO
        self._accepts: frozenset[Format] = frozenset(NEGOTIABLE if is_auto else ())
        self._made: dict[tuple[int, int], ThumbnailSpec] = {}

    def of(self, size: Size) -> ThumbnailSpec:
        key = (size.width, size.height)
        spec = self._made.get(key)
        if spec is None:
            spec = ThumbnailSpec(size, format=self._format, accepts=self._accepts)
            self._made[key] = spec
        return spec


def is_local(address: str, prefix: str, public_url: str) -> bool:
    """Whether we wrote this address: an asset's name after our prefix, or one of our /img paths."""
    if public_url and address.startswith((f"{public_url}/img/", f"{public_url}/assets/")):
        return True
    relative = is_relative(address)
    if not relative and not _begins_with(prefix, address):
        return False
    if relative and is_image_path(address):
        return True
    name = address.partition("?")[0].partition("#")[0].rpartition("/")[2]
    return parse_asset_name(name) is not None


def _begins_with(prefix: str, address: str) -> bool:
    """Whether an address begins with a prefix, which was percent-encoded when it was written."""
    return address.startswith(prefix) or ("%" in address and unquote(address).startswith(unquote(prefix)))


def is_relative(address: str) -> bool:
    """Whether an address needs a base: no scheme and no host of its own."""
    if address.startswith(("https://", "http://")):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc and not address.startswith(("//", "\\\\", "/\\", "\\/"))


def _settled(reference: Reference, error: MediaError | None) -> ImageRow:
    """The row of a reference that needs nothing. error: why it failed; None where it is left alone."""
    return ImageRow(
        source=reference.address,
        origin=None,
        where=reference.where,
        declared_size=reference.declared_size,
        status=Status.LEFT if error is None else Status.FAILED,
        code=None if error is None else error.code,
        warnings=reference.warnings,
    )
