"""Walk B: one article, text in and text out, its images resolved, fetched, sized and named anew."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urljoin, urlsplit

from mediasvc import logs, metrics
from mediasvc.core import background, rewrite, signing, urls
from mediasvc.core.geometry import Size
from mediasvc.core.picture import EXTENSIONS, Format, OutputFormat, ThumbnailSpec
from mediasvc.core.rewrite import ArticleType, Edit, FindOptions, Found, FrontMatterUse, Reference, Wants
from mediasvc.errors import InvalidRequest, MediaError
from mediasvc.images import Held, Images, Served

_HEX = frozenset("0123456789abcdef")
_ENDINGS = frozenset(EXTENSIONS.values())
# A page of thousands of images keeps this many of them in hand at once; the fetcher has its own bounds.
_IMAGES_AT_ONCE = 16


class Mode(StrEnum):
    """LAZY: no network, references become signed paths. EAGER: images are fetched first."""

    LAZY = "lazy"
    EAGER = "eager"


class Status(StrEnum):
    """What became of one reference."""

    LOCALISED = "localised"
    LEFT = "left"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ArticleOptions:
    """How an article is to be rewritten.

    type: None finds out. base_url: what relative addresses stand against; None leaves them alone.
    prefix: what stands before an asset's name in the article; report_prefix: the same in the report.
    default_size: the box of images that declare none. placeholder: whether a tiny picture becomes the
    background of localised images.
    """

    type: ArticleType | None = None
    base_url: str | None = None
    front_matter: Mapping[str, FrontMatterUse] = field(default_factory=dict)
    format: OutputFormat | None = None
    default_size: Size | None = None
    prefix: str = "assets/"
    report_prefix: str = "assets/"
    placeholder: bool = False


@dataclass(frozen=True, slots=True)
class ImageReport:
    """What happened to one reference; paths and sizes are those of the report's schema."""

    source: str
    origin: str | None
    where: str
    declared_size: Size | None
    status: Status
    code: str | None = None
    original: str | None = None
    thumbnail: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    original_bytes: int | None = None
    original_size: tuple[int, int] | None = None
    thumbhash: str | None = None
    dominant: str | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The object that stands in a report's `images`."""
        size = self.declared_size
        return {
            "source": self.source,
            "origin": self.origin,
            "where": self.where,
            "declared_size": None if size is None else [size.width, size.height],
            "status": self.status.value,
            "code": self.code,
            "original": self.original,
            "thumbnail": self.thumbnail,
            "width": self.width,
            "height": self.height,
            "bytes": self.bytes,
            "original_bytes": self.original_bytes,
            "original_size": self.original_size,
            "thumbhash": self.thumbhash,
            "dominant": self.dominant,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the rewritten article refers to. data: set where the store does not hold it."""

    digest: str
    format: Format
    data: bytes | None
    bytes: int
    origin: str

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.digest}.{EXTENSIONS[self.format]}"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """An article after the walk. edits: what brings the input back (see core.rewrite.restore)."""

    content: bytes
    images: tuple[ImageReport, ...]
    assets: tuple[Asset, ...]
    edits: list[list[int | str]]
    warnings: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many references there were and what became of them."""
        found = [image.status for image in self.images]
        return {"references": len(found)} | {status.value: found.count(status) for status in Status}


@dataclass(frozen=True, slots=True)
class _Target:
    """What one reference asks for: an origin, and the thumbnail's spec where it wants one."""

    reference: Reference
    resolution: urls.Resolution
    spec: ThumbnailSpec | None
    declared_size: Size | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One image, once for all references that ask for the same."""

    original: Served
    shown: Served
    thumbhash: str | None
    dominant: str | None


class Articles:
    """One article at a time, for every door."""

    def __init__(self, images: Images, *, signing_keys: Sequence[bytes], public_url: str) -> None:
        """signing_keys: the first signs lazy paths; none gives `unsafe` paths. public_url: stands before them."""
        self.images = images
        self.signing_keys = tuple(signing_keys)
        self.public_url = public_url

    def rewrite_lazily(self, article: bytes, options: ArticleOptions) -> Rewritten:
        """References become signed /img paths; nothing is fetched and nothing is awaited.

        InvalidRequest for text that cannot be read (UTF-16) and for a <base href> without PUBLIC_URL.
        """
        found = self._find(article, options, self.public_url)
        edits: list[Edit] = []
        reports: list[ImageReport] = []
        for target in self._targets(found, options):
            if isinstance(target, ImageReport):
                reports.append(target)
                continue
            origin = target.resolution.origin
            original = self.image_path(origin, None, None)
            thumbnail = self.image_path(origin, target.spec.box, options.format) if target.spec else None
            edits.append(rewrite.write(target.reference, thumbnail or original))
            reports.append(_report(target, Status.LOCALISED, original=original, thumbnail=thumbnail))
        return _finish(article, edits, reports, (), found.warnings)

    async def rewrite(self, article: bytes, options: ArticleOptions) -> Rewritten:
        """References become asset names; every image is fetched, kept and sized before this returns.

        An image that fails keeps its text and has its code in the report. InvalidRequest as for lazy.
        """
        found = self._find(article, options, options.prefix)
        targets = self._targets(found, options)
        outcomes = await self._obtain([t for t in targets if isinstance(t, _Target)])
        edits: list[Edit] = []
        reports: list[ImageReport] = []
        assets: dict[str, Asset] = {}
        for target in targets:
            if isinstance(target, ImageReport):
                reports.append(target)
                continue
            outcome = outcomes[target.resolution.origin, target.spec]
            if isinstance(outcome, MediaError):
                reports.append(_report(target, Status.FAILED, code=outcome.code))
                continue
            edits.extend(self._edits(target, outcome, options))
            for served in (outcome.original, outcome.shown):
                assets[served.name] = Asset(
                    served.digest, served.format, served.data, served.bytes, target.resolution.origin
                )
            reports.append(_localised(target, outcome, options.report_prefix))
        return _finish(article, edits, reports, tuple(assets.values()), found.warnings)

    async def preview(self, article: bytes, options: ArticleOptions) -> Rewritten:
        """What rewrite would change, fetching nothing: images not yet held get a name made of their address."""
        found = self._find(article, options, options.prefix)
        edits: list[Edit] = []
        reports: list[ImageReport] = []
        for target in self._targets(found, options):
            if isinstance(target, ImageReport):
                reports.append(target)
                continue
            name = await self.images.known_name(target.resolution.origin, target.spec)
            name = name or _name_before_fetching(target.resolution.origin)
            edits.append(rewrite.write(target.reference, options.prefix + name))
            path = options.report_prefix + name
            thumbnail = path if target.spec is not None else None
            reports.append(
                _report(target, Status.LOCALISED, original=None if thumbnail else path, thumbnail=thumbnail)
            )
        return _finish(article, edits, reports, (), found.warnings)

    def image_path(self, origin: str, box: Size | None, form: OutputFormat | None) -> str:
        """The path under which the service serves an origin URL, signed and with PUBLIC_URL before it.

        box: None for the original. form: None leaves the choice to the request's Accept header.
        """
        options = (
            "original" if box is None else f"{box.width}x{box.height}" + (f",{form.value}" if form else "")
        )
        path = f"/{options}/{signing.encode_source(origin)}"
        signature = signing.sign(self.signing_keys, path) if self.signing_keys else "unsafe"
        return f"{self.public_url}/img/{signature}{path}"

    def _find(self, article: bytes, options: ArticleOptions, prefix: str) -> Found:
        kind = options.type or rewrite.detect_type(article)
        found = rewrite.find_references(
            article, kind, FindOptions(options.front_matter, options.default_size)
        )
        if found.base_href is not None and found.references and not urlsplit(prefix).scheme:
            raise InvalidRequest(
                "the page has a <base href>, against which relative asset names would lead elsewhere; "
                "give an absolute address for assets (--asset-url, MEDIASVC_PUBLIC_URL)"
            )
        return found

    def _targets(self, found: Found, options: ArticleOptions) -> list[_Target | ImageReport]:
        base = options.base_url
        if found.base_href is not None:
            base = urljoin(base, found.base_href) if base else found.base_href
        resolved = [self._resolve(reference, base, options) for reference in found.references]
        sizes: dict[str, Size] = {}
        for one in resolved:
            if isinstance(one, _Target) and one.declared_size is not None:
                sizes.setdefault(one.resolution.origin, one.declared_size)
        # A link is a reference only where it leads to a picture of this article.
        pictures = {
            one.resolution.origin
            for one in resolved
            if isinstance(one, _Target) and one.reference.same_as is None
        }
        targets: list[_Target | ImageReport] = []
        for one in resolved:
            if isinstance(one, ImageReport) and one.where == "a[href]":
                continue
            if isinstance(one, _Target):
                if one.reference.same_as is not None and one.resolution.origin not in pictures:
                    continue
                one = self._sized(one, sizes, options)
            targets.append(one)
        return targets

    def _resolve(
        self, reference: Reference, base: str | None, options: ArticleOptions
    ) -> _Target | ImageReport:
        if self.is_local(reference.address, options.prefix):
            return _left(reference)
        try:
            resolution = self.images.resolve(reference.address, base)
            self.images.addresses.policy.check_url(resolution.origin)
        except MediaError as error:
            if base is None and is_relative(reference.address):
                return _left(reference)
            return _left(reference, Status.FAILED, error.code)
        return _Target(reference, resolution, None, reference.declared_size)

    def _sized(self, target: _Target, sizes: Mapping[str, Size], options: ArticleOptions) -> _Target:
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
        return _Target(reference, target.resolution, spec, size)

    def is_local(self, address: str, prefix: str) -> bool:
        """Whether an address is one that we wrote: an asset's name behind our prefix, or one of our /img paths."""
        if self.public_url and address.startswith((f"{self.public_url}/img/", f"{self.public_url}/assets/")):
            return True
        path = urlsplit(address).path if not address.startswith(prefix) else address
        name = path.rpartition("/")[2]
        digest, _, ending = name.partition(".")
        is_asset = len(digest) == 64 and ending in _ENDINGS and set(digest) <= _HEX
        if is_asset and (is_relative(address) or address.startswith(prefix)):
            return True
        return address.startswith("/img/") and address.count("/") >= 4 and is_relative(address)

    async def _obtain(
        self, targets: list[_Target]
    ) -> dict[tuple[str, ThumbnailSpec | None], _Outcome | MediaError]:
        """What every target asks for; each origin is looked at once, whatever number of places name it."""
        wanted: dict[str, dict[ThumbnailSpec | None, None]] = {}
        for target in targets:
            wanted.setdefault(target.resolution.origin, {})[target.spec] = None
        outcomes: dict[tuple[str, ThumbnailSpec | None], _Outcome | MediaError] = {}
        slots = asyncio.Semaphore(_IMAGES_AT_ONCE)

        async def one(origin: str, specs: tuple[ThumbnailSpec | None, ...]) -> None:
            async with slots:
                for spec, outcome in (await self._images(origin, specs)).items():
                    outcomes[origin, spec] = outcome

        async with asyncio.TaskGroup() as group:
            for origin, specs in wanted.items():
                # Thumbnails first: the one that is made while fetching costs no second look at the original.
                group.create_task(one(origin, tuple(sorted(specs, key=lambda spec: spec is None))))
        return outcomes

    async def _images(
        self, origin: str, specs: tuple[ThumbnailSpec | None, ...]
    ) -> dict[ThumbnailSpec | None, _Outcome | MediaError]:
        try:
            held = await self.images.hold(origin, specs[0], placeholder=True)
            original = await self.images.serve(held, None)
        except MediaError as error:
            logs.get().info("image.failed", host=logs.host_of(origin), code=error.code, why=str(error))
            return dict.fromkeys(specs, error)
        outcomes: dict[ThumbnailSpec | None, _Outcome | MediaError] = {}
        thumbhash, dominant = await self._placeholder(held)
        for spec in specs:
            try:
                shown = original if spec is None else await self.images.serve(held, spec, load=False)
            except MediaError as error:
                logs.get().info("image.failed", host=logs.host_of(origin), code=error.code, why=str(error))
                outcomes[spec] = error
                continue
            outcomes[spec] = _Outcome(original, shown, thumbhash, dominant)
        return outcomes

    async def _placeholder(self, held: Held) -> tuple[str | None, str | None]:
        try:
            return await self.images.placeholder(held)
        except MediaError:
            # A placeholder is a nicety; its failure must not cost the image.
            return None, None

    def _edits(self, target: _Target, outcome: _Outcome, options: ArticleOptions) -> Iterable[Edit]:
        yield rewrite.write(target.reference, options.prefix + outcome.shown.name)
        if options.placeholder and outcome.thumbhash is not None:
            placeholder = rewrite.write_background(
                target.reference, background.declarations(outcome.thumbhash)
            )
            if placeholder is not None:
                yield placeholder


def is_relative(address: str) -> bool:
    """Whether an address needs a base: no scheme and no host of its own."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc and not address.startswith(("//", "\\\\", "/\\", "\\/"))


def _name_before_fetching(origin: str) -> str:
    ending = urlsplit(origin).path.rpartition(".")[2].lower()
    form = {"jpeg": "jpg"}.get(ending, ending)
    digest = hashlib.sha256(origin.encode()).hexdigest()[:12]
    return f"not-fetched-yet-{digest}.{form if form in _ENDINGS else 'jpg'}"


def _left(reference: Reference, status: Status = Status.LEFT, code: str | None = None) -> ImageReport:
    return ImageReport(
        source=reference.address,
        origin=None,
        where=reference.where,
        declared_size=reference.declared_size,
        status=status,
        code=code,
        warnings=reference.warnings,
    )


def _report(
    target: _Target,
    status: Status,
    *,
    code: str | None = None,
    original: str | None = None,
    thumbnail: str | None = None,
) -> ImageReport:
    return ImageReport(
        source=target.reference.address,
        origin=target.resolution.origin,
        where=target.reference.where,
        declared_size=target.declared_size,
        status=status,
        code=code,
        original=original,
        thumbnail=thumbnail,
        warnings=target.reference.warnings,
    )


def _localised(target: _Target, outcome: _Outcome, prefix: str) -> ImageReport:
    return ImageReport(
        source=target.reference.address,
        origin=target.resolution.origin,
        where=target.reference.where,
        declared_size=target.declared_size,
        status=Status.LOCALISED,
        original=prefix + outcome.original.name,
        thumbnail=prefix + outcome.shown.name if target.spec is not None else None,
        width=outcome.shown.width,
        height=outcome.shown.height,
        bytes=outcome.shown.bytes,
        original_bytes=outcome.original.bytes,
        original_size=(outcome.original.width, outcome.original.height),
        thumbhash=outcome.thumbhash,
        dominant=outcome.dominant,
        warnings=target.reference.warnings,
    )


def _finish(
    article: bytes,
    edits: list[Edit],
    reports: list[ImageReport],
    assets: tuple[Asset, ...],
    warnings: tuple[str, ...],
) -> Rewritten:
    for report in reports:
        metrics.rewritten_references.labels(report.status.value).inc()
    content = rewrite.splice(article, edits)
    return Rewritten(content, tuple(reports), assets, rewrite.restorable(edits, article), warnings)
