"""Decides what each reference of an article needs, before anything is fetched."""

import re
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from mediasvc.articles.options import ArticleOptions, Links
from mediasvc.articles.rows import ImageRow, Status
from mediasvc.core.addresses import urls
from mediasvc.core.addresses.image_path import is_image_path
from mediasvc.core.addresses.lookup import Addresses
from mediasvc.core.formats import NEGOTIABLE, Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import ThumbnailSpec
from mediasvc.core.records.asset_name import parse_asset_name
from mediasvc.core.text.picture_address import (
    is_absolute,
    is_template,
    looks_like_picture,
    may_carry_address,
)
from mediasvc.core.text.reference import Why
from mediasvc.core.text.references import FindOptions, Reference, Wants, detect_type, find_references
from mediasvc.errors import InvalidRequest, MediaError, SourceRefused

MAX_REFERENCES = 20_000
# Pages about a picture that are called like it.
_PAGE = re.compile(r"/wiki/|/blob/|/File:", re.IGNORECASE)


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
        FindOptions(options.front_matter, options.default_size, partial(_is_picture, addresses)),
    )
    base = options.base_url
    if found.base_href is not None:
        base = _page_base(found.base_href, base)
    is_absolute_prefix = bool(urlsplit(prefix).scheme)
    looking = _Looking(options, addresses, base, is_absolute_prefix, public_url)
    answers = [looking.answer(reference) for reference in found.references]
    sizes: dict[str, Size] = {}
    # A link is a reference only where it leads to a picture.
    pictures: set[str] = set()
    asks = False
    for reference, there in zip(found.references, answers, strict=True):
        if isinstance(there, urls.Resolution):
            asks = True
            if reference.declared_size is not None:
                sizes.setdefault(there.origin, reference.declared_size)
            if reference.same_as is None:
                pictures.add(there.origin)
    if asks and found.base_href is not None and not is_absolute_prefix:
        raise InvalidRequest(
            "the page has a <base href>, so relative asset names would lead elsewhere; "
            "give an absolute address for assets (--asset-url, MEDIASVC_PUBLIC_URL)"
        )
    specs = _Specs(options)
    targets: list[Target | ImageRow] = []
    warnings = found.warnings
    for reference, there in zip(found.references, answers, strict=True):
        if reference.same_as is not None and isinstance(there, urls.Resolution):
            there = looking.answer_of_link(reference, there, pictures)
        if isinstance(there, urls.Resolution) and len(targets) < MAX_REFERENCES:
            size = _size(reference, sizes.get(there.origin), options)
            spec = specs.of(size) if size is not None and reference.wants is Wants.THUMBNAIL else None
            targets.append(Target(reference, there, spec, size))
        elif isinstance(there, urls.Resolution):
            targets.append(_settled(reference, Why.TOO_MANY))
        elif reference.same_as is None or isinstance(there, Why):
            targets.append(_settled(reference, there))
        if len(targets) == 2 * MAX_REFERENCES:
            warnings += (f"the report has the first {2 * MAX_REFERENCES} references of this article",)
            break
    return Sorted(tuple(targets), warnings)


def _is_picture(addresses: Addresses, address: str) -> bool:
    """Whether an address looks like a picture's, or is wrapped around one that does."""
    if looks_like_picture(address):
        return True
    if not may_carry_address(address):
        return False
    there = addresses.lead(address)
    return isinstance(there, urls.Resolution) and bool(there.layers) and looks_like_picture(there.origin)


_Answer = urls.Resolution | MediaError | Why | None
"""What an address leads to, why it fails, or why it is left; None: it is no address elsewhere."""


class _Looking(NamedTuple):
    """What all references of an article are looked at with.

    base: of relative addresses.
    is_absolute_prefix: whether names in the article will be absolute.
    """

    options: ArticleOptions
    addresses: Addresses
    base: str | None
    is_absolute_prefix: bool
    public_url: str

    def answer(self, reference: Reference) -> _Answer:
        """What a reference leads to, be it a link or not."""
        if reference.left is not None:
            return reference.left
        address = reference.address
        if is_template(address):
            return Why.TEMPLATE
        if is_local(address, self.options.prefix, self.public_url):
            return None
        if self.base is None and is_relative(address):
            return None
        there = self.addresses.lead(address, self.base)
        if isinstance(there, MediaError):
            return there
        if self.options.leave and self._is_left_host(there):
            return Why.HOST
        if reference.read_elsewhere and not self.is_absolute_prefix:
            return Why.READ_ELSEWHERE
        return there

    def answer_of_link(
        self, reference: Reference, there: urls.Resolution, pictures: set[str]
    ) -> urls.Resolution | Why | None:
        """What a link leads to where it gets an original; why it is left where it looks like a picture; else
        None.

        pictures: origins of the article's images.
        """
        links = self.options.links
        looks_so = is_absolute(reference.address) and _is_picture(self.addresses, reference.address)
        if links is Links.NONE:
            return Why.LINKS if looks_so or there.origin in pictures else None
        if there.origin in pictures:
            return there
        if not looks_so:
            return None
        if not reference.same_as:
            return Why.LINK
        if links is Links.SAME:
            return Why.LINKS
        return Why.NO_PICTURE if _PAGE.search(reference.address) else there

    def _is_left_host(self, there: urls.Resolution) -> bool:
        """Whether the host of the origin, or of a wrapper around it, is one to leave."""
        written = urls.normalise(there.source, self.base)
        hosts = [urlsplit(url).hostname or "" for url in (written, *(layer.url for layer in there.layers))]
        return any(pattern.matches(host) for pattern in self.options.leave for host in hosts)


def _page_base(href: str, base: str | None) -> str | None:
    """The base after `<base href>`; None where it cannot be known, as with `/` on a page of unknown address."""  # noqa: E501
    try:
        return urls.normalise(href, base)
    except InvalidRequest:
        return base
    except SourceRefused:
        return None


def _size(reference: Reference, in_the_body: Size | None, options: ArticleOptions) -> Size | None:
    """The declared size. in_the_body: the size of the same image in the body, for front matter, which
    declares none.
    """
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


def _settled(reference: Reference, answer: MediaError | Why | None) -> ImageRow:
    """The row of a reference that asks for nothing: it failed, or it was left."""
    error = answer if isinstance(answer, MediaError) else None
    return ImageRow(
        source=reference.address,
        origin=None,
        where=reference.where,
        declared_size=reference.declared_size,
        status=Status.LEFT if error is None else Status.FAILED,
        code=None if error is None else error.code,
        warnings=reference.warnings,
        why=answer.value if isinstance(answer, Why) else None,
    )
